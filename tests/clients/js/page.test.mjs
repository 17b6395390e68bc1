/** What happens to a page: it goes offline, is put aside, reloaded, opened on a second device, stopped. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../../../sidecar/client/js/client.js";
import { settle } from "./support/clock.mjs";
import { URL_OF_STREAM, inPage, world } from "./support/run.mjs";
import { answers, end, events, live, says, token, unreachable } from "./support/server.mjs";

const here = world();
const NAMED = { headers: { "sse-stream": token() } };
const cutAfter = (text) => says(text, { ...NAMED, cut: true });
const JOINED = `http://sidecar.test/_sse/streams/${token()}`;
const PLACE = "sse-sidecar:answer";

let page;
beforeEach(() => (page = inPage()));
afterEach(() => page.leave());

test("offline, it waits for the online event", async () => {
  const open = live(NAMED);
  here.server.script(open, live(NAMED));
  const { stream, seen } = await here.connect();
  page.navigator.onLine = false;
  open.cut();
  await here.clock.advance(200_000);
  assert.equal(here.server.requests.length, 1);
  assert.deepEqual([stream.state, stream.reason, stream.retryAt], ["reconnecting", "You are offline. This goes on as soon as you are back online.", 0]);
  page.navigator.onLine = true;
  page.happens("online");
  await settle();
  assert.equal(stream.state, "open");
  assert.equal(seen.recoveries[0].seconds, 200);
});

test("offline, it makes an attempt after 5 minutes", async () => {
  page.navigator.onLine = false;
  here.server.script(unreachable(), live());
  const { stream } = await here.connect();
  assert.equal(here.server.requests.length, 1, "the first connection is tried in any case");
  await here.clock.advance(300_000);
  assert.equal(stream.state, "open");
});

test("offline during a wait, it makes no attempt", async () => {
  here.server.script(unreachable(), live());
  const { stream } = await here.connect();
  page.navigator.onLine = false;
  await here.clock.advance(1100);
  assert.deepEqual([here.server.requests.length, stream.reason.slice(0, 7)], [1, "You are"]);
  page.navigator.onLine = true;
  page.happens("online");
  await settle();
  assert.equal(stream.state, "open");
});

test("the online event ends a wait", async () => {
  here.server.script(unreachable(), live());
  const { stream } = await here.connect();
  page.happens("online");
  await settle();
  assert.equal(stream.state, "open");
});

for (const [what, aside, back] of [
  ["the back/forward cache", () => page.happens("pagehide"), () => page.happens("pageshow")],
  ["a freeze", () => page.frozen("freeze"), () => page.frozen("resume")],
  ["both", () => (page.happens("pagehide"), page.frozen("freeze")), () => (page.frozen("resume"), page.happens("pageshow"))],
]) {
  test(`a page in ${what} reports, disconnects and resumes later`, async () => {
    const first = live(NAMED);
    here.server.script(first, live(NAMED));
    const { stream } = await here.connect();
    first.send(events(1, 2));
    await settle();
    aside();
    assert.equal(first.aborted, true);
    const [{ at, received, state }] = here.server.reports;
    assert.deepEqual([at, received, state], ["pagehide", 2, "open"]);
    await here.clock.advance(3_600_000);
    assert.deepEqual([stream.state, stream.reason, stream.attempt], ["reconnecting", "This page was put aside. It goes on when you come back to it.", 0]);
    assert.equal(here.server.requests.length, 1);
    back();
    await settle();
    assert.equal(stream.state, "open");
    assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.2`);
    assert.deepEqual(here.server.reports.map(({ at }) => at), ["pagehide", "recovery"]);
  });
}

test("the first pageshow does not reconnect", async () => {
  here.server.script(live());
  const { stream } = await here.connect();
  page.happens("pageshow");
  page.happens("visibilitychange");
  page.frozen("visibilitychange");
  await settle();
  assert.deepEqual([stream.state, here.server.requests.length], ["open", 1]);
});

test("after the end no page event is handled", async () => {
  here.server.script(says(events(1, 1) + end(1), NAMED));
  await here.connect();
  page.happens("pagehide");
  page.happens("online");
  assert.deepEqual(here.server.reports.map(({ at }) => at), ["end"]);
});

test("reports use sendBeacon with text, without a preflight", async () => {
  const sent = [];
  page.navigator.sendBeacon = function (url, body) {
    assert.equal(this, page.navigator);
    sent.push([url, body]);
    return true;
  };
  here.server.script(says(events(1, 1) + end(1), NAMED));
  await here.connect();
  const [[url, body]] = sent;
  assert.deepEqual([url, typeof body, JSON.parse(body).state], ["http://sidecar.test/_sse/reports", "string", "completed"]);
  assert.deepEqual(here.server.reports, []);
});

test("a refused beacon is sent by fetch with keepalive", async () => {
  page.navigator.sendBeacon = () => false;
  here.server.script(says(events(1, 1) + end(1), NAMED));
  await here.connect();
  assert.equal(here.server.reports.length, 1);
});

test("a reloaded page reads its stream from the start", async () => {
  const first = live(NAMED);
  here.server.script(first, says(events(1, 5) + end(5), NAMED));
  const before = await here.connect({ method: "POST", body: "q", key: "answer" });
  first.send(events(1, 3));
  await settle();
  page.happens("pagehide");
  assert.equal(JSON.parse(page.sessionStorage.items.get(PLACE)).stream, token());
  const { stream, seen } = await here.connect({ method: "POST", body: "q", key: "answer" });
  const [, again] = here.server.requests;
  assert.deepEqual([again.method, again.url, again.headers.get("last-event-id")], ["GET", JOINED, null]);
  assert.deepEqual([seen.data, stream.state], [["1", "2", "3", "4", "5"], "completed"]);
  assert.equal(page.sessionStorage.items.size, 0, "what is over is forgotten");
  before.stream.close();
});

test("from: position continues after the last message", async () => {
  const first = live(NAMED);
  here.server.script(first, says(events(4, 5) + end(5), NAMED));
  const options = { key: "answer", from: "position" };
  await here.connect(options);
  first.send(events(1, 3));
  await settle();
  const { seen } = await here.connect(options);
  assert.deepEqual([here.server.requests[1].url, here.server.requests[1].headers.get("last-event-id")], [URL_OF_STREAM, `${token()}.3`]);
  assert.deepEqual(seen.data, ["4", "5"]);
  const { first_seq, last_seq, received } = here.server.reports.at(-1);
  assert.deepEqual([first_seq, last_seq, received], [4, 5, 2]);
});

test("without a sidecar the last event id is kept", async () => {
  const first = live();
  here.server.script(first, live());
  const options = { key: "answer", from: "position" };
  await here.connect(options);
  first.send("data: 1\nid: theirs\n\n");
  await settle();
  const { stream } = await here.connect(options);
  assert.equal(here.server.requests[1].headers.get("last-event-id"), "theirs");
  assert.equal(stream.lastEventId, "theirs");
});

test("another URL with the same key begins a new stream", async () => {
  here.server.script(live(NAMED), live());
  await here.connect({ key: "answer" });
  const { stream } = await here.connect({ key: "answer" }, "http://sidecar.test/api/other");
  assert.equal(here.server.requests[1].url, "http://sidecar.test/api/other");
  assert.equal(stream.stream, "");
});

test("a reload of a stream that is gone fails and forgets the key", async () => {
  const first = live(NAMED);
  here.server.script(first, answers(410), live());
  await here.connect({ key: "answer" });
  page.happens("pagehide");
  const { stream } = await here.connect({ key: "answer" });
  assert.deepEqual([stream.state, stream.reason], ["failed", "The rest of this is no longer kept. Ask again."]);
  await here.connect({ key: "answer" });
  assert.equal(here.server.requests[2].url, URL_OF_STREAM);
});

for (const [what, storage] of [
  ["is full", { getItem: () => null, setItem: () => { throw new Error("QuotaExceededError"); }, removeItem: () => {} }],
  ["throws at everything", new Proxy({}, { get: () => { throw new Error("SecurityError"); } })],
  ["is missing", undefined],
  ["holds nonsense", { getItem: () => "nonsense", setItem: () => {}, removeItem: () => {} }],
  ["holds null", { getItem: () => "null", setItem: () => {}, removeItem: () => {} }],
]) {
  test(`storage that ${what} changes nothing`, async () => {
    page.sessionStorage = globalThis.sessionStorage = storage;
    here.server.script(says(events(1, 1) + end(1), NAMED));
    assert.equal((await here.connect({ key: "answer" })).stream.state, "completed");
  });
}

test("storage that throws on access changes nothing", async () => {
  Object.defineProperty(globalThis, "sessionStorage", { configurable: true, get: () => { throw new Error("SecurityError"); } });
  here.server.script(says(events(1, 1) + end(1), NAMED));
  assert.equal((await here.connect({ key: "answer" })).stream.state, "completed");
});

test("an id that is too long is not stored", async () => {
  const first = live();
  here.server.script(first);
  await here.connect({ key: "answer", from: "position" });
  first.send(`data: 1\nid: ${"x".repeat(5000)}\n\n`);
  await settle();
  assert.equal(page.sessionStorage.items.size, 0);
});

test("a second device joins a stream by its id", async () => {
  here.server.script(cutAfter(events(1, 3)), says(events(4, 4) + end(4), NAMED));
  const { stream, seen } = await here.connect({ join: token(), method: "POST", body: "q" });
  await here.clock.advance(1100);
  assert.deepEqual(here.server.requests.map(({ method, url }) => [method, url]), [["GET", JOINED], ["GET", JOINED]]);
  assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.3`);
  assert.deepEqual([seen.data, stream.state], [["1", "2", "3", "4"], "completed"]);
});

test("a stream id is escaped in the URL", async () => {
  here.server.script(answers(404));
  await here.connect({ join: "../../api/delete?all=1#" });
  assert.equal(here.server.requests[0].url, "http://sidecar.test/_sse/streams/..%2F..%2Fapi%2Fdelete%3Fall%3D1%23");
});

test("joining an unknown stream fails", async () => {
  here.server.script(answers(404, { body: '{"title":"There is no such stream for you. Start a new request.","code":"err-sidecar-stream-not-found"}' }));
  const { stream } = await here.connect({ join: token() });
  assert.deepEqual([stream.state, stream.reason, stream.code], ["failed", "There is no such stream for you. Start a new request.", "err-sidecar-stream-not-found"]);
});

const CANCELLED = `event: sse-error\ndata: {"error":{"code":"err-sidecar-cancelled","message":"The answer was stopped by its user."}}\nid: ${token()}.4\n\n`;

test("cancel reads the remaining events to the end", async () => {
  const first = live(NAMED);
  here.server.script(first);
  const { stream, seen } = await here.connect({ method: "POST", body: "q", headers: { Authorization: "me", "Content-Type": "text/plain" } });
  first.send(events(1, 2));
  await settle();
  const stopping = stream.cancel();
  await settle();
  const [{ method, url, headers, init }] = here.server.cancels;
  assert.deepEqual([method, url, init.keepalive, headers.get("authorization"), headers.get("content-type")], ["POST", `${JOINED}/cancel`, true, "me", null]);
  first.send(events(3, 3) + CANCELLED);
  first.cut();
  await settle();
  assert.equal(await stopping, true);
  assert.deepEqual([stream.state, stream.reason, stream.code], ["closed", "You stopped this.", ""]);
  assert.deepEqual(seen.data, ["1", "2", "3"]);
  const { received, last_seq, state } = here.server.reports.at(-1);
  assert.deepEqual([received, last_seq, state], [3, 3, "closed"]);
  assert.equal(await stream.cancel(), true);
  assert.equal(here.server.cancels.length, 1);
});

test("after a confirmed cancel it waits 2 s for the end", async () => {
  here.server.script(live(NAMED));
  const { stream } = await here.connect();
  const stopping = stream.cancel();
  await here.clock.advance(1999);
  assert.equal(stream.state, "open");
  await here.clock.advance(1);
  assert.equal(await stopping, true);
  assert.equal(stream.state, "closed");
});

test("a cancel that fails says so in the reason", async () => {
  here.server.cancelStatus = 403;
  here.server.script(live(NAMED));
  const { stream } = await here.connect();
  assert.equal(await stream.cancel(), false);
  assert.deepEqual([stream.state, stream.reason], ["closed", "You stopped reading, but the server could not be told."]);
});

test("cancel without a connection reconnects for the rest", async () => {
  here.server.script(cutAfter(events(1, 2)), says(events(3, 3) + CANCELLED, { ...NAMED, cut: true }));
  const { stream, seen } = await here.connect();
  assert.equal(stream.state, "reconnecting");
  const stopping = stream.cancel();
  await settle();
  assert.equal(await stopping, true);
  assert.deepEqual([seen.data, stream.state], [["1", "2", "3"], "closed"]);
});

test("a connection lost after a cancel is replaced in 250 ms", async () => {
  const first = live(NAMED);
  here.server.script(first, cutAfter(""), says(events(1, 1) + CANCELLED.replace(".4", ".2"), { ...NAMED, cut: true }));
  const { stream, seen } = await here.connect();
  const stopping = stream.cancel();
  await settle();
  first.cut();
  await here.clock.advance(499);
  assert.equal(here.server.requests.length, 2);
  await here.clock.advance(1);
  assert.equal(await stopping, true);
  assert.deepEqual([seen.data, stream.state, here.server.reports.at(-1).last_seq], [["1"], "closed", 1]);
});

test("cancel without a sidecar closes the stream", async () => {
  const first = live();
  here.server.script(first);
  const { stream } = await here.connect();
  assert.equal(await stream.cancel(), false);
  assert.deepEqual([stream.state, stream.reason, first.aborted, here.server.cancels], ["closed", "You stopped this.", true, []]);
});

test("cancel after the end changes nothing", async () => {
  here.server.script(says(events(1, 1) + end(1), NAMED));
  const { stream } = await here.connect();
  assert.equal(await stream.cancel(), false);
  assert.deepEqual([stream.state, here.server.cancels], ["completed", []]);
});

test("a stream that completes during a cancel is completed", async () => {
  const first = live(NAMED);
  here.server.script(first);
  const { stream } = await here.connect();
  const stopping = stream.cancel();
  first.send(events(1, 1) + end(1));
  first.end();
  await settle();
  assert.equal(await stopping, false);
  assert.equal(stream.state, "completed");
});

test("close is immediate and final", async () => {
  const first = live(NAMED);
  here.server.script(first);
  const { stream } = await here.connect();
  stream.close();
  assert.deepEqual([stream.state, stream.reason, first.aborted], ["closed", "This page left the stream.", true]);
  await here.clock.advance(600_000);
  assert.equal(here.server.requests.length, 1);
  assert.deepEqual(here.server.reports.map(({ at, state }) => [at, state]), [["end", "closed"]]);
  stream.close();
  assert.equal(await stream.done, "closed");
});

test("close ends a wait", async () => {
  here.server.script(unreachable());
  const { stream } = await here.connect();
  stream.close();
  await settle();
  assert.deepEqual([stream.state, stream.retryAt, here.clock.pending], ["closed", 0, 0]);
});

test("aborting the signal closes the stream", async () => {
  const leaving = new AbortController();
  here.server.script(live());
  const { stream } = await here.connect({ signal: leaving.signal });
  leaving.abort();
  assert.equal(stream.state, "closed");
});

test("with an aborted signal no request is sent", async () => {
  const { stream } = await here.connect({ signal: AbortSignal.abort() });
  assert.deepEqual([stream.state, here.server.requests], ["closed", []]);
});

test("close in the open event: no recovery is reported", async () => {
  here.server.script(cutAfter(events(1, 1)), live(NAMED));
  const { stream, seen } = await here.connect();
  stream.addEventListener("state", () => stream.state === "open" && stream.close());
  await here.clock.advance(1100);
  assert.deepEqual([stream.state, seen.recoveries, here.server.reports.map(({ at }) => at)], ["closed", [], ["end"]]);
});

test("a relative URL uses the base, but not as the origin", async () => {
  Object.assign(globalThis.document, { baseURI: "http://cdn.test/app/" });
  here.server.script(says(events(1, 2), { cut: true }), live());
  await here.connect({}, "chat");
  await here.clock.advance(1100);
  assert.equal(here.server.requests[1].url, `http://cdn.test/app/chat?last_event_id=${token()}.2`);
});

test("close right after connect sends no request", async () => {
  const stream = connect(URL_OF_STREAM);
  stream.close();
  await settle();
  assert.deepEqual([stream.state, here.server.requests], ["closed", []]);
});
