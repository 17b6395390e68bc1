/** Errors in the forms of the backends: which events report one, and what a user is shown. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { errorInBody, errorInEvent, parseJson } from "../../../sidecar/client/js/src/errors.js";

const FORMS = [
  ["problem+json", { title: "Gone", detail: "It is gone.", code: "err-sidecar-gone" }, "It is gone.", "err-sidecar-gone"],
  ["OpenAI", { error: { message: "Too long.", code: "context_length" } }, "Too long.", "context_length"],
  ["Anthropic", { type: "error", error: { type: "overloaded_error", message: "Busy." } }, "Busy.", ""],
  ["Google", { error: { code: 429, message: "Quota.", details: [{ reason: "RATE_LIMIT" }] } }, "Quota.", "RATE_LIMIT"],
  ["AI SDK", { type: "error", errorText: "It broke." }, "It broke.", ""],
  ["a plain text", { error: "No." }, "No.", ""],
  ["no form", {}, "", ""],
];

for (const [name, body, message, code] of FORMS) {
  test(`an error is read in the form of ${name}`, () => assert.deepEqual(errorInBody(body), { message, code }));
}

test("a message is cut at 300 characters", () => {
  assert.equal(errorInBody({ error: "x".repeat(301) }).message.length, 300);
});

test("an event named error reports an error", () => {
  for (const type of ["error", "sse-error"]) {
    assert.deepEqual(errorInEvent(type, "not JSON"), { message: "The server reported an error.", code: "" });
  }
});

test("an event of another name reports an error by its body", () => {
  assert.equal(errorInEvent("message", '{"error":{"message":"no"}}').message, "no");
  assert.equal(errorInEvent("message", '{"type":"error","errorText":"no"}').message, "no");
});

test("an event without an error reports none", () => {
  for (const data of ["", '"error"', '{"error":null}', '{"text":"an \\"error\\""}', '{"jsonrpc":"2.0","error":{"message":"no"}}']) {
    assert.equal(errorInEvent("message", data), null, data);
  }
});

test("text that is not JSON is an empty object", () => {
  assert.deepEqual([parseJson("no"), parseJson("null"), parseJson('{"a":1}')], [{}, {}, { a: 1 }]);
});
