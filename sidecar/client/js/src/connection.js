/** One connection with its stall timer. */

import { ConnectionLost } from "./errors.js";

const TIMER_MS_MAX = 2 ** 31 - 1;

export const openConnection = () => {
  const controller = new AbortController();
  const { signal } = controller;
  let timer = /** @type {any} */ (0);

  const stopTimer = () => clearTimeout(timer);

  const abort = (/** @type {unknown} */ reason = undefined) => {
    stopTimer();
    controller.abort(reason);
  };

  /** Expect a byte within `ms`, or the connection is stalled and aborted. */
  const expectByte = (/** @type {number} */ ms) => {
    stopTimer();
    const timerMs = Math.min(ms, TIMER_MS_MAX);
    const reason = `Nothing has arrived for ${Math.round(timerMs / 1000)} seconds.`;
    timer = setTimeout(() => abort(new ConnectionLost(reason, { isStalled: true })), timerMs);
  };

  /** Wait for a promise, but reject when the connection is aborted. A page's `headers` function may hang. */
  const orAborted = (/** @type {Promise<Response>} */ promise) => {
    const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    return /** @type {Promise<Response>} */ (Promise.race([aborted, promise]));
  };

  return { signal, stopTimer, abort, expectByte, orAborted };
};

/** @typedef {ReturnType<typeof openConnection>} Connection */
