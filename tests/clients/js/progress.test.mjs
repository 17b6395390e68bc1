/** Progress of a stream: position, duplicates, gaps and the end, event by event. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Progress, parseId } from "../../../sidecar/client/js/src/progress.js";
import { token } from "./support/server.mjs";

let progress, gaps, begun;
beforeEach(() => {
  [gaps, begun] = [[], 0];
  progress = new Progress("", () => begun++, (gap) => gaps.push(gap));
  progress.noteResponse(token());
});

const take = (seq, stream = token()) => progress.takeEvent("message", "x", `${stream}.${seq}`);
const event = (type, data = {}) => progress.takeEvent(type, JSON.stringify(data), undefined);

test("an id of the sidecar has a stream and a seq", () => {
  assert.deepEqual(parseId(`${token()}.7`), { stream: token(), seq: 7 });
  for (const id of ["", "7", token(), `${token()}.`, `${token()}.x`, `x${token()}.7`]) assert.equal(parseId(id), undefined, id);
});

test("the position is the last message", () => {
  assert.equal(progress.resumePosition, "");
  assert.deepEqual([take(1), take(2)], [true, true]);
  assert.deepEqual([progress.resumePosition, progress.lastEventId, progress.received], [`${token()}.2`, `${token()}.2`, 2]);
});

test("a message with a known seq is a duplicate", () => {
  take(1);
  assert.deepEqual([take(1), progress.duplicates, progress.received], [false, 1, 1]);
});

test("missing seqs are requested once, then they are a gap", () => {
  take(1);
  assert.throws(() => take(4), { message: "Messages were lost on the way." });
  assert.deepEqual([progress.resumePosition, gaps], [`${token()}.1`, []]);
  assert.equal(take(4), true);
  assert.deepEqual(gaps, [{ missedFrom: 2, missedThrough: 3, reason: "lost on the way" }]);
});

test("an announced gap moves the position", () => {
  take(1);
  assert.equal(event("sse-gap", { missed_from: 2, missed_through: 4, reason: "trimmed" }), false);
  assert.deepEqual(gaps, [{ missedFrom: 2, missedThrough: 4, reason: "trimmed" }]);
  assert.deepEqual([take(5), progress.log.gaps], [true, [[2, 4]]]);
});

test("an open gap ends at the next message", () => {
  take(1);
  event("sse-gap", { missed_from: 2, missed_through: null, reason: "trimmed" });
  take(9);
  assert.deepEqual([gaps[0].missedThrough, progress.log.gaps], [null, [[2, 8]]]);
});

test("at most 50 gaps are kept", () => {
  for (let seq = 1; seq <= 102; seq += 2) {
    event("sse-gap", { missed_from: seq, missed_through: seq });
    take(seq + 1);
  }
  assert.deepEqual([gaps.length, progress.gaps.length, progress.log.gaps.length], [51, 50, 50]);
  assert.equal(progress.gaps[0].missedFrom, 3);
});

test("another stream begins with its first event", () => {
  take(1);
  progress.noteResponse(token("B"));
  assert.equal(progress.resumePosition, `${token()}.1`);
  take(1, token("B"));
  assert.deepEqual([progress.resumePosition, progress.received, progress.log.received], [`${token("B")}.1`, 2, 1]);
  assert.equal(begun, 2);
});

test("ids of another server are compared after a reconnect only", () => {
  const other = new Progress("", () => {}, () => {});
  const ids = (...all) => all.map((id) => other.takeEvent("message", "x", id));
  other.noteResponse("");
  assert.deepEqual(ids("a", "b"), [true, true]);
  assert.deepEqual(ids("b"), [true]);
  other.noteResponse("");
  assert.deepEqual(ids("a", "b", "c", "b"), [false, false, true, true]);
});

test("at most 500 ids of another server are known", () => {
  const other = new Progress("", () => {}, () => {});
  for (let id = 0; id <= 500; id++) other.takeEvent("message", "x", `${id}`);
  other.noteResponse("");
  assert.equal(other.takeEvent("message", "x", "1"), false);
  assert.equal(other.takeEvent("message", "x", "0"), true);
});

test("sse-end names the last message", () => {
  take(1);
  assert.equal(event("sse-end", { last_seq: 2 }), false);
  assert.deepEqual([progress.isEnded, progress.isEndMissing], [true, true]);
});

test("an error that other events follow is not the last", () => {
  event("error", { message: "no" });
  assert.deepEqual([progress.error, progress.isErrorLast], [{ message: "no", code: "" }, true]);
  event("message");
  assert.deepEqual([progress.error.message, progress.isErrorLast], ["no", false]);
});
