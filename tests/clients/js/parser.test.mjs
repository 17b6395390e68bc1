/** The parser: literal text in, events out. The cases of tests/kit/cases/wire.json go through the whole client. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createParser } from "../../../sidecar/client/js/src/parser.js";

const parse = (...chunks) => {
  const seen = [];
  const feed = createParser({
    onEvent: (type, data, id) => seen.push({ type, data, id }),
    onId: (id) => seen.push({ onlyId: id }),
    onRetry: (ms) => seen.push({ retry: ms }),
    onComment: (line) => seen.push({ comment: line }),
  });
  chunks.forEach((chunk) => feed(chunk));
  return seen;
};
const message = (data, id = undefined) => ({ type: "message", data, id });

test("a block with data is an event", () => {
  assert.deepEqual(parse("data: a\n\n"), [message("a")]);
});

test("event, id and several data lines form one event", () => {
  assert.deepEqual(parse("event: token\nid: 7\ndata: a\ndata: b\n\n"), [{ type: "token", data: "a\nb", id: "7" }]);
});

test("a block cut at any place is the same event", () => {
  const wire = "event: token\r\nid: 7\r\ndata: a\r\ndata:b\r\n\r\n";
  for (let at = 0; at <= wire.length; at++) {
    assert.deepEqual(parse(wire.slice(0, at), wire.slice(at)), [{ type: "token", data: "a\nb", id: "7" }], `cut at ${at}`);
  }
});

test("CR, LF and CRLF end a line", () => {
  assert.deepEqual(parse("data: a\r\rdata: b\n\ndata: c\r\n\r\n"), [message("a"), message("b"), message("c")]);
});

test("only the first byte order mark is removed", () => {
  assert.deepEqual(parse("\uFEFFdata: a\n\n\uFEFFdata: b\n\ndata: c\n\n"), [message("a"), message("c")]);
});

test("an id without data is reported alone", () => {
  assert.deepEqual(parse("id: 7\n\n"), [{ onlyId: "7" }]);
});

test("an id with a NUL is ignored", () => {
  assert.deepEqual(parse("id: a\0b\ndata: x\n\n"), [message("x")]);
});

test("a retry field counts before its block ends", () => {
  assert.deepEqual(parse("retry: 20\n"), [{ retry: 20 }]);
});

test("a retry field with anything but digits is ignored", () => {
  assert.deepEqual(parse("retry: 2.5\nretry: -1\nretry:\n"), []);
});

test("a comment is reported with its colon", () => {
  assert.deepEqual(parse(": hb idle=3\n"), [{ comment: ": hb idle=3" }]);
});

test("a block without its empty line is not an event", () => {
  assert.deepEqual(parse("data: a\n"), []);
});

test("an event above 64 Mi characters fails the stream", () => {
  const large = "x".repeat(32 * 1024 * 1024);
  assert.throws(() => parse("data: ", large, large), { name: "StreamFailed" });
});
