/** Each message once, gaps shown, and reports that say what was received. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../../sidecar/client/js/client.js";
import { settle } from "./support/clock.mjs";
import { URL_OF_STREAM, numbers, world } from "./support/run.mjs";
import { answers, end, events, gap, live, says, token } from "./support/server.mjs";

const here = world();
const NAMED = { headers: { "sse-stream": token() } };
const cutAfter = (text) => says(text, { ...NAMED, cut: true });
const lastReport = () => here.server.reports.at(-1);

test("duplicates are dropped, counted and reported", async () => {
  here.server.script(cutAfter(events(1, 4)), says(events(2, 6) + events(6, 6) + end(6), NAMED));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(seen.data, ["1", "2", "3", "4", "5", "6"]);
  assert.deepEqual([stream.received, stream.duplicates, stream.state], [6, 4, "completed"]);
  const { received, duplicates, last_seq } = lastReport();
  assert.deepEqual([received, duplicates, last_seq], [6, 4, 6]);
});

test("duplicates within one connection are dropped", async () => {
  here.server.script(says(events(1, 3) + events(1, 3) + events(4, 4) + end(4), NAMED));
  const { stream, seen } = await here.connect();
  assert.deepEqual([seen.data, stream.duplicates], [["1", "2", "3", "4"], 3]);
});

test("a gap is shown and reported", async () => {
  here.server.script(cutAfter(events(1, 2)), says(gap(3, 5) + events(6, 7) + end(7), NAMED));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100);
  const told = { missedFrom: 3, missedThrough: 5, reason: "trimmed" };
  assert.deepEqual([seen.gaps, stream.gaps, stream.state], [[told], [told], "completed"]);
  assert.deepEqual([lastReport().gaps, lastReport().received, lastReport().last_seq], [[[3, 5]], 4, 7]);
});

test("after a gap the position is the end of the gap", async () => {
  here.server.script(cutAfter(events(1, 2)), cutAfter(gap(3, 5)), live(NAMED));
  await here.connect();
  await here.clock.advance(1100 + 2200);
  assert.equal(here.server.requests[2].headers.get("last-event-id"), `${token()}.5`);
});

test("the next message ends an open gap", async () => {
  here.server.script(cutAfter(events(1, 2)), says(gap(3, null) + events(6, 7) + end(7), NAMED));
  const { seen } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(seen.gaps, [{ missedFrom: 3, missedThrough: null, reason: "trimmed" }]);
  assert.deepEqual(lastReport().gaps, [[3, 5]]);
});

test("seqs that the sidecar uses again are new messages", async () => {
  here.server.script(cutAfter(events(1, 5)), says(gap(4, 5, "beyond") + events(1, 3) + events(4, 6) + end(6), NAMED));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(seen.data, ["1", "2", "3", "4", "5", "4", "5", "6"]);
  assert.deepEqual([stream.duplicates, seen.gaps[0].reason, lastReport().received], [3, "beyond", 6]);
});

test("messages lost on the way are requested again", async () => {
  here.server.script(says(events(1, 2) + events(5, 5) + end(5), NAMED), says(events(3, 5) + end(5), NAMED));
  const { stream, seen } = await here.connect();
  assert.deepEqual([stream.state, stream.reason], ["reconnecting", "Messages were lost on the way."]);
  await here.clock.advance(1100);
  assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.2`);
  assert.deepEqual([seen.data, seen.gaps, stream.duplicates], [["1", "2", "3", "4", "5"], [], 0]);
  assert.deepEqual([lastReport().received, lastReport().last_seq], [5, 5]);
});

test("messages that are missing twice are a gap", async () => {
  here.server.script(says(events(1, 2) + events(5, 5), NAMED), says(events(5, 5) + end(5), NAMED));
  const { seen } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(seen.gaps, [{ missedFrom: 3, missedThrough: 4, reason: "lost on the way" }]);
  assert.deepEqual([lastReport().gaps, lastReport().received, lastReport().last_seq], [[], 3, 5]);
});

test("a new stream after a reconnect is counted from its start", async () => {
  const other = { headers: { "sse-stream": token("B") } };
  here.server.script(cutAfter(events(1, 5)), says(gap(6, null, "expired") + events(1, 2, token("B")), other), live(other));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100 + 1100);
  assert.deepEqual(seen.data, ["1", "2", "3", "4", "5", "1", "2"]);
  assert.deepEqual([stream.duplicates, stream.received, stream.stream], [0, 7, token("B")]);
  assert.deepEqual([lastReport().stream, lastReport().received, lastReport().last_seq, lastReport().gaps], [token("B"), 2, 2, []]);
});

test("a new stream lost before its gap is requested again", async () => {
  const [other, third] = ["B", "C"].map((letter) => ({ headers: { "sse-stream": token(letter) } }));
  const begun = gap(3, null, "expired") + events(1, 1, token("C"));
  here.server.script(cutAfter(events(1, 2)), says("", { ...other, cut: true }), says(begun, third), live(third));
  const { seen } = await here.connect();
  await here.clock.advance(1100 + 2300 + 1100);
  const asked = here.server.requests.map(({ headers }) => headers.get("last-event-id"));
  assert.deepEqual([seen.data, seen.gaps.map(({ reason }) => reason)], [["1", "2", "1"], ["expired"]]);
  assert.deepEqual(asked, [null, `${token()}.2`, `${token()}.2`, `${token("C")}.1`]);
});

test("an unstamped stream resumes after the counted messages", async () => {
  here.server.script(cutAfter("data: a\n\ndata: b\n\n"), says(`data: c\n\n${end(3)}`, NAMED));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100);
  assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.2`);
  assert.deepEqual([seen.data, stream.state, lastReport().last_seq], [["a", "b", "c"], "completed", 3]);
});

test("an unstamped stream with equal ids loses no message", async () => {
  const said = (data) => `data: ${data}\nid: answer-1\n\n`;
  here.server.script(cutAfter(said("a") + said("b")), says(said("c") + said("d") + end(4), NAMED));
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual([seen.data, stream.duplicates, stream.state], [["a", "b", "c", "d"], 0, "completed"]);
});

test("the stream is read from ids if the header is missing", async () => {
  here.server.script(says(events(1, 2)), live());
  const { stream } = await here.connect();
  assert.equal(stream.stream, token());
  await here.clock.advance(1100);
  assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.2`);
});

test("without a sidecar ids are compared until the first new one", async () => {
  const foreign = (...ids) => ids.map((id) => `data: ${id}\nid: ${id}\n\n`).join("");
  here.server.script(says(foreign("a", "b", "c"), { cut: true }), says(foreign("b", "c", "d", "a"), { cut: true }), live());
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100 + 1100);
  assert.deepEqual([seen.data, stream.duplicates], [["a", "b", "c", "d", "a"], 2]);
  assert.deepEqual(here.server.requests.map(({ headers }) => headers.get("last-event-id")), [null, "c", "a"]);
  assert.deepEqual(here.server.reports, [], "there is nobody to report to");
});

test("without a sidecar equal ids are not duplicates", async () => {
  here.server.script(says("id: 1\ndata: a\n\ndata: b\n\nid: 1\ndata: c\n\n"));
  const { seen } = await here.connect({ onEnd: "complete" });
  assert.deepEqual(seen.data, ["a", "b", "c"]);
});

test("without ids every message is new", async () => {
  here.server.script(says("data: a\n\n", { cut: true }), says("data: a\n\n"), live());
  const { stream, seen } = await here.connect();
  await here.clock.advance(1100 + 1100);
  assert.deepEqual([seen.data, stream.duplicates, stream.state], [["a", "a"], 0, "open"]);
});

test("after a clean end a GET reconnects and a POST is complete", async () => {
  here.server.script(says("data: a\n\n"), live(), says("data: a\n\n"), says("data: a\n\n"));
  const get = await here.connect();
  assert.deepEqual(get.seen.states.at(-1), ["reconnecting", "The server ended the connection."]);
  await here.clock.advance(1100);
  const post = await here.connect({ method: "POST", body: "q" });
  assert.deepEqual([post.stream.state, post.stream.reason], ["completed", "Complete."]);
  const once = await here.connect({ onEnd: "complete" });
  assert.equal(once.stream.state, "completed");
});

test("a report is sent at each recovery and at the end", async () => {
  here.server.script(cutAfter(events(1, 2)), cutAfter(events(3, 3)), says(end(3), NAMED));
  await here.connect();
  await here.clock.advance(2200);
  const [first, second, last] = here.server.reports;
  assert.equal(here.server.reports.length, 3);
  assert.deepEqual(
    [first, second, last].map(({ at, state, received }) => [at, state, received]),
    [
      ["recovery", "open", 2],
      ["recovery", "open", 3],
      ["end", "completed", 3],
    ],
  );
  assert.deepEqual(Object.keys(last), ["v", "stream", "received", "first_seq", "last_seq", "gaps", "duplicates", "reconnects", "stalls", "state", "told", "at"]);
  assert.deepEqual([last.v, last.stream, last.stalls, last.told], [1, token(), 0, true]);
  assert.equal(last.reconnects.length, 2);
  last.reconnects.forEach((seconds) => assert.ok(seconds >= 1 && seconds <= 1.1));
});

test("a report counts the stalls", async () => {
  here.server.script(live(NAMED), says(end(0), NAMED));
  await here.connect();
  await here.clock.advance(30_000 + 1100);
  assert.deepEqual([lastReport().stalls, lastReport().state], [1, "completed"]);
});

test("told is true only if the page reads the state", async () => {
  for (const [look, told] of [
    [() => {}, false],
    [(stream) => void stream.done, true],
    [(stream) => stream.addEventListener("state", () => {}), true],
    [(stream) => void stream[Symbol.asyncIterator]().next(), true],
  ]) {
    here.server.script(says(events(1, 1) + end(1), NAMED));
    const stream = connect(URL_OF_STREAM);
    look(stream);
    await settle();
    assert.equal(lastReport().told, told);
  }
});

test("a report has at most 4 KiB", async () => {
  const longest = 10 ** 15 - 1;
  let [seq, text] = [0, ""];
  for (let at = 0; at < 80; at++) {
    const from = longest - 1000 + at * 3;
    text += gap(seq + 1, from) + events(from + 1, from + 1);
    seq = from + 1;
  }
  here.server.script(cutAfter(text), ...Array.from({ length: 80 }, (_, at) => cutAfter(events(seq + at + 1, seq + at + 1))), live(NAMED));
  const { stream } = await here.connect();
  await here.clock.advance(90 * 1100);
  stream.close();
  assert.ok(lastReport().gaps.length === 50 && lastReport().reconnects.length === 50);
  assert.ok(JSON.stringify(lastReport()).length <= 4096, `${JSON.stringify(lastReport()).length} bytes`);
  assert.equal(stream.gaps.length, 50);
});

test("reports can be switched off", async () => {
  here.server.script(cutAfter(events(1, 1)), says(end(1), NAMED));
  const { stream } = await here.connect({ reports: false });
  await here.clock.advance(1100);
  assert.deepEqual([stream.state, here.server.reports], ["completed", []]);
});

test("a report that fails changes nothing", async () => {
  here.server.script(says(events(1, 1) + end(1), NAMED));
  const { fetch } = globalThis;
  globalThis.fetch = (url, init) => (String(url).endsWith("/reports") ? Promise.reject(new TypeError("blocked")) : fetch(url, init));
  const { stream } = await here.connect();
  assert.equal(stream.state, "completed");
});

test("the iterator yields the same messages and ends with the stream", async () => {
  here.server.script(cutAfter(events(1, 3)), says(events(4, 5) + end(5), NAMED));
  const stream = connect(URL_OF_STREAM);
  const seen = [];
  const reading = (async () => {
    for await (const { data, lastEventId, origin } of stream) seen.push([data, lastEventId, origin]);
  })();
  await here.clock.advance(1100);
  await reading;
  assert.deepEqual(seen, [1, 2, 3, 4, 5].map((n) => [`${n}`, `${token()}.${n}`, "http://sidecar.test"]));
});

test("leaving the loop closes the stream", async () => {
  here.server.script(says([events(1, 3), events(4, 9)], NAMED));
  const stream = connect(URL_OF_STREAM);
  for await (const { data } of stream) if (data === "2") break;
  assert.deepEqual([stream.state, stream.reason], ["closed", "This page left the stream."]);
  assert.equal(lastReport().state, "closed");
});

test("each of two iterators yields every message", async () => {
  here.server.script(says(events(1, 3) + end(3), NAMED));
  const stream = connect(URL_OF_STREAM);
  const all = async () => {
    const seen = [];
    for await (const { data } of stream) seen.push(data);
    return seen;
  };
  assert.deepEqual(await Promise.all([all(), all()]), [["1", "2", "3"], ["1", "2", "3"]]);
});

test("an iterator after the first message throws", async () => {
  here.server.script(says(events(1, 3) + end(3), NAMED));
  const { stream } = await here.connect();
  await assert.rejects(stream[Symbol.asyncIterator]().next(), /iterate right after connect/);
});

test("reading pauses while an iterator is 1000 messages behind", async () => {
  const chunks = Array.from({ length: 30 }, (_, at) => events(at * 100 + 1, at * 100 + 100));
  const feed = live(NAMED);
  here.server.script(feed);
  const stream = connect(URL_OF_STREAM);
  const iterator = stream[Symbol.asyncIterator]();
  const first = iterator.next();
  await settle();
  chunks.forEach((chunk) => feed.send(chunk));
  await here.clock.advance(600_000);
  assert.equal((await first).value.data, "1");
  assert.deepEqual([stream.state, stream.received], ["open", 1000 + 100]);
  for (let seq = 2; seq <= 3000; seq++) assert.equal((await iterator.next()).value.data, `${seq}`);
  assert.equal(stream.state, "open");
  stream.close();
  assert.equal((await iterator.next()).done, true);
});

test("after close a listener receives no event of the chunk", async () => {
  here.server.script(says(events(1, 9), NAMED));
  const stream = connect(URL_OF_STREAM);
  const seen = [];
  stream.addEventListener("message", ({ data }) => (seen.push(data), data === "2" && stream.close()));
  await settle();
  assert.deepEqual([seen, stream.state], [["1", "2"], "closed"]);
});

test("an event with a name is dispatched under it", async () => {
  here.server.script(says("event: token\ndata: hi\n\n"));
  assert.deepEqual((await here.connect({ onEnd: "complete" })).seen.data, ["hi"]);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, Math.floor(Math.random() * 2 ** 31)]) {
  test(`random cuts and replays: each message once (seed ${seed})`, async () => {
    const chance = numbers(seed);
    const upTo = (n) => Math.floor(chance() * n);
    const total = 50 + upTo(100);
    const lineEnd = ["\n", "\r\n", "\r"];
    const block = (seq) => {
      const eol = lineEnd[upTo(3)];
      const comment = chance() < 0.2 ? `: hb idle=${upTo(90)}${eol}` : "";
      const text = chance() < 0.3 ? `data: é→🚇 ${seq}${eol}data: 2${eol}` : `data: ${seq}${eol}`;
      return new TextEncoder().encode(`${comment}${text}id: ${token()}.${seq}${eol}${eol}`);
    };
    const blocks = Array.from({ length: total }, (_, at) => block(at + 1));
    const chunked = (bytes) => {
      const chunks = [];
      for (let at = 0; at < bytes.length; ) chunks.push(bytes.slice(at, (at += 1 + upTo(chance() < 0.5 ? 3 : 200))));
      return chunks;
    };
    here.server.always(({ headers }) => {
      const position = Number((headers.get("last-event-id") ?? ".0").split(".")[1]);
      const from = Math.max(0, position - upTo(4)); // sometimes it says again what it has said
      const bytes = Buffer.concat([...blocks.slice(from), Buffer.from(end(total))]);
      const cut = chance() < 0.8 && bytes.length > 40;
      return says(chunked(cut ? bytes.subarray(0, 20 + upTo(Math.min(bytes.length - 20, 900))) : bytes), { ...NAMED, cut })(here.server.requests.at(-1));
    });
    const { stream, seen } = await here.connect({ attempts: 0 });
    for (let turn = 0; turn < 500 && stream.state !== "completed"; turn++) await here.clock.advance(5500);
    const wanted = blocks.map((bytes) => Buffer.from(bytes).toString().match(/data: [^\r\n]*/g).map((line) => line.slice(6)).join("\n"));
    assert.deepEqual(seen.data, wanted);
    assert.deepEqual([stream.state, stream.received, lastReport().received, lastReport().last_seq], ["completed", total, total, total]);
    assert.equal(lastReport().reconnects.length, Math.min(50, here.server.requests.length - 1));
  });
}

test("204 after a complete replay completes the stream", async () => {
  here.server.script(cutAfter(events(1, 3)), answers(204));
  const { stream } = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual([stream.state, stream.received], ["completed", 3]);
});
