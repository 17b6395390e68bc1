/** Waits between attempts, and what an interruption took. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Retry, retryAfterMs } from "../../../sidecar/client/js/src/retry.js";
import { FakeClock } from "./support/clock.mjs";

const { random } = Math;
let clock;
beforeEach(() => {
  clock = new FakeClock().install();
  Math.random = () => 0;
});
afterEach(() => {
  clock.remove();
  Math.random = random;
});

const delays = (retry, count) => Array.from({ length: count }, () => retry.nextDelayMs());

test("delays grow from 1 s to 5 s", () => {
  assert.deepEqual(delays(new Retry(), 6), [1000, 2000, 4000, 5000, 5000, 5000]);
});

test("delays begin again after a message", () => {
  const retry = new Retry();
  delays(retry, 3);
  retry.attempt = 0;
  assert.deepEqual(delays(retry, 2), [1000, 2000]);
});

test("jitter adds a tenth at most", () => {
  Math.random = () => 1 - Number.EPSILON;
  const [delay] = delays(new Retry(), 1);
  assert.ok(delay > 1099 && delay <= 1100, `${delay} ms`);
});

test("the retry field replaces the first delay and bounds the others from below", () => {
  const retry = Object.assign(new Retry(), { fieldMs: 3000 });
  assert.deepEqual(delays(retry, 4), [3000, 3000, 4000, 5000]);
});

test("Retry-After has priority over the retry field", () => {
  const retry = Object.assign(new Retry(), { fieldMs: 3000 });
  assert.deepEqual([retry.nextDelayMs(0), retry.nextDelayMs(7000)], [0, 7000]);
});

test("no server can ask for a wait above 300 s", () => {
  const retry = Object.assign(new Retry(), { fieldMs: 1e9 });
  assert.deepEqual([retry.nextDelayMs(), retry.nextDelayMs(1e9)], [300_000, 300_000]);
});

test("Retry-After is seconds or a date", () => {
  const after = (value) => retryAfterMs(new Headers(value === undefined ? {} : { "retry-after": value }));
  const inTwoSeconds = new Date(Date.now() + 2000).toUTCString();
  assert.deepEqual([after("7"), after(inTwoSeconds), after("Thu, 01 Jan 1970 00:00:00 GMT")], [7000, 2000, 0]);
  assert.deepEqual([after(undefined), after("soon")], [NaN, NaN]);
});

test("an interruption lasts from the first loss to the response", async () => {
  const retry = new Retry();
  retry.countConnection();
  assert.equal(retry.endInterruption(), null);
  retry.noteLoss({});
  await clock.advance(1500);
  retry.countConnection();
  retry.noteLoss({ isStalled: true });
  await clock.advance(500);
  retry.countConnection();
  assert.deepEqual(retry.endInterruption(), { attempts: 2, seconds: 2 });
  assert.deepEqual([retry.reconnects, retry.stalls], [[2], 1]);
});

test("a renewed login is not an interruption", () => {
  const retry = new Retry();
  retry.noteLoss({ isImmediate: true, isUnsent: true });
  assert.equal(retry.endInterruption(), null);
});
