/** What has arrived of a stream: its position, duplicates, gaps, and how the server says that it ends. */

import { ConnectionLost, errorInEvent, parseJson } from "./errors.js";
import { keepNewest } from "./lists.js";

/** An event id of the sidecar: the stream, a dot, the seq. */
const SIDECAR_ID = /^(s1[\w-]{40})\.(\d{1,15})$/;
const RECENT_IDS_MAX = 500;

/** Return the stream and the seq of an event id of the sidecar, or nothing for any other id. */
export const parseId = (/** @type {string} */ id) => {
  const [, stream, seq] = SIDECAR_ID.exec(id) ?? [];
  return stream ? { stream, seq: Number(seq) } : undefined;
};

/** @typedef {import("../client.d.ts").Gap} Gap */

export class Progress {
  stream;
  lastEventId = "";
  received = 0;
  duplicates = 0;
  gaps = /** @type {Gap[]} */ ([]);
  /** What was read of the present stream, in the words of a report. */
  log = { received: 0, first_seq: 1, last_seq: 0, gaps: /** @type {number[][]} */ ([]) };

  /** The last error that the stream reported. */
  error = /** @type {import("./errors.js").ServerError | null} */ (null);
  /** Whether no event came after it. An error that other events follow is not the end. */
  isErrorLast = false;
  /** Whether the sidecar has sent its last event, so that only the end of the connection is missing. */
  isEnded = false;

  #onBegin;
  #onGap;
  /** Seq of the last message, as `sse-end` says. */
  #endSeq = 0;
  /** Whether the sidecar stamps this stream's messages with its ids. */
  #isStamped = false;
  /** A stream that the response has named. It begins with the first event, which may report a gap. */
  #nextStream = "";
  /** First seq of a gap whose end is not known; 0 if there is none. */
  #openGapFrom = 0;
  /** The missing message that was requested once more. */
  #requestedId = "";
  /** The last ids of another server, which need not be unique. */
  #recentIds = /** @type {Set<string>} */ (new Set());
  /** After a reconnect, until the first new id: only then does a known id mean a duplicate. */
  #isCatchingUp = false;

  constructor(
    /** @type {string} */ stream,
    /** @type {() => void} */ onBegin,
    /** @type {(gap: Gap) => void} */ onGap,
  ) {
    this.stream = stream;
    this.#onBegin = onBegin;
    this.#onGap = onGap;
  }

  /** The event id to resume from; "" for the start. */
  get resumePosition() {
    const { stream, lastEventId, log } = this;
    if (!stream) return lastEventId;
    return log.last_seq ? `${stream}.${log.last_seq}` : "";
  }

  /** Begin to count another stream, after its message `seq`. */
  beginStream(/** @type {string} */ stream, seq = 0) {
    this.stream = stream;
    this.#nextStream = "";
    this.#isStamped = false;
    this.#openGapFrom = 0;
    this.error = null;
    this.log = { received: 0, first_seq: seq + 1, last_seq: seq, gaps: [] };
    this.#onBegin();
  }

  /** Whether messages are missing before the end that the sidecar has reported. */
  get isEndMissing() {
    return this.isEnded && this.log.last_seq < this.#endSeq;
  }

  /** Note a response with the stream that it names; "" if it names none. */
  noteResponse(/** @type {string} */ named) {
    this.isErrorLast = false;
    const stream = named || this.stream;
    if (stream !== this.stream && !this.log.last_seq) this.beginStream(stream);
    this.#nextStream = stream === this.stream ? "" : stream;
    this.#isCatchingUp = true;
  }

  /** Take an event. Return whether the page receives it: it is neither a duplicate nor an event of the sidecar. */
  takeEvent(/** @type {string} */ type, /** @type {string} */ data, /** @type {string | undefined} */ id) {
    if (this.#nextStream) this.beginStream(this.#nextStream);
    if (type === "sse-gap") return this.#announcedGap(parseJson(data));
    if (type === "sse-end") this.#endSeq = Number(parseJson(data).last_seq ?? 0);
    const error = errorInEvent(type, data);
    this.error = error ?? this.error;
    this.isErrorLast = !!error;
    this.isEnded ||= type === "sse-end" || type === "sse-error";
    if (this.isEnded) return false;
    if (!this.#isNew(id)) {
      this.duplicates++;
      return false;
    }
    this.lastEventId = id ?? this.lastEventId;
    this.received++;
    this.log.received++;
    return true;
  }

  /**
   * Note the gap that an `sse-gap` event announces. A sidecar that has lost seqs which were read here uses them again,
   * so the position moves back.
   */
  #announcedGap(/** @type {any} */ { missed_from, missed_through, reason }) {
    const { log } = this;
    const from = Number.isInteger(missed_from) ? missed_from : log.last_seq + 1;
    const through = Number.isInteger(missed_through) ? missed_through : null;
    if (through === null) {
      this.#openGapFrom = from;
    } else {
      const reused = Math.max(0, log.last_seq - from + 1);
      if (!reused) keepNewest(log.gaps, [from, through]);
      log.received -= reused;
      log.last_seq = reused ? from - 1 : through;
    }
    this.#addGap(from, through, `${reason ?? ""}`);
    return false;
  }

  #isNew(id = "") {
    const own = parseId(id);
    return own ? this.#isNewSeq(own.stream, own.seq) : this.#isNewId(id);
  }

  #isNewSeq(/** @type {string} */ stream, /** @type {number} */ seq) {
    if (stream !== this.stream) this.beginStream(stream);
    const { log } = this;
    const expected = log.last_seq + 1;
    this.#isStamped = true;
    if (seq < expected) return false;
    if (this.#openGapFrom && this.#openGapFrom < seq) keepNewest(log.gaps, [this.#openGapFrom, seq - 1]);
    else if (seq > expected) this.#unannouncedGap(expected, seq - 1);
    this.#openGapFrom = 0;
    log.last_seq = seq;
    return true;
  }

  /** Request messages that were lost on the way, once. If they are missing again, they are a gap. */
  #unannouncedGap(/** @type {number} */ from, /** @type {number} */ through) {
    const id = `${this.stream}.${from}`;
    if (this.#requestedId !== id) {
      this.#requestedId = id;
      throw new ConnectionLost("Messages were lost on the way.");
    }
    this.#addGap(from, through, "lost on the way");
  }

  #isNewId(/** @type {string} */ id) {
    // The sidecar numbers also the messages that it does not stamp, and its replay begins after the position.
    const isCounted = this.stream && !this.#isStamped;
    if (!isCounted && this.#isCatchingUp && this.#recentIds.has(id)) return false;
    if (isCounted) this.log.last_seq++;
    if (id) {
      this.#recentIds.add(id);
      this.#isCatchingUp = false;
    }
    if (this.#recentIds.size > RECENT_IDS_MAX) {
      this.#recentIds.delete(this.#recentIds.keys().next().value ?? "");
    }
    return true;
  }

  #addGap(/** @type {number} */ missedFrom, /** @type {number | null} */ missedThrough, /** @type {string} */ reason) {
    const gap = { missedFrom, missedThrough, reason };
    keepNewest(this.gaps, gap);
    this.#onGap(gap);
  }
}
