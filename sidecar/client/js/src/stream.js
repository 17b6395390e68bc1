/** One event stream over as many connections as it takes. It always ends in a final state with a reason. */

import { openConnection } from "./connection.js";
import { ConnectionLost, StreamFailed } from "./errors.js";
import { isOffline, listen } from "./page.js";
import { createParser } from "./parser.js";
import { Progress } from "./progress.js";
import { MessageQueues } from "./queues.js";
import { RETRY_MS_MAX, Retry, retryAfterMs } from "./retry.js";
import { loadPlace, storePlace } from "./storage.js";
import { Signal, within } from "./timers.js";
import { createTransport, isEventStream } from "./transport.js";

/** @typedef {import("../client.d.ts").Options} Options */
/** @typedef {import("../client.d.ts").State} State */

const STALL_S = 30;
const ATTEMPTS_MAX = 10;
/** Longest wait for the first response. A model may think long, and would think twice if it was asked again. */
const FIRST_RESPONSE_MS = 150_000;
/** Longest wait for the connection's end after the last event, and for each step of a cancel. */
const ENDING_MS = 2000;
/** Wait between attempts after a cancel. */
const CANCELLED_DELAY_MS = 250;

const OFFLINE = "You are offline. This goes on as soon as you are back online.";
const SUSPENDED = "This page was put aside. It goes on when you come back to it.";
const CANCELLED = "You stopped this.";

/** @typedef {import("../client.d.ts").EventStream} PublicStream */

/** @implements {PublicStream} */
export class EventStream extends EventTarget {
  state = /** @type {State} */ ("connecting");
  reason = "Connecting.";
  code = "";
  retryAt = 0;
  idleSeconds = 0;
  url;

  #options;
  #progress;
  #transport;
  #retry = new Retry();
  #queues = new MessageQueues();
  #connection = openConnection();
  /** Ends the wait before the next attempt. */
  #wake = new Signal();
  /** Aborts when the stream is over. */
  #over = new AbortController();
  #settle = (/** @type {State} */ _) => {};
  #done = new Promise((/** @type {(state: State) => void} */ resolve) => (this.#settle = resolve));
  #cancelled = /** @type {Promise<boolean> | undefined} */ (undefined);
  /** Whether the page looks at the state, so that the user learns of a failure. */
  #isWatched = false;
  #isSuspended = false;
  #isLoginRenewed = false;
  /** When the backend was last heard of, through the first response or a message. */
  #heardAtMs = 0;

  constructor(/** @type {string | URL} */ url, /** @type {Options} */ options) {
    super();
    this.#options = options;
    this.#progress = new Progress(
      options.join ?? "",
      () => this.#storePlace(),
      (detail) => this.dispatchEvent(new CustomEvent("gap", { detail })),
    );
    this.#transport = createTransport(url, options, this.#progress);
    this.url = this.#transport.url;
    this.#restorePlace();
    this.#watchPage();
    queueMicrotask(() => (options.signal?.aborted ? this.close() : this.#run()));
  }

  get stream() {
    return this.#progress.stream;
  }
  get lastEventId() {
    return this.#progress.lastEventId;
  }
  get received() {
    return this.#progress.received;
  }
  get duplicates() {
    return this.#progress.duplicates;
  }
  get gaps() {
    return this.#progress.gaps;
  }
  get attempt() {
    return this.#retry.attempt;
  }
  get done() {
    this.#isWatched = true;
    return this.#done;
  }

  retryNow() {
    this.#wake.notifyAll();
  }

  close() {
    this.#finish("closed", "This page left the stream.");
  }

  cancel() {
    return (this.#cancelled ??= this.#cancel());
  }

  addEventListener(/** @type {Parameters<EventTarget["addEventListener"]>} */ ...parameters) {
    this.#isWatched ||= parameters[0] === "state";
    super.addEventListener(...parameters);
  }

  async *[Symbol.asyncIterator]() {
    if (this.received) throw new Error("Messages were dispatched before: iterate right after connect().");
    this.#isWatched = true;
    try {
      yield* this.#queues.read(() => this.#isOver);
    } finally {
      this.close();
    }
    if (this.state === "failed") throw new StreamFailed(this.reason, this.code);
  }

  get #isOver() {
    return this.#over.signal.aborted;
  }

  async #cancel() {
    if (this.#isOver) return false;
    const isConfirmed = !!this.stream && !!(await within(ENDING_MS, this.#transport.cancel().catch(() => false)));
    if (isConfirmed) {
      // The server ends the stream, which may have more messages than have arrived.
      this.retryNow();
      await within(ENDING_MS, this.#done);
    }
    const isStopped = isConfirmed || !this.stream;
    this.#finish("closed", isStopped ? CANCELLED : "You stopped reading, but the server could not be told.");
    return isConfirmed && this.state === "closed";
  }

  async #run() {
    while (!this.#isOver) {
      await this.#connect().catch((error) => this.#recover(error)).catch((error) => this.#fail(error));
    }
  }

  #fail(/** @type {any} */ { name, message, code = "" }) {
    const reason = name === "StreamFailed" ? message : `This page could not read the stream: ${message}`;
    this.#finish("failed", reason, `${code}`);
  }

  /** Read over one connection. Return when the stream is over; throw ConnectionLost or StreamFailed. */
  async #connect() {
    const connection = (this.#connection = openConnection());
    this.#retry.countConnection();
    this.#progress.isEnded = false;
    this.#expectByte(this.stream || this.#heardAtMs ? 0 : FIRST_RESPONSE_MS);
    try {
      const response = await connection.orAborted(this.#transport.request(connection.signal));
      if (isEventStream(response)) await this.#read(response, connection);
      else if (response.status === 204) this.#complete(!!this.stream);
      else await this.#refused(response);
    } finally {
      connection.abort();
    }
  }

  async #read(/** @type {Response} */ { headers, body }, /** @type {import("./connection.js").Connection} */ connection) {
    this.#progress.noteResponse(headers.get("sse-stream") ?? "");
    this.#isLoginRenewed = false;
    this.#opened(headers.get("sse-replayed"));

    const parse = createParser({
      onEvent: (type, data, id) => this.#takeEvent(type, data, id),
      onId: (id) => (this.#progress.lastEventId = id),
      onRetry: (ms) => (this.#retry.fieldMs = ms),
      onComment: (line) => this.#takeComment(line),
    });
    // The parser removes a byte order mark itself, as only the first one is none of the data.
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader();
    const { signal } = connection;
    for (;;) {
      this.#expectByte();
      const chunk = await reader.read().catch(() => undefined);
      connection.stopTimer();
      if (!chunk || chunk.done || signal.aborted) return this.#bodyEnded(signal, !!chunk);
      parse(decoder.decode(chunk.value, { stream: true }));
      if (this.#options.from === "position") this.#storePlace();
      while (this.#queues.isFull && !signal.aborted) await this.#queues.next;
    }
  }

  #expectByte(leastMs = 0) {
    const { stallSeconds = STALL_S } = this.#options;
    this.#connection.expectByte(this.#progress.isEnded ? ENDING_MS : Math.max(leastMs, stallSeconds * 1000));
  }

  /** Note a response with events; `replayed` says how many of them come from the replay log. */
  #opened(/** @type {string | null} */ replayed) {
    const interruption = this.#retry.endInterruption();
    this.#heardAtMs = performance.now();
    this.#setState("open", "Connected.");
    if (!interruption || this.#isOver) return;
    const detail = { ...interruption, replayed: replayed === null ? null : Number(replayed) };
    this.dispatchEvent(new CustomEvent("recovered", { detail }));
    this.#report("recovery");
  }

  #takeComment(/** @type {string} */ comment) {
    // The sidecar's heartbeat names the seconds since the backend's last byte.
    const idle = /^: ?hb idle=(\d+)$/.exec(comment)?.[1] ?? (performance.now() - this.#heardAtMs) / 1000;
    this.idleSeconds = Math.floor(Number(idle));
    this.dispatchEvent(new Event("heartbeat"));
  }

  #takeEvent(/** @type {string} */ type, /** @type {string} */ data, /** @type {string | undefined} */ id) {
    // A listener may have closed the stream in the middle of a chunk.
    if (this.#isOver || !this.#progress.takeEvent(type, data, id)) return;
    this.#retry.attempt = this.idleSeconds = 0;
    this.#heardAtMs = performance.now();
    const { lastEventId } = this;
    const message = new MessageEvent(type, { data, lastEventId, origin: this.#transport.origin });
    this.#queues.push(message);
    this.dispatchEvent(message);
  }

  /** Decide whether the stream is over; `isClean` if the server ended the body. */
  #bodyEnded(/** @type {AbortSignal} */ signal, /** @type {boolean} */ isClean) {
    const { onEnd = this.#transport.isGet ? "reconnect" : "complete" } = this.#options;
    const { isEnded, isEndMissing, isErrorLast } = this.#progress;
    if (isEndMissing) throw new ConnectionLost("The end of the answer is missing.");
    // A sidecar reports the end; without one, `onEnd` says what a clean end means.
    const endsHere = isClean && !this.stream && onEnd !== "reconnect";
    if (isEnded || isErrorLast || endsHere) return this.#complete();
    if (signal.aborted) throw signal.reason;
    throw new ConnectionLost(isClean ? "The server ended the connection." : "The connection was lost.");
  }

  /** Finish, or throw the error that the stream reported. `anyError`: also one that other events followed. */
  #complete(anyError = false) {
    const { error, isErrorLast } = this.#progress;
    if (error && (isErrorLast || anyError)) throw new StreamFailed(error.message, error.code);
    this.#finish("completed", "Complete.");
  }

  /** Throw what a response means that is not an event stream. */
  async #refused(/** @type {Response} */ response) {
    const { status, headers } = response;
    const { headers: source, join, key } = this.#options;
    const { message, code } = await this.#transport.readError(response);

    if ([401, 403].includes(status) && typeof source === "function" && !this.#isLoginRenewed) {
      this.#isLoginRenewed = true;
      throw new ConnectionLost("The login is renewed.", { isImmediate: true, isUnsent: true });
    }
    if (status === 429 || status >= 500) {
      const loss = { isUnsent: status === 429 || status === 503, retryAfterMs: retryAfterMs(headers) };
      throw new ConnectionLost(message || `The server is not available (${status}).`, loss);
    }
    const sentences = {
      200: "The server answered with something else than an event stream.",
      410: "The rest of this is no longer kept. Ask again.",
    };
    const fallback = sentences[/** @type {200 | 410} */ (status)] ?? `The server refused the request (${status}).`;
    const isUnread = this.#transport.isGet && this.stream && !this.#progress.log.last_seq && !join && !key;
    if (!isUnread || ![404, 410].includes(status)) throw new StreamFailed(message || fallback, code);
    // The stream is gone, but nothing of it was read. So the request can be sent again.
    this.#progress.stream = "";
    throw new ConnectionLost(message || fallback);
  }

  /** Wait before the next attempt. Throw StreamFailed where another attempt is useless. */
  async #recover(/** @type {unknown} */ error) {
    if (!(error instanceof ConnectionLost)) throw error;
    if (this.#isOver) return;
    const { message, loss } = error;
    const { attempts = ATTEMPTS_MAX } = this.#options;
    this.#retry.noteLoss(loss);
    if (!this.stream && !this.#transport.isRepeatable(loss.isUnsent)) {
      throw new StreamFailed(`${message} What was sent may have been carried out, so it is not sent again.`);
    }
    if (!loss.isImmediate && !this.#isSuspended && !isOffline()) {
      if (attempts && this.attempt >= attempts) {
        throw new StreamFailed(`${message} Given up after ${attempts} attempts.`);
      }
      const delayMs = this.#cancelled ? CANCELLED_DELAY_MS : this.#retry.nextDelayMs(loss.retryAfterMs);
      this.retryAt = Date.now() + delayMs;
      await this.#wait(delayMs, loss.isStalled ? "stalled" : "reconnecting", message);
    }
    await this.#waitForPage();
    if (!this.#isOver && !loss.isImmediate) this.#setState("reconnecting", message);
  }

  /** Wait while the page is suspended or offline. A browser may be wrong about being offline: so it waits once. */
  async #waitForPage() {
    while ((this.#isSuspended || isOffline()) && !this.#isOver) {
      await this.#wait(RETRY_MS_MAX, "reconnecting", this.#isSuspended ? SUSPENDED : OFFLINE);
      if (!this.#isSuspended) return;
    }
  }

  async #wait(/** @type {number} */ ms, /** @type {State} */ state, /** @type {string} */ reason) {
    // Before the event: a listener for `state` may call `retryNow`.
    const woken = this.#wake.next;
    this.#setState(state, reason);
    await within(ms, woken);
    this.retryAt = 0;
  }

  #setState(/** @type {State} */ state, /** @type {string} */ reason) {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("state"));
  }

  #finish(/** @type {State} */ state, /** @type {string} */ reason, code = "") {
    if (this.#isOver) return;
    if (this.#cancelled && state === "failed") [state, reason, code] = ["closed", CANCELLED, ""];
    this.code = code;
    this.retryAt = 0;
    this.#over.abort();
    this.#setState(state, reason);
    this.#connection.abort();
    this.#wake.notifyAll();
    this.#queues.notifyAll();
    this.#storePlace();
    this.#report("end");
    this.#settle(state);
  }

  #watchPage() {
    const suspend = () => {
      if (this.#isSuspended) return;
      this.#isSuspended = true;
      this.#storePlace();
      this.#report("pagehide");
      this.#connection.abort(new ConnectionLost(SUSPENDED, { isImmediate: true }));
    };
    const resume = () => {
      this.#isSuspended = false;
      this.retryNow();
    };
    const { signal } = this.#over;
    listen(globalThis, signal, { online: () => this.retryNow(), pagehide: suspend, pageshow: resume });
    listen(globalThis.document, signal, { freeze: suspend, resume });
    listen(this.#options.signal, signal, { abort: () => this.close() });
  }

  #report(/** @type {"end" | "recovery" | "pagehide"} */ at) {
    if (this.#options.reports === false || !this.stream) return;
    const { stream, duplicates, state } = this;
    const { reconnects, stalls } = this.#retry;
    const told = this.#isWatched;
    this.#transport.report({
      v: 1, stream, ...this.#progress.log, duplicates, reconnects, stalls, state, told, at,
    });
  }

  #storePlace() {
    const { url, stream, lastEventId } = this;
    const place = { url, stream, seq: this.#progress.log.last_seq, lastEventId };
    storePlace(this.#options.key, this.#isOver ? null : place);
  }

  #restorePlace() {
    const { url, stream, seq, lastEventId = "" } = loadPlace(this.#options.key);
    if (url !== this.url || this.stream) return;
    const fromPosition = this.#options.from === "position";
    if (stream) this.#progress.beginStream(stream, fromPosition ? seq : 0);
    if (fromPosition) this.#progress.lastEventId = lastEventId;
  }
}
