/** How long to wait before the next attempt, and how long the stream was interrupted. */

import { keepNewest } from "./lists.js";

const DELAYS_MS = [1000, 2000, 4000, 5000];
const JITTER_RATIO = 0.1;
/** No server can ask for a longer wait. */
export const RETRY_MS_MAX = 300_000;

/** Return the wait that `Retry-After` asks for, in seconds or as a date; NaN if there is none. */
export const retryAfterMs = (/** @type {Headers} */ headers) => {
  const value = headers.get("retry-after") ?? "";
  return Math.max(0, /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now());
};

export class Retry {
  /** Attempts in a row without a message. */
  attempt = 0;
  /** The value of the stream's `retry` field; -1 if there was none. */
  fieldMs = -1;
  /** Seconds of each interruption. */
  reconnects = /** @type {number[]} */ ([]);
  stalls = 0;
  #connections = 0;
  #lostAtMs = 0;

  countConnection() {
    this.#connections++;
  }

  /** Note that there is a connection. Return what the interruption took, or null if there was none. */
  endInterruption() {
    const [attempts, lostAtMs] = [this.#connections, this.#lostAtMs];
    this.#connections = this.#lostAtMs = 0;
    if (!lostAtMs) return null;
    const seconds = Math.round(performance.now() - lostAtMs) / 1000;
    keepNewest(this.reconnects, seconds);
    return { attempts, seconds };
  }

  noteLoss(/** @type {import("./errors.js").Loss} */ { isImmediate, isUnsent, isStalled }) {
    // A login that is renewed is not an interruption.
    if (!isImmediate || !isUnsent) this.#lostAtMs ||= performance.now();
    if (isStalled) this.stalls++;
  }

  /** Count an attempt and return the wait before it. `Retry-After` has priority over everything else. */
  nextDelayMs(retryAfter = NaN) {
    const ownMs = DELAYS_MS[Math.min(this.attempt, DELAYS_MS.length - 1)] ?? 0;
    const fieldMs = this.fieldMs < 0 ? ownMs : this.fieldMs;
    // The `retry` field replaces the first delay; later it is the least.
    const delayMs = this.attempt ? Math.max(ownMs, fieldMs) : fieldMs;
    this.attempt++;
    return Math.min(retryAfter >= 0 ? retryAfter : delayMs, RETRY_MS_MAX) * (1 + JITTER_RATIO * Math.random());
  }
}
