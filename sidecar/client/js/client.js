/**
 * Reads one event stream over as many connections as it takes, and never ends without saying how.
 * One module without dependencies or build step. The API is described in client.d.ts.
 */

/** @typedef {import("./client.d.ts").Options} Options */
/** @typedef {import("./client.d.ts").State} State */
/** @typedef {{ message: string, code: string }} Fault */

export const VERSION = "0.1.0";

const DELAYS_MS = [1000, 2000, 4000, 5000];
const JITTER_RATIO = 0.1;
const RETRY_MS_MAX = 300_000;
/** Longest wait for the first answer: a model may think long, and asking again would make it think twice. */
const FIRST_ANSWER_MS = 150_000;
/** Longest wait for the connection's end once all is said, and for each of the two steps of a cancel. */
const ENDING_MS = 2000;
/** Messages that an iterator may be behind before nothing more is read; looked at between two chunks. */
const QUEUE_MAX = 1000;
const RECENT_IDS_MAX = 500;
const REPORTED_MAX = 50;
const EVENT_CHARS_MAX = 64 * 1024 * 1024;
const TOLD_CHARS_MAX = 300;
const STORED_CHARS_MAX = 4096;
const OWN_ID = /^(s1[\w-]{40})\.(\d{1,15})$/;
const FINAL = ["completed", "failed", "closed"];
const ABOUT_BODY = ["content-type", "content-length", "content-encoding", "idempotency-key"];

const OFFLINE = "You are offline. This goes on as soon as you are back online.";
const ASIDE = "This page was put aside. It goes on when you come back to it.";
const CUT = "The connection was lost.";
const STOPPED = "You stopped this.";
const UNTOLD = "You stopped reading, but the server could not be told.";

/** A stream that cannot be read to its end; the message is for the user. */
export class StreamFailed extends Error {
  /** @param {string} message @param {string} [code] */
  constructor(message, code = "") {
    super(message);
    this.name = "StreamFailed";
    this.code = code;
  }
}

/** A connection that is over, while the stream is not. */
class Lost extends Error {
  /**
   * `again`: at once, and it is no attempt; `unsent`: nothing was begun, so that even a POST may be sent again.
   * @param {string} message
   * @param {{ again?: boolean, unsent?: boolean, stalled?: boolean, waitMs?: number }} [how]
   */
  constructor(message, how = {}) {
    super(message);
    this.how = how;
  }
}

/**
 * Makes events of text (WHATWG HTML section 9.2.6); `retry` counts at once, also right before a connection breaks.
 * @typedef {object} Sink
 * @property {(type: string, data: string, id: string | undefined) => void} message
 * @property {(id: string) => void} id
 * @property {(ms: number) => void} retry
 * @property {(text: string) => void} comment
 */
class Parser {
  /** @param {Sink} sink */
  constructor(sink) {
    this.sink = sink;
    this.rest = "";
    this.afterCr = false;
    this.chars = 0;
    this.type = "";
    /** @type {string | undefined} */
    this.data = undefined;
    /** @type {string | undefined} */
    this.id = undefined;
  }

  /** @param {string} text */
  feed(text) {
    if (this.afterCr && text) {
      if (text[0] === "\n") text = text.slice(1);
      this.afterCr = false;
    }
    if (text.includes("\r")) {
      this.afterCr = text.endsWith("\r");
      text = text.replace(/\r\n?/g, "\n");
    }
    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      this.line(this.rest + text.slice(start, end));
      this.rest = "";
    }
    this.rest += text.slice(start);
    this.bound(this.rest.length);
  }

  /** @param {number} chars */
  bound(chars) {
    if (this.chars + chars > EVENT_CHARS_MAX) throw new StreamFailed("The server sent an event that is too large.");
  }

  /** @param {string} line */
  line(line) {
    if (!line) return this.dispatch();
    this.bound(line.length);
    this.chars += line.length;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.data = this.data === undefined ? value : this.data + "\n" + value;
    else if (name === "event") this.type = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.sink.retry(Number(value));
    else if (!colon) this.sink.comment(line);
  }

  dispatch() {
    const { type, data, id } = this;
    this.chars = 0;
    this.type = "";
    this.data = this.id = undefined;
    if (data !== undefined) this.sink.message(type || "message", data, id);
    else if (id !== undefined) this.sink.id(id);
  }
}

/** @param {string} text @returns {any} */
const json = (text) => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};

/** What a body says about an error, in any of the usual forms. @param {any} body @returns {Fault} */
const faultIn = (body) => {
  const error = body.error ?? body;
  const said = typeof error === "string" ? error : error.message ?? error.detail ?? error.title;
  const code = [error.details?.[0]?.reason, body.code, error.code].find((one) => typeof one === "string");
  return { message: typeof said === "string" ? said.slice(0, TOLD_CHARS_MAX) : "", code: code ?? "" };
};

/** The error that a message tells, if it tells one. @param {string} type @param {string} data @returns {Fault | null} */
const faultOf = (type, data) => {
  const named = type === "error" || type === "sse-error";
  if (!named && !data.includes('"error"')) return null;
  const body = json(data);
  if (!named && (body.jsonrpc || !(body.error || body.type === "error"))) return null;
  const fault = faultIn(body);
  return { message: fault.message || "The server reported an error.", code: fault.code };
};

/** Wait for a promise, but not longer than this. @param {Promise<any>} promise @param {number} ms @returns {Promise<any>} */
const within = (promise, ms) => {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

const isOffline = () => globalThis.navigator?.onLine === false;

/** @implements {import("./client.d.ts").EventStream} */
class EventStream extends EventTarget {
  /** @type {State} */
  state = "connecting";
  reason = "Connecting.";
  code = "";
  stream = "";
  lastEventId = "";
  received = 0;
  duplicates = 0;
  /** @type {import("./client.d.ts").Gap[]} */
  gaps = [];
  attempt = 0;
  retryAt = 0;
  idleSeconds = 0;
  url;

  #options;
  #method;
  #control;
  #crossOrigin;
  #stallMs;
  #abort = new AbortController();
  #over = new AbortController();
  /** @type {(state: State) => void} */
  #settle = () => {};
  /** @type {Promise<State>} */
  #done = new Promise((resolve) => (this.#settle = resolve));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #wake = () => {};
  #asleep = false;
  #sidecar = false;
  #renewed = false;
  #key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  /** @type {Promise<boolean> | undefined} */
  #cancelled;
  /** Whether anybody looks at the state, so that it is told and not only set. */
  #watched = false;

  #seq = 0;
  #firstSeq = 1;
  #stamped = false;
  #tally = 0;
  /** @type {number[][]} */
  #announced = [];
  /** Where a gap begins whose end the server does not know. */
  #openGap = 0;
  /** @type {Set<string>} */
  #recent = new Set();
  #catchingUp = false;
  /** @type {number | undefined} */
  #retryMs;
  /** @type {Fault | null} */
  #fault = null;
  #faultIsLast = false;
  /** The sidecar has said its last word; what is left is the end of the connection. */
  #ended = false;
  #endSeq = 0;
  /** @type {number | undefined} */
  #lostAt;
  #connections = 0;
  #spokeAt = performance.now();
  /** @type {number[]} */
  #reconnects = [];
  #stalls = 0;
  /** @type {Set<MessageEvent<string>[]>} */
  #queues = new Set();
  #moved = () => {};
  /** @type {Promise<void>} */
  #move = Promise.resolve();

  /** @param {string | URL} url @param {Options} options */
  constructor(url, options) {
    super();
    const page = globalThis.document?.baseURI ?? globalThis.location?.href;
    const target = new URL(url, page);
    target.hash = "";
    this.url = target.href;
    this.#options = options;
    this.#method = (options.method ?? "GET").toUpperCase();
    this.#control = target.origin + (options.control ?? "/_sse");
    this.#crossOrigin = page !== undefined && new URL(page).origin !== target.origin;
    this.#stallMs = (options.stallSeconds ?? 30) * 1000;
    this.#sidecar = import.meta.url.startsWith(`${this.#control}/`);
    this.stream = options.join ?? "";
    this.#restore();
    this.#turn();
    this.#listen();
    queueMicrotask(() => (options.signal?.aborted ? this.close() : this.#run()));
  }

  get done() {
    this.#watched = true;
    return this.#done;
  }

  /** @param {Parameters<EventTarget["addEventListener"]>} how */
  addEventListener(...how) {
    this.#watched ||= how[0] === "state";
    super.addEventListener(...how);
  }

  async *[Symbol.asyncIterator]() {
    if (this.received) throw new Error("Messages were dispatched before: iterate right after connect().");
    /** @type {MessageEvent<string>[]} */
    const queue = [];
    this.#queues.add(queue);
    this.#watched = true;
    try {
      for (;;) {
        for (let message; (message = queue.shift()); this.#turn()) yield message;
        if (FINAL.includes(this.state)) break;
        await this.#move;
      }
    } finally {
      this.#queues.delete(queue);
      this.close();
    }
    if (this.state === "failed") throw new StreamFailed(this.reason, this.code);
  }

  retryNow() {
    this.#wake();
  }

  close() {
    this.#finish("closed", "This page left the stream.");
  }

  cancel() {
    return (this.#cancelled ??= this.#cancel());
  }

  async #cancel() {
    if (FINAL.includes(this.state)) return false;
    const told = this.stream !== "" && (await within(this.#stop().catch(() => false), ENDING_MS)) === true;
    if (told) {
      this.retryNow();
      await within(this.#done, ENDING_MS);
    }
    this.#finish("closed", told ? STOPPED : UNTOLD);
    return told && this.state === "closed";
  }

  async #stop() {
    const url = `${this.#control}/streams/${this.stream}/cancel`;
    const headers = await this.#headers();
    ABOUT_BODY.forEach((name) => headers.delete(name));
    const { credentials } = this.#options;
    return (await fetch(url, { method: "POST", headers, credentials, keepalive: true })).ok;
  }

  async #run() {
    while (!FINAL.includes(this.state)) {
      try {
        await this.#connect();
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** @param {unknown} error */
  async #recover(error) {
    try {
      if (!(error instanceof Lost)) throw error;
      await this.#pause(error);
    } catch (failure) {
      if (failure instanceof StreamFailed) this.#finish("failed", failure.message, failure.code);
      else this.#finish("failed", `This page could not read the stream: ${failure}`);
    }
  }

  /** Read over one connection; returns when the stream is over, throws Lost or StreamFailed. */
  async #connect() {
    const abort = (this.#abort = new AbortController());
    try {
      this.#arm(this.stream ? this.#stallMs : Math.max(this.#stallMs, FIRST_ANSWER_MS));
      const response = await this.#ask(abort.signal);
      if (response.status === 204) this.#endOfAll();
      else if (isStream(response)) await this.#read(response, abort.signal);
      else await this.#refuse(response);
    } finally {
      clearTimeout(this.#timer);
      abort.abort();
    }
  }

  /** @param {AbortSignal} signal @returns {Promise<Response>} */
  async #ask(signal) {
    const gone = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    try {
      return await Promise.race([gone, this.#request(signal)]);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof Lost) throw error;
      const cause = /** @type {any} */ (error)?.cause?.code ?? "";
      const unsent = /REFUSED|NOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT/.test(cause);
      throw new Lost("The server cannot be reached.", { unsent });
    }
  }

  /** @param {AbortSignal} signal */
  async #request(signal) {
    const headers = await this.#headers();
    const again = this.stream !== "" && (this.#method !== "GET" || !!this.#options.join || !this.#seq);
    const position = this.stream ? (this.#seq ? `${this.stream}.${this.#seq}` : "") : this.lastEventId;
    const url = again ? `${this.#control}/streams/${this.stream}` : this.url;
    const query = position && this.#crossOrigin;
    if (position && !query) headers.set("Last-Event-ID", utf8(position));
    if (again) ABOUT_BODY.forEach((name) => headers.delete(name));
    else if (this.#method !== "GET" && !this.#crossOrigin && !headers.has("idempotency-key"))
      headers.set("Idempotency-Key", this.#key);
    const { body, credentials } = this.#options;
    const parted = `${url}${url.includes("?") ? "&" : "?"}last_event_id=${encodeURIComponent(position)}`;
    /** @type {RequestInit & { duplex?: string }} */
    const init = { method: again ? "GET" : this.#method, headers, credentials, cache: "no-store", signal };
    if (!again && body != null) init.body = body;
    if (body instanceof ReadableStream) init.duplex = "half";
    return fetch(query ? parted : url, init);
  }

  async #headers() {
    const source = this.#options.headers;
    try {
      const headers = new Headers(typeof source === "function" ? await source() : source);
      if (!headers.has("accept")) headers.set("Accept", "text/event-stream; sse-events=1");
      const given = headers.get("last-event-id");
      headers.delete("last-event-id");
      if (given && !this.lastEventId && !this.stream) this.#place(given);
      return headers;
    } catch {
      throw new Lost("The login could not be renewed.", { unsent: true });
    }
  }

  /** @param {Response} response @param {AbortSignal} signal */
  async #read(response, signal) {
    const stream = response.headers.get("sse-stream");
    if (stream && stream !== this.stream) this.#begin(stream);
    this.#ended = this.#renewed = this.#faultIsLast = false;
    this.#catchingUp = this.#recent.size > 0;
    this.#opened(response.headers.get("sse-replayed"));
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    const parser = new Parser(this.#sink);
    for (;;) {
      this.#arm(this.#ended ? ENDING_MS : this.#stallMs);
      const chunk = await reader.read().catch(() => null);
      if (!chunk || chunk.done || signal.aborted) return this.#bodyOver(signal, !!chunk && !signal.aborted);
      clearTimeout(this.#timer);
      parser.feed(decoder.decode(chunk.value, { stream: true }));
      if (this.#options.from === "position") this.#store();
      while (!signal.aborted && this.#isBehind()) await this.#move;
    }
  }

  /** Judge the end of a body; `clean`: the server ended it. @param {AbortSignal} signal @param {boolean} clean */
  #bodyOver(signal, clean) {
    if (this.#faultIsLast) throw new StreamFailed(this.#fault?.message ?? "", this.#fault?.code);
    if (this.#ended && this.#seq < this.#endSeq) throw new Lost("The end of the answer is missing.");
    if (this.#ended) return this.#finish("completed", "Complete.");
    if (!clean) throw signal.aborted ? signal.reason : new Lost(CUT);
    const wish = this.#options.onEnd ?? (this.#method === "GET" ? "reconnect" : "complete");
    if (wish === "complete" && !this.stream) return this.#finish("completed", "Complete.");
    throw new Lost("The server ended the connection.");
  }

  /** There is nothing more to come (204): complete, unless the last word was an error. */
  #endOfAll() {
    if (this.#fault && (this.stream || this.#faultIsLast)) throw new StreamFailed(this.#fault.message, this.#fault.code);
    this.#finish("completed", "Complete.");
  }

  /** @param {Response} response @returns {Promise<never>} */
  async #refuse(response) {
    const { status } = response;
    const chunk = await response.body?.getReader().read().catch(() => null);
    const { message, code } = faultIn(json(new TextDecoder().decode(chunk?.value)));
    this.#sidecar ||= code.startsWith("err-sidecar-");
    const { headers, join, key } = this.#options;
    if ((status === 401 || status === 403) && typeof headers === "function" && !this.#renewed) {
      this.#renewed = true;
      throw new Lost("The login is renewed.", { again: true, unsent: true });
    }
    if (status === 429 || status >= 500) {
      const unsent = status === 429 || status === 503;
      throw new Lost(message || `The server is not available (${status}).`, { unsent, waitMs: retryAfter(response) });
    }
    if ((status === 404 || status === 410) && this.#method === "GET" && this.stream && !this.#seq && !join && !key) {
      this.stream = "";
      throw new Lost(message || CUT);
    }
    if (message) throw new StreamFailed(message, code);
    if (status === 200) throw new StreamFailed("The server answered with something else than an event stream.");
    if (status === 410) throw new StreamFailed("The rest of this is no longer kept. Ask again.");
    throw new StreamFailed(`The server refused the request (${status}).`);
  }

  /** Wait as long as the server asked, or longer each time; throws StreamFailed where asking again is no use. @param {Lost} lost */
  async #pause({ message, how }) {
    if (FINAL.includes(this.state)) return;
    this.#lostAt ??= performance.now();
    if (how.stalled) this.#stalls++;
    this.#refuseToRepeat(message, how.unsent);
    if (how.again) return;
    if (!this.#asleep && !isOffline()) {
      const { attempts = 10 } = this.#options;
      if (attempts && this.attempt >= attempts) throw new StreamFailed(`${message} Given up after ${attempts} attempts.`);
      const ms = this.#delayMs(how.waitMs);
      this.attempt++;
      this.retryAt = Date.now() + ms;
      this.#set(how.stalled ? "stalled" : "reconnecting", message);
      await this.#wait(ms);
      this.retryAt = 0;
    }
    while ((this.#asleep || isOffline()) && !FINAL.includes(this.state)) {
      this.#set("reconnecting", this.#asleep ? ASIDE : OFFLINE);
      await this.#wait(RETRY_MS_MAX);
      if (!this.#asleep) break;
    }
    if (!FINAL.includes(this.state)) this.#set("reconnecting", message);
  }

  /** @param {string} message @param {boolean | undefined} unsent */
  #refuseToRepeat(message, unsent) {
    const { body, onEnd } = this.#options;
    if (this.stream || this.#method === "GET") return;
    const repeatable = unsent || onEnd === "reconnect" || (this.#sidecar && !this.#crossOrigin);
    if (repeatable && !(body instanceof ReadableStream)) return;
    throw new StreamFailed(`${message} What was sent may have been carried out, so it is not sent again.`);
  }

  /** @param {number | undefined} askedMs what `Retry-After` says */
  #delayMs(askedMs) {
    const own = /** @type {number} */ (DELAYS_MS[Math.min(this.attempt, DELAYS_MS.length - 1)]);
    const retry = this.#retryMs ?? own;
    const ms = askedMs ?? (this.attempt ? Math.max(own, retry) : retry);
    return Math.min(ms, RETRY_MS_MAX) * (1 + JITTER_RATIO * Math.random());
  }

  /** @param {number} ms @returns {Promise<void>} */
  #wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Count the connection as dead if nothing arrives for so long. @param {number} ms */
  #arm(ms) {
    clearTimeout(this.#timer);
    const abort = this.#abort;
    const lost = new Lost(`Nothing has arrived for ${Math.round(ms / 1000)} seconds.`, { stalled: true });
    this.#timer = setTimeout(() => abort.abort(lost), ms);
  }

  /** The answer is there. @param {string | null} replayed */
  #opened(replayed) {
    this.#spokeAt = performance.now();
    this.#connections++;
    this.#set("open", "Connected.");
    if (this.#lostAt === undefined) return;
    const seconds = (performance.now() - this.#lostAt) / 1000;
    const detail = { attempts: this.#connections, seconds, replayed: replayed === null ? null : Number(replayed) };
    this.#lostAt = undefined;
    this.#connections = 0;
    this.#reconnects.push(Math.round(seconds * 1000) / 1000);
    this.#reconnects.splice(0, this.#reconnects.length - REPORTED_MAX);
    this.dispatchEvent(new CustomEvent("recovered", { detail }));
    this.#report("recovery");
  }

  /** Another stream of the sidecar's, to be counted anew. @param {string} stream @param {number} [seq] */
  #begin(stream, seq = 0) {
    this.stream = stream;
    this.#seq = seq;
    this.#firstSeq = seq + 1;
    this.#stamped = false;
    this.#tally = this.#openGap = 0;
    this.#announced = [];
    this.#fault = null;
    this.#store();
  }

  /** Where to go on after an id. @param {string} id */
  #place(id) {
    const own = OWN_ID.exec(id);
    if (own) this.#begin(/** @type {string} */ (own[1]), Number(own[2]));
    this.lastEventId = id;
  }

  /** @type {Sink} */
  #sink = {
    message: (type, data, id) => this.#take(type, data, id),
    id: (id) => (this.lastEventId = id),
    retry: (ms) => (this.#retryMs = ms),
    comment: (text) => this.#beat(text),
  };

  /** @param {string} text */
  #beat(text) {
    const said = /^: ?hb idle=(\d+)$/.exec(text);
    this.idleSeconds = said ? Number(said[1]) : Math.floor((performance.now() - this.#spokeAt) / 1000);
    this.dispatchEvent(new Event("heartbeat"));
  }

  /** @param {string} type @param {string} data @param {string | undefined} id */
  #take(type, data, id) {
    if (FINAL.includes(this.state)) return;
    if (type === "sse-gap") return this.#tellGap(json(data));
    if (type === "sse-end") {
      this.#ended = true;
      this.#endSeq = json(data).last_seq ?? 0;
      return;
    }
    const fault = faultOf(type, data);
    this.#faultIsLast = fault !== null;
    this.#fault = fault ?? this.#fault;
    if (type === "sse-error") {
      this.#ended = true;
      return;
    }
    if (id === undefined ? !this.#count() : !this.#isNew(id)) {
      this.duplicates++;
      return;
    }
    this.lastEventId = id ?? this.lastEventId;
    this.received++;
    this.#tally++;
    this.attempt = this.idleSeconds = 0;
    this.#spokeAt = performance.now();
    const message = new MessageEvent(type, { data, lastEventId: this.lastEventId, origin: new URL(this.url).origin });
    for (const queue of this.#queues) queue.push(message);
    if (this.#queues.size) this.#turn();
    this.dispatchEvent(message);
  }

  /** A message without an id: its place is its number, where the sidecar stamps none. */
  #count() {
    if (this.stream && !this.#stamped) this.#seq++;
    return true;
  }

  /** Take note of an id; false: this message was here before. @param {string} id */
  #isNew(id) {
    const own = OWN_ID.exec(id);
    if (!own) return this.#count() && this.#isUnseen(id);
    if (own[1] !== this.stream) this.#begin(/** @type {string} */ (own[1]));
    this.#stamped = true;
    const seq = Number(own[2]);
    if (seq <= this.#seq) return false;
    if (this.#openGap && this.#openGap < seq) this.#announced.push([this.#openGap, seq - 1]);
    else if (seq > this.#seq + 1) this.#gap(this.#seq + 1, seq - 1, "lost on the way");
    this.#openGap = 0;
    this.#seq = seq;
    return true;
  }

  /** Ids of somebody else's need not differ: they are compared only until the first new one after a reconnect. @param {string} id */
  #isUnseen(id) {
    if (this.#catchingUp && this.#recent.has(id)) return false;
    this.#catchingUp = false;
    if (id) this.#recent.add(id);
    for (const oldest of this.#recent) if (this.#recent.size > RECENT_IDS_MAX) this.#recent.delete(oldest);
    return true;
  }

  /** @param {{ missed_from?: number, missed_through?: number | null, reason?: string }} told */
  #tellGap({ missed_from: from = 0, missed_through: through = null, reason = "" }) {
    if (through === null) this.#openGap = from;
    else if (from <= this.#seq) this.#seq = from - 1;
    else {
      this.#announced.push([from, through]);
      this.#seq = through;
    }
    this.#gap(from, through, reason);
  }

  /** @param {number} missedFrom @param {number | null} missedThrough @param {string} reason */
  #gap(missedFrom, missedThrough, reason) {
    const detail = { missedFrom, missedThrough, reason };
    this.gaps.push(detail);
    this.dispatchEvent(new CustomEvent("gap", { detail }));
  }

  /** Whether an iterator has more before it than it may have. */
  #isBehind() {
    for (const queue of this.#queues) if (queue.length >= QUEUE_MAX) return true;
    return false;
  }

  /** Wake whoever waits for a message, for room, or for the end. */
  #turn() {
    this.#moved();
    this.#move = new Promise((resolve) => (this.#moved = resolve));
  }

  /** @param {State} state @param {string} reason */
  #set(state, reason) {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {State} state @param {string} reason @param {string} [code] */
  #finish(state, reason, code = "") {
    if (FINAL.includes(this.state)) return;
    if (this.#cancelled && state === "failed") [state, reason, code] = ["closed", STOPPED, ""];
    this.code = code;
    this.retryAt = 0;
    this.#set(state, reason);
    this.#over.abort();
    this.#abort.abort();
    this.#wake();
    this.#turn();
    this.#storage()?.removeItem(this.#storageKey());
    this.#report("end");
    this.#settle(state);
  }

  /** React to what happens to the page, until all is over. */
  #listen() {
    const { signal } = this.#over;
    const on = (/** @type {EventTarget | undefined} */ target, /** @type {string[]} */ types, /** @type {() => void} */ act) =>
      types.forEach((type) => target?.addEventListener?.(type, act, { signal }));
    on(globalThis, ["online"], () => this.#wake());
    on(globalThis, ["pagehide"], () => this.#putAside());
    on(globalThis, ["pageshow"], () => this.#comeBack());
    on(globalThis.document, ["freeze"], () => this.#putAside());
    on(globalThis.document, ["resume"], () => this.#comeBack());
    on(this.#options.signal, ["abort"], () => this.close());
  }

  #putAside() {
    if (this.#asleep) return;
    this.#asleep = true;
    this.#store();
    this.#report("pagehide");
    this.#abort.abort(new Lost(ASIDE, { again: true }));
  }

  #comeBack() {
    this.#asleep = false;
    this.#wake();
  }

  /** @param {"end" | "recovery" | "pagehide"} at */
  #report(at) {
    if (this.#options.reports === false || !this.stream) return;
    const body = JSON.stringify({
      v: 1,
      stream: this.stream,
      received: this.#tally,
      first_seq: this.#firstSeq,
      last_seq: this.#seq,
      gaps: this.#announced.slice(-REPORTED_MAX),
      duplicates: this.duplicates,
      reconnects: this.#reconnects,
      stalls: this.#stalls,
      state: this.state,
      told: this.#watched,
      at,
    });
    const url = `${this.#control}/reports`;
    if (globalThis.navigator?.sendBeacon?.(url, body)) return;
    // A report that does not arrive is one report less: there is nobody to tell.
    fetch(url, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(() => {});
  }

  #storageKey() {
    return `sse-sidecar:${this.#options.key}`;
  }

  /** The page's storage, where there is one and a key to it: pages may be forbidden to have one. */
  #storage() {
    try {
      return this.#options.key ? globalThis.sessionStorage : undefined;
    } catch {
      return undefined;
    }
  }

  #store() {
    const { url, stream, lastEventId } = this;
    const place = JSON.stringify({ url, stream, seq: this.#seq, lastEventId });
    try {
      if (place.length <= STORED_CHARS_MAX) this.#storage()?.setItem(this.#storageKey(), place);
    } catch {
      // Full or forbidden: a reload begins anew, everything else works.
    }
  }

  #restore() {
    const { url, stream, seq, lastEventId } = json(this.#storage()?.getItem(this.#storageKey()) ?? "");
    if (url !== this.url || this.stream) return;
    const on = this.#options.from === "position";
    if (stream) this.#begin(stream, on ? seq : 0);
    if (on) this.lastEventId = lastEventId;
  }
}

/** What `Retry-After` asks for, in ms. @param {Response} response */
const retryAfter = ({ headers }) => {
  const said = headers.get("retry-after") ?? "";
  const ms = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return ms >= 0 ? ms : undefined;
};

/** @param {Response} response */
const isStream = ({ status, headers }) =>
  status === 200 && /^text\/event-stream\s*(;|$)/i.test(headers.get("content-type") ?? "");

/** A header value is bytes: the standard sends ids as UTF-8. @param {string} text */
const utf8 = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/** @param {string | URL} url @param {Options} [options] */
export const connect = (url, options = {}) => new EventStream(url, options);
