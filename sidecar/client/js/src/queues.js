/** Messages that async iterators have not read yet. */

import { Signal } from "./timers.js";

/** Messages in one queue from which on the client reads nothing more. It looks between two chunks. */
const QUEUE_MAX = 1000;

/** Notifies of a message, of room in a queue, and of the end. */
export class MessageQueues extends Signal {
  #queues = /** @type {Set<MessageEvent<string>[]>} */ (new Set());

  get isFull() {
    return [...this.#queues].some((queue) => queue.length >= QUEUE_MAX);
  }

  push(/** @type {MessageEvent<string>} */ message) {
    for (const queue of this.#queues) queue.push(message);
    if (this.#queues.size) this.notifyAll();
  }

  /** Yield every message from now on; end when `isOver` returns true and the queue is empty. */
  async *read(/** @type {() => boolean} */ isOver) {
    const queue = /** @type {MessageEvent<string>[]} */ ([]);
    this.#queues.add(queue);
    try {
      for (;;) {
        for (let message; (message = queue.shift()); this.notifyAll()) yield message;
        if (isOver()) return;
        await this.next;
      }
    } finally {
      this.#queues.delete(queue);
    }
  }
}
