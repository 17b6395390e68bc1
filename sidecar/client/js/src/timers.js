/** Waits with a bound. */

/** Wait for a promise, but not longer than `ms`. The result is undefined if the time is over first. */
export const within = (/** @type {number} */ ms, /** @type {Promise<any>} */ promise) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve).finally(() => clearTimeout(timer));
  });

/** Something that others wait for: `next` resolves when `notifyAll` is called. */
export class Signal {
  #resolve = () => {};
  next = this.#renewed();

  notifyAll() {
    this.#resolve();
    this.next = this.#renewed();
  }

  /** @returns {Promise<void>} */
  #renewed() {
    return new Promise((resolve) => (this.#resolve = resolve));
  }
}
