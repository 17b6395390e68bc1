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

test("a connection that is silent for 30 s is stalled and replaced, from the position", async () => {
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

test("every byte puts the stall off, also one that ends no line", async () => {
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

test("heartbeats keep it open and say how long the backend is silent", async () => {
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

test("a comment of any server shows the seconds since its last message", async () => {
  const other = live();
  here.server.script(other);
  const { seen } = await here.connect();
  other.send("data: 1\n\n");
  await here.clock.advance(12_500);
  other.send(": ping\n\n");
  await settle();
  assert.deepEqual(seen.idle, [12]);
});

test("the time until a stall is an option", async () => {
  here.server.script(live());
  const { stream } = await here.connect({ stallSeconds: 5 });
  await here.clock.advance(5000);
  assert.equal(stream.state, "stalled");
});

test("the first answer may take as long as a model thinks", async () => {
  here.server.script(() => new Promise(() => {}), live());
  const { stream } = await here.connect();
  await here.clock.advance(149_999);
  assert.equal(stream.state, "connecting");
  await here.clock.advance(1);
  assert.equal(stream.reason, "Nothing has arrived for 150 seconds.");
});

test("a server that has answered before is not waited for so long", async () => {
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

test("a thousand clients that lose one server spread over the whole of the jitter", async () => {
  here.server.always(unreachable());
  const crowd = await Promise.all(Array.from({ length: 1000 }, () => here.connect()));
  const parts = Array(10).fill(0);
  for (const { stream } of crowd) parts[Math.min(9, Math.floor((stream.retryAt - Date.now() - 1000) / 10))]++;
  // Each part is due 100: 40 or fewer in one happen less than once in 10^10 runs.
  assert.ok(Math.min(...parts) > 40, parts.join(" "));
});

test("the waits begin anew after a message", async () => {
  here.server.script(unreachable(), unreachable(), says(events(1, 1), NAMED), live());
  const { seen } = await here.connect();
  await here.clock.advance(1100 + 2200 + 1100);
  [1000, 2000, 1000].forEach((wait, at) => within(seen.delays[at], wait));
});

test("ten attempts without a message are enough, unless told otherwise", async () => {
  here.server.always(unreachable());
  const { stream } = await here.connect();
  await here.clock.advance(60_000);
  assert.equal(stream.state, "failed");
  assert.equal(stream.reason, "The server cannot be reached. Given up after 10 attempts.");
  assert.equal(here.server.requests.length, 11);
});

test("the server's retry replaces the first wait only", async () => {
  here.server.script(says("retry: 50\n", NAMED), unreachable(), unreachable());
  const { seen } = await here.connect();
  await here.clock.advance(55);
  [50, 2000].forEach((wait, at) => within(seen.delays[at], wait));
});

test("a long retry of the server's holds for every wait, within bounds", async () => {
  here.server.script(says("retry: 9000\n", NAMED), unreachable(), says("retry: 99999999999999999999\n", NAMED));
  const { seen } = await here.connect();
  await here.clock.advance(9900 + 9900);
  [9000, 9000, RETRY_AFTER_MS_MAX].forEach((wait, at) => within(seen.delays[at], wait));
});

test("a retry of 0 is asked again at once, and once", async () => {
  here.server.script(says("retry: 0\n", NAMED), unreachable());
  const { seen } = await here.connect();
  await here.clock.advance(0);
  assert.equal(here.server.requests.length, 2);
  within(seen.delays.at(-1), 2000);
});

for (const status of [429, 500, 502, 503, 504]) {
  test(`a GET that is answered ${status} is asked again, when Retry-After says`, async () => {
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

test("Retry-After wins over retry", async () => {
  here.server.script(says("retry: 5000\n"), answers(503, { headers: { "retry-after": "1" } }));
  const { seen } = await here.connect();
  await here.clock.advance(5500);
  within(seen.delays[1], 1000);
});

test("retryNow does not wait", async () => {
  here.server.script(unreachable(), live());
  const { stream } = await here.connect();
  stream.retryNow();
  await settle();
  assert.deepEqual([stream.state, stream.retryAt], ["open", 0]);
});

test("retryNow at a stall replaces the connection at once", async () => {
  here.server.script(live(), live());
  const { stream } = await here.connect();
  await here.clock.advance(30_000);
  stream.retryNow();
  await settle();
  assert.equal(stream.state, "open");
});

test("a recovery says what it took", async () => {
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

test("the connection's end without the last word of the sidecar is no end", async () => {
  here.server.script(says(events(1, 2), NAMED), says(events(3, 3) + end(3), NAMED));
  const { stream, seen } = await here.connect({ onEnd: "complete" });
  assert.equal(stream.state, "reconnecting");
  await here.clock.advance(1100);
  assert.deepEqual([stream.state, seen.data], ["completed", ["1", "2", "3"]]);
});

test("an end that counts more than arrived is no end", async () => {
  here.server.script(says(events(1, 2) + end(3), NAMED), says(events(3, 3) + end(3), NAMED));
  const { stream } = await here.connect();
  assert.deepEqual([stream.state, stream.reason], ["reconnecting", "The end of the answer is missing."]);
  await here.clock.advance(1100);
  assert.equal(stream.state, "completed");
});

test("a connection that is held open after the last word does not hold up the end", async () => {
  const held = live(NAMED);
  here.server.script(held);
  const { stream } = await here.connect();
  held.send(events(1, 1) + end(1));
  await here.clock.advance(2000);
  assert.deepEqual([stream.state, held.aborted], ["completed", true]);
});

test("an event that never ends is refused, not kept for ever", { timeout: 60_000 }, async () => {
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
