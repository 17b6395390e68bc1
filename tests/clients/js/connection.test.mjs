/** Stalls, backoff and what the server asks for, on a clock that stands still. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/clock.mjs";
import { world } from "./support/run.mjs";
import { answers, end, events, live, says, token, unreachable } from "./support/server.mjs";

const here = world();
const NAMED = { headers: { "sse-stream": token() } };
const DELAYS_MS = [1000, 2000, 4000, 5000];
const RETRY_AFTER_MS_MAX = 300_000;

const within = (ms, wanted) => assert.ok(ms >= wanted - 0.01 && ms <= wanted * 1.1 + 0.01, `${ms} ms, not ${wanted} to ${wanted * 1.1}`);

test("a connection without a byte for 30 s is replaced", async () => {
  const [silent, next] = [live(NAMED), live(NAMED)];
  here.server.script(silent, next);
  const { stream, seen } = await here.connect();
  silent.send(events(1, 3));
  await here.clock.advance(29_999);
  assert.equal(stream.state, "open");
  await here.clock.advance(1);
  assert.deepEqual([stream.state, stream.reason], ["stalled", "Nothing has arrived for 30 seconds."]);
  assert.equal(silent.aborted, true);
  await here.clock.advance(1101);
  assert.equal(stream.state, "open");
  assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.3`);
  next.send(events(4, 4));
  await settle();
  assert.deepEqual(seen.data, ["1", "2", "3", "4"]);
  assert.deepEqual(seen.states.map(([state]) => state), ["open", "stalled", "reconnecting", "open"]);
});

test("every byte restarts the stall timer", async () => {
  const slow = live();
  here.server.script(slow);
  const { stream } = await here.connect();
  for (const byte of "data: slow") {
    await here.clock.advance(29_000);
    slow.send(byte);
  }
  await here.clock.advance(29_000);
  assert.equal(stream.state, "open");
});

test("heartbeats keep it open and set idleSeconds", async () => {
  const beating = live(NAMED);
  here.server.script(beating);
  const { stream, seen } = await here.connect();
  for (let idle = 10; idle <= 120; idle += 10) {
    await here.clock.advance(10_000);
    beating.send(`: hb idle=${idle}\n`);
  }
  await settle();
  assert.equal(stream.state, "open");
  assert.deepEqual(seen.idle, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]);
  beating.send(events(1, 1));
  await settle();
  assert.equal(stream.idleSeconds, 0);
});

test("a usual comment counts the seconds since the last message", async () => {
  const other = live();
  here.server.script(other);
  const { seen } = await here.connect();
  other.send("data: 1\n\n");
  await here.clock.advance(12_500);
  other.send(": ping\n\n");
  await settle();
  assert.deepEqual(seen.idle, [12]);
});

test("stallSeconds sets the time until a stall", async () => {
  here.server.script(live());
  const { stream } = await here.connect({ stallSeconds: 5 });
  await here.clock.advance(5000);
  assert.equal(stream.state, "stalled");
});

test("the first response may take 150 s", async () => {
  here.server.script(() => new Promise(() => {}), live());
  const { stream } = await here.connect();
  await here.clock.advance(149_999);
  assert.equal(stream.state, "connecting");
  await here.clock.advance(1);
  assert.equal(stream.reason, "Nothing has arrived for 150 seconds.");
});

test("after a response only stallSeconds apply", async () => {
  here.server.script(says("data: 1\n\n", { cut: true }), () => new Promise(() => {}), live());
  const { stream } = await here.connect();
  await here.clock.advance(1100 + 30_000);
  assert.deepEqual([stream.state, stream.reason], ["stalled", "Nothing has arrived for 30 seconds."]);
});

test("50 reconnects wait 1, 2, 4, 5, 5 ... seconds and at most a tenth more", async () => {
  const asked = [];
  here.server.always(() => (asked.push(here.clock.now), unreachable()()));
  const { stream, seen } = await here.connect({ attempts: 0 });
  await here.clock.advance(50 * 5500);
  const waits = asked.slice(1, 51).map((at, before) => at - asked[before]);
  assert.equal(waits.length, 50);
  waits.forEach((wait, at) => within(wait, DELAYS_MS[Math.min(at, 3)]));
  waits.forEach((wait, at) => assert.ok(Math.abs(wait - seen.delays[at]) < 0.01, "retryAt says it"));
  assert.ok(new Set(waits).size > 40, "they are spread");
  assert.equal(stream.attempt, asked.length);
});

test("1000 clients spread over the whole jitter", async () => {
  here.server.always(unreachable());
  const crowd = await Promise.all(Array.from({ length: 1000 }, () => here.connect()));
  const parts = Array(10).fill(0);
  for (const { stream } of crowd) parts[Math.min(9, Math.floor((stream.retryAt - Date.now() - 1000) / 10))]++;
  // Each part is due 100: 40 or fewer in one happen less than once in 10^10 runs.
  assert.ok(Math.min(...parts) > 40, parts.join(" "));
});

test("the delays begin again after a message", async () => {
  here.server.script(unreachable(), unreachable(), says(events(1, 1), NAMED), live());
  const { seen } = await here.connect();
  await here.clock.advance(1100 + 2200 + 1100);
  [1000, 2000, 1000].forEach((wait, at) => within(seen.delays[at], wait));
});

test("ten attempts without a message fail by default", async () => {
  here.server.always(unreachable());
  const { stream } = await here.connect();
  await here.clock.advance(60_000);
  assert.equal(stream.state, "failed");
  assert.equal(stream.reason, "The server cannot be reached. Given up after 10 attempts.");
  assert.equal(here.server.requests.length, 11);
});

test("the retry field replaces the first delay only", async () => {
  here.server.script(says("retry: 50\n", NAMED), unreachable(), unreachable());
  const { seen } = await here.connect();
  await here.clock.advance(55);
  [50, 2000].forEach((wait, at) => within(seen.delays[at], wait));
});

test("a long retry field bounds every delay from below", async () => {
  here.server.script(says("retry: 9000\n", NAMED), unreachable(), says("retry: 99999999999999999999\n", NAMED));
  const { seen } = await here.connect();
  await here.clock.advance(9900 + 9900);
  [9000, 9000, RETRY_AFTER_MS_MAX].forEach((wait, at) => within(seen.delays[at], wait));
});

test("a retry field of 0 applies to the first delay only", async () => {
  here.server.script(says("retry: 0\n", NAMED), unreachable());
  const { seen } = await here.connect();
  await here.clock.advance(0);
  assert.equal(here.server.requests.length, 2);
  within(seen.delays.at(-1), 2000);
});

for (const status of [429, 500, 502, 503, 504]) {
  test(`a GET is repeated after ${status} when Retry-After says`, async () => {
    here.server.script(
      answers(status, { headers: { "retry-after": "20" } }),
      answers(status, { headers: { "retry-after": new Date(Date.now() + 60_000).toUTCString() } }),
      answers(status, { headers: { "retry-after": "100000" } }),
      answers(status, { headers: { "retry-after": "soon" } }),
      live(),
    );
    const { stream, seen } = await here.connect();
    assert.deepEqual([stream.state, stream.reason], ["reconnecting", `The server is not available (${status}).`]);
    while (stream.retryAt) await here.clock.advance(stream.retryAt - Date.now() + 1);
    assert.equal(stream.state, "open");
    const [seconds, date, far, unreadable] = seen.delays;
    within(seconds, 20_000);
    assert.ok(date > 0 && date <= 1.1 * 40_000, `${date} ms from 20 s on until a minute`);
    within(far, RETRY_AFTER_MS_MAX);
    within(unreadable, 5000);
  });
}

test("Retry-After has priority over the retry field", async () => {
  here.server.script(says("retry: 5000\n"), answers(503, { headers: { "retry-after": "1" } }));
  const { seen } = await here.connect();
  await here.clock.advance(5500);
  within(seen.delays[1], 1000);
});

test("retryNow ends the wait", async () => {
  here.server.script(unreachable(), live());
  const { stream } = await here.connect();
  stream.retryNow();
  await settle();
  assert.deepEqual([stream.state, stream.retryAt], ["open", 0]);
});

test("retryNow at a stall replaces the connection immediately", async () => {
  here.server.script(live(), live());
  const { stream } = await here.connect();
  await here.clock.advance(30_000);
  stream.retryNow();
  await settle();
  assert.equal(stream.state, "open");
});

test("a recovery reports attempts, seconds and replayed", async () => {
  here.server.script(
    says(events(1, 2), { ...NAMED, cut: true }),
    unreachable(),
    live({ headers: { ...NAMED.headers, "sse-replayed": "5" } }),
  );
  const { stream, seen } = await here.connect();
  await here.clock.advance(4000);
  assert.equal(stream.state, "open");
  const [{ attempts, seconds, replayed }] = seen.recoveries;
  assert.deepEqual([attempts, replayed], [2, 5]);
  assert.ok(seconds >= 3 && seconds <= 3.3, `${seconds} s`);
});

test("an end without sse-end is a lost connection", async () => {
  here.server.script(says(events(1, 2), NAMED), says(events(3, 3) + end(3), NAMED));
  const { stream, seen } = await here.connect({ onEnd: "complete" });
  assert.equal(stream.state, "reconnecting");
  await here.clock.advance(1100);
  assert.deepEqual([stream.state, seen.data], ["completed", ["1", "2", "3"]]);
});

test("sse-end with more messages than arrived is not the end", async () => {
  here.server.script(says(events(1, 2) + end(3), NAMED), says(events(3, 3) + end(3), NAMED));
  const { stream } = await here.connect();
  assert.deepEqual([stream.state, stream.reason], ["reconnecting", "The end of the answer is missing."]);
  await here.clock.advance(1100);
  assert.equal(stream.state, "completed");
});

test("an open connection after sse-end ends after 2 s", async () => {
  const held = live(NAMED);
  here.server.script(held);
  const { stream } = await here.connect();
  held.send(events(1, 1) + end(1));
  await here.clock.advance(2000);
  assert.deepEqual([stream.state, held.aborted], ["completed", true]);
});

test("an event above the limit fails the stream", { timeout: 60_000 }, async () => {
  const endless = live();
  here.server.script(endless);
  const { stream } = await here.connect();
  const mebibyte = new Uint8Array(1024 * 1024).fill(97);
  for (let sent = 0; sent <= 64 && stream.state === "open"; sent++) {
    endless.send(mebibyte);
    await settle();
  }
  assert.deepEqual([stream.state, stream.reason], ["failed", "The server sent an event that is too large."]);
});
