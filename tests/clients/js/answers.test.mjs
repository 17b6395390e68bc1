/** What an answer means: endings, refusals, errors inside the stream, and requests that must not be made twice. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamFailed, connect } from "../../../sidecar/client/js/client.js";
import { settle } from "./support/clock.mjs";
import { URL_OF_STREAM, inPage, world } from "./support/run.mjs";
import { answers, end, events, live, says, token, unreachable } from "./support/server.mjs";

const here = world();
const NAMED = { headers: { "sse-stream": token() } };
const POST = { method: "POST", body: '{"q":1}', headers: { "Content-Type": "application/json" } };
const TWICE = "What was sent may have been carried out, so it is not sent again.";
const problem = (title, code) => ({ body: JSON.stringify({ type: "about:blank", title, code }) });
const ended = ({ stream }) => [stream.state, stream.reason, stream.code];

test("sse-end completes the stream", async () => {
  here.server.script(says(events(1, 3) + end(3), NAMED));
  const run = await here.connect();
  assert.deepEqual(ended(run), ["completed", "Complete.", ""]);
  assert.deepEqual(run.seen.data, ["1", "2", "3"]);
  assert.deepEqual([run.stream.received, run.stream.lastEventId], [3, `${token()}.3`]);
  assert.equal(await run.stream.done, "completed");
});

test("204 completes the stream", async () => {
  here.server.script(says(events(1, 3), { ...NAMED, cut: true }), answers(204));
  const run = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(ended(run), ["completed", "Complete.", ""]);
});

test("204 to the first request completes an empty stream", async () => {
  here.server.script(answers(204));
  assert.deepEqual(ended(await here.connect()), ["completed", "Complete.", ""]);
});

test("410 fails with the sidecar's message", async () => {
  const sentence = "The rest of this answer is no longer kept. Ask again.";
  here.server.script(says(events(1, 3), { ...NAMED, cut: true }), answers(410, problem(sentence, "err-sidecar-resume-expired")));
  const run = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(ended(run), ["failed", sentence, "err-sidecar-resume-expired"]);
});

test("410 without a message fails with the client's sentence", async () => {
  here.server.script(answers(410));
  assert.deepEqual(ended(await here.connect()), ["failed", "The rest of this is no longer kept. Ask again.", ""]);
});

for (const status of [400, 404, 405, 409, 422, 451]) {
  test(`${status} fails immediately`, async () => {
    here.server.script(answers(status));
    assert.deepEqual(ended(await here.connect()), ["failed", `The server refused the request (${status}).`, ""]);
  });
}

for (const [form, body, code] of [
  ["OpenAI", { error: { message: "No.", type: "invalid_request_error", code: "bad_model" } }, "bad_model"],
  ["Anthropic", { type: "error", error: { type: "not_found_error", message: "No." } }, ""],
  ["Google", { error: { code: 404, message: "No.", details: [{ reason: "GONE" }] } }, "GONE"],
  ["problem+json", { title: "Not found", detail: "No.", code: "err-1" }, "err-1"],
  ["a text", { error: "No." }, ""],
]) {
  test(`a refusal in the form of ${form} shows its message`, async () => {
    here.server.script(answers(404, { body: JSON.stringify(body) }));
    assert.deepEqual(ended(await here.connect()), ["failed", "No.", code]);
  });
}

for (const body of ["<!doctype html>", "null", "[]", '{"error":{"message":{}}}', '{"error":[]}', '{"message":7}']) {
  test(`a refusal with the body ${body} shows the client's sentence`, async () => {
    here.server.script(answers(400, { body }));
    assert.deepEqual(ended(await here.connect()), ["failed", "The server refused the request (400).", ""]);
  });
}

test("the message of a refusal is cut at 300 characters", async () => {
  here.server.script(answers(400, { body: JSON.stringify({ error: "x".repeat(5000) }) }));
  assert.equal((await here.connect()).stream.reason, "x".repeat(300));
});

for (const type of ["text/html", "text/plain; charset=utf-8", "application/json", "text/event-stream-not", ""]) {
  test(`200 with the type "${type}" is not a stream`, async () => {
    here.server.script(answers(200, { headers: { "content-type": type }, body: "<p>Log in" }));
    assert.deepEqual(ended(await here.connect()), ["failed", "The server answered with something else than an event stream.", ""]);
  });
}

for (const type of ["text/event-stream;charset=utf-8", "TEXT/EVENT-STREAM ; charset=utf-8", "text/event-stream"]) {
  test(`200 with the type "${type}" is a stream`, async () => {
    here.server.script(says("data: 1\n\n", { headers: { "content-type": type } }));
    assert.deepEqual((await here.connect({ onEnd: "complete" })).seen.data, ["1"]);
  });
}

for (const [form, event, message, code] of [
  ["an unknown family", 'event: sse-error\ndata: {"error":{"code":"err-sidecar-upstream-reset","message":"Broke."},"stream":"x"}', "Broke.", "err-sidecar-upstream-reset"],
  ["OpenAI", 'data: {"error":{"message":"Broke.","type":"server_error","code":"err-sidecar-upstream-reset"}}', "Broke.", "err-sidecar-upstream-reset"],
  ["Anthropic", 'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Broke."},"code":"err-sidecar-upstream-reset"}', "Broke.", "err-sidecar-upstream-reset"],
  ["Google", 'data: {"error":{"code":503,"message":"Broke.","details":[{"reason":"err-sidecar-upstream-reset"}]}}', "Broke.", "err-sidecar-upstream-reset"],
  ["a text alone", "event: error\ndata: boom", "The server reported an error.", ""],
]) {
  for (const how of ["cut", "ended"]) {
    test(`an error in the form of ${form}, then ${how}, fails`, async () => {
      here.server.script(says(`${events(1, 2)}${event}\nid: ${token()}.3\n\n`, { ...NAMED, cut: how === "cut" }));
      assert.deepEqual(ended(await here.connect()), ["failed", message, code]);
    });
  }
}

test("sse-error is not dispatched and not counted", async () => {
  here.server.script(says(`${events(1, 2)}event: sse-error\ndata: {"error":{"code":"c","message":"m"}}\nid: ${token()}.3\n\n`, { ...NAMED, cut: true }));
  const { stream, seen } = await here.connect();
  assert.deepEqual([stream.received, seen.data], [2, ["1", "2"]]);
  const { received, last_seq, state } = here.server.reports.at(-1);
  assert.deepEqual([received, last_seq, state], [2, 2, "failed"]);
});

test("a feed that continues after an error has not failed", async () => {
  here.server.script(says('data: {"error":"once"}\n\ndata: 2\n\n', { cut: true }), live());
  const { stream } = await here.connect();
  assert.equal(stream.state, "reconnecting");
});

test("204 from the sidecar after an earlier error is a failure", async () => {
  here.server.script(says(`data: {"error":"once"}\nid: ${token()}.1\n\ndata: 2\nid: ${token()}.2\n\n`, { ...NAMED, cut: true }), answers(204));
  const run = await here.connect();
  await here.clock.advance(1100);
  assert.deepEqual(ended(run), ["failed", "once", ""]);
});

for (const data of ['{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}', '{"response":{"error":null}}', '{"error":null}', 'the word "error"']) {
  test(`${data} is a usual message`, async () => {
    here.server.script(says(`data: ${data}\n\n`));
    const run = await here.connect({ onEnd: "complete" });
    assert.deepEqual([run.stream.state, run.seen.data], ["completed", [data]]);
  });
}

for (const status of [401, 403]) {
  test(`${status} repeats the request once with a renewed login`, async () => {
    let logins = 0;
    const headers = async () => ({ Authorization: `Bearer ${++logins}` });
    here.server.script(answers(status), live(NAMED));
    const { stream, seen } = await here.connect({ ...POST, headers });
    assert.equal(stream.state, "open");
    assert.deepEqual(here.server.requests.map(({ headers }) => headers.get("authorization")), ["Bearer 1", "Bearer 2"]);
    assert.deepEqual(seen.recoveries, [], "nothing was lost");
  });

  test(`${status} twice fails`, async () => {
    here.server.script(answers(status), answers(status, problem("Log in.", "login")));
    assert.deepEqual(ended(await here.connect({ headers: () => ({}) })), ["failed", "Log in.", "login"]);
    assert.equal(here.server.requests.length, 2);
  });

  test(`${status} fails immediately if headers is not a function`, async () => {
    here.server.script(answers(status));
    assert.equal((await here.connect({ headers: { Authorization: "x" } })).stream.state, "failed");
  });
}

test("headers is called before each connection", async () => {
  let logins = 0;
  here.server.script(says(events(1, 1), { ...NAMED, cut: true }), live(NAMED));
  await here.connect({ headers: () => [["authorization", `Bearer ${++logins}`]] });
  await here.clock.advance(1100);
  assert.equal(here.server.requests[1].headers.get("authorization"), "Bearer 2");
});

test("a headers function that throws is called again", async () => {
  let tries = 0;
  const headers = () => (++tries === 1 ? Promise.reject(new Error("offline")) : { a: "1" });
  here.server.script(live(NAMED));
  const { stream } = await here.connect({ ...POST, headers });
  assert.deepEqual([stream.state, stream.reason], ["reconnecting", "The login could not be renewed."]);
  await here.clock.advance(1100);
  assert.equal(stream.state, "open");
});

test("a headers function that hangs is a stall", async () => {
  const { stream } = await here.connect({ headers: () => new Promise(() => {}) });
  await here.clock.advance(150_000);
  assert.equal(stream.state, "stalled");
});

test("a resumed POST is a GET of its stream without a body", async () => {
  here.server.script(says(events(1, 3), { ...NAMED, cut: true }), says(events(4, 4) + end(4), NAMED));
  const { stream, seen } = await here.connect(POST);
  await here.clock.advance(1100);
  const [first, second] = here.server.requests;
  assert.deepEqual([first.method, first.init.body, first.url], ["POST", POST.body, URL_OF_STREAM]);
  assert.match(first.headers.get("idempotency-key"), /^[0-9a-f]{32}$/);
  assert.deepEqual([second.method, second.init.body, second.url], ["GET", undefined, `http://sidecar.test/_sse/streams/${token()}`]);
  assert.equal(second.headers.get("last-event-id"), `${token()}.3`);
  assert.deepEqual([second.headers.get("content-type"), second.headers.get("idempotency-key")], [null, null]);
  assert.deepEqual([stream.state, seen.data], ["completed", ["1", "2", "3", "4"]]);
});

test("a POST without a message resumes from the start", async () => {
  here.server.script(says("", { ...NAMED, cut: true }), live(NAMED));
  await here.connect(POST);
  await here.clock.advance(1100);
  assert.deepEqual([here.server.requests[1].method, here.server.requests[1].headers.get("last-event-id")], ["GET", null]);
});

for (const [what, script] of [
  ["breaks before its answer", unreachable("ECONNRESET")],
  ["breaks before its answer, as browsers say it", unreachable(null)],
  ["is answered 500", answers(500)],
  ["is answered 502", answers(502)],
  ["is answered 504", answers(504)],
  ["breaks in its answer and has no stream to go on with", says("data: 1\n\n", { cut: true })],
]) {
  test(`a POST that ${what} is not sent again`, async () => {
    here.server.script(script);
    const { stream } = await here.connect(POST);
    assert.equal(stream.state, "failed");
    assert.ok(stream.reason.endsWith(TWICE), stream.reason);
    assert.equal(here.server.requests.length, 1);
  });
}

for (const [what, script] of [
  ["is answered 503", answers(503)],
  ["is answered 429", answers(429)],
  ["is refused the connection", unreachable("ECONNREFUSED")],
  ["cannot resolve the name", unreachable("ENOTFOUND")],
  ["gets no connection", unreachable("UND_ERR_CONNECT_TIMEOUT")],
]) {
  test(`a POST that ${what} is sent again with the same key`, async () => {
    here.server.script(script, live(NAMED));
    const { stream } = await here.connect(POST);
    await here.clock.advance(1100);
    assert.equal(stream.state, "open");
    const keys = here.server.requests.map(({ headers }) => headers.get("idempotency-key"));
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  });
}

test("a POST is sent again to a server that is a sidecar", async () => {
  here.server.script(answers(503, problem("Draining.", "err-sidecar-draining")), unreachable("ECONNRESET"), live(NAMED));
  const { stream } = await here.connect(POST);
  await here.clock.advance(1100 + 2200);
  assert.equal(stream.state, "open");
});

test("a ReadableStream body is never sent again", async () => {
  here.server.script(answers(503));
  const body = new ReadableStream({ pull: (controller) => controller.close() });
  const { stream } = await here.connect({ method: "POST", body });
  assert.equal(stream.state, "failed");
  assert.equal(here.server.requests[0].init.duplex, "half");
});

test("the page's own Idempotency-Key is kept", async () => {
  here.server.script(live(NAMED));
  await here.connect({ ...POST, headers: { "Idempotency-Key": "mine" } });
  assert.equal(here.server.requests[0].headers.get("idempotency-key"), "mine");
});

test("onEnd: reconnect allows a POST to be repeated", async () => {
  here.server.script(says("data: 1\n\n"), live());
  const { stream } = await here.connect({ ...POST, onEnd: "reconnect" });
  await here.clock.advance(1100);
  assert.equal(stream.state, "open");
  assert.deepEqual(here.server.requests.map(({ method }) => method), ["POST", "POST"]);
});

test("from another origin the position is in the query", async () => {
  const page = inPage("http://page.test");
  try {
    here.server.script(says(events(1, 2), { cut: true }), live());
    await here.connect({}, "http://sidecar.test/api/chat?prompt=a%20b#part");
    await here.clock.advance(1100);
    const [first, second] = here.server.requests;
    assert.equal(first.url, "http://sidecar.test/api/chat?prompt=a%20b");
    assert.equal(second.url, `http://sidecar.test/api/chat?prompt=a%20b&last_event_id=${token()}.2`);
    for (const { headers } of here.server.requests) {
      assert.deepEqual([...headers], [["accept", "text/event-stream; sse-events=1"]]);
      assert.doesNotMatch(headers.get("accept"), /["():<>?@[\\\]{}\x7f]/, "no byte that the Fetch standard calls unsafe");
    }
  } finally {
    page.leave();
  }
});

test("from another origin a POST has no key and is not repeated", async () => {
  const page = inPage("http://page.test");
  try {
    here.server.script(answers(503, problem("Draining.", "err-sidecar-draining")), unreachable(null));
    const { stream } = await here.connect({ method: "POST", body: "q" });
    await here.clock.advance(1100);
    assert.equal(stream.state, "failed");
    assert.equal(here.server.requests[0].headers.get("idempotency-key"), null);
  } finally {
    page.leave();
  }
});

test("to the page's own origin the position is in the header", async () => {
  const page = inPage();
  try {
    here.server.script(says(events(1, 2), { cut: true }), live());
    await here.connect({}, "/api/chat");
    await here.clock.advance(1100);
    assert.deepEqual(here.server.requests.map(({ url }) => url), [URL_OF_STREAM, URL_OF_STREAM]);
    assert.equal(here.server.requests[1].headers.get("last-event-id"), `${token()}.2`);
  } finally {
    page.leave();
  }
});

test("an id outside ASCII is sent as UTF-8", async () => {
  here.server.script(says("data: 1\nid: é→🚇\n\n", { cut: true }), live());
  await here.connect();
  await here.clock.advance(1100);
  assert.equal(Buffer.from(here.server.requests[1].headers.get("last-event-id"), "latin1").toString(), "é→🚇");
});

test("a stream begins after the page's Last-Event-ID", async () => {
  here.server.script(says(events(6, 6), { ...NAMED, cut: true }), live(NAMED));
  const { stream } = await here.connect({ headers: { "Last-Event-ID": `${token()}.5` } });
  await here.clock.advance(1100);
  assert.deepEqual(here.server.requests.map(({ headers }) => headers.get("last-event-id")), [`${token()}.5`, `${token()}.6`]);
  stream.close();
  const { first_seq, last_seq, received } = here.server.reports.at(-1);
  assert.deepEqual([first_seq, last_seq, received], [6, 6, 1]);
});

test("the page's own Accept is kept", async () => {
  here.server.script(live());
  await here.connect({ headers: { Accept: "text/event-stream" } });
  assert.equal(here.server.requests[0].headers.get("accept"), "text/event-stream");
});

test("credentials are passed to fetch", async () => {
  here.server.script(live());
  await here.connect({ credentials: "include" });
  assert.deepEqual([here.server.requests[0].init.credentials, here.server.requests[0].init.cache], ["include", "no-store"]);
});

test("an invalid URL throws immediately", () => assert.throws(() => connect("no address"), TypeError));

test("the iterator throws the failure", async () => {
  here.server.script(answers(404, problem("No.", "none")));
  const stream = connect(URL_OF_STREAM);
  await assert.rejects(
    async () => {
      for await (const _ of stream);
    },
    (error) => error instanceof StreamFailed && error.message === "No." && error.code === "none" && error.name === "StreamFailed",
  );
});

test("a GET whose stream is gone before a message is sent again", async () => {
  here.server.script(says("", { ...NAMED, cut: true }), answers(404), live({ headers: { "sse-stream": token("B") } }));
  const { stream } = await here.connect();
  await here.clock.advance(1100 + 2200);
  assert.deepEqual([stream.state, stream.stream], ["open", token("B")]);
  assert.deepEqual(here.server.requests.map(({ url }) => url), [URL_OF_STREAM, `http://sidecar.test/_sse/streams/${token()}`, URL_OF_STREAM]);
});

test("the control option sets the path of the control API", async () => {
  here.server.script(says("", { ...NAMED, cut: true }), live(NAMED));
  const { stream } = await here.connect({ control: "/stream-api" });
  await here.clock.advance(1100);
  await settle();
  assert.equal(here.server.requests[1].url, `http://sidecar.test/stream-api/streams/${token()}`);
  stream.close();
});
