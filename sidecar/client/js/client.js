/** Reads one event stream over as many connections as it takes, and never ends without saying how. API: client.d.ts. */

/** @typedef {import("./client.d.ts").Options} Options */
/** @typedef {import("./client.d.ts").State} State */
/** @typedef {import("./client.d.ts").EventStream} Promised */
/** @typedef {{ message: string, code: string }} Fault */
/** @typedef {{ again?: boolean, unsent?: boolean, stalled?: boolean, waitMs?: number }} How */

export const VERSION = "0.1.0";

const [DELAYS_MS, JITTER_RATIO, RETRY_MS_MAX] = [[1000, 2000, 4000, 5000], 0.1, 300_000];
/** Longest wait for the first answer: a model may think long, and asking again would make it think twice. */
const FIRST_ANSWER_MS = 150_000;
/** Longest wait for the connection's end when all is said, and for each of the two steps of a cancel. */
const ENDING_MS = 2000;
/** Messages that an iterator may be behind before nothing more is read; looked at between two chunks. */
const QUEUE_MAX = 1000;
/** Gaps and reconnects that are remembered: a report has 4 KiB. */
const KEPT_MAX = 50;
const [RECENT_IDS_MAX, EVENT_CHARS_MAX, TOLD_CHARS_MAX, STORED_CHARS_MAX] = [500, 64 * 1024 * 1024, 300, 4096];
const OWN_ID = /^(s1[\w-]{40})\.(\d{1,15})$/;
const OFFLINE = "You are offline. This goes on as soon as you are back online.";
const ASIDE = "This page was put aside. It goes on when you come back to it.";
const STOPPED = "You stopped this.";

/** A stream that cannot be read to its end; the message is for the user. */
export class StreamFailed extends Error {
  name = "StreamFailed";
  constructor(/** @type {string} */ message, code = "") {
    super(message);
    this.code = code;
  }
}

/** A connection is over, the stream is not. `again`: at once; `unsent`: nothing was begun, even a POST may be repeated. */
class Lost extends Error {
  constructor(/** @type {string} */ message, /** @type {How} */ how = {}) {
    super(message);
    this.how = how;
  }
}

/**
 * Text in, events out (WHATWG HTML section 9.2.6); `retry` counts at once, also right before a connection breaks.
 * @param {Record<"message" | "id" | "retry" | "comment", (...said: any) => void>} on
 */
const parser = (on) => {
  let [rest, type, chars, afterCr] = ["", "", 0, false];
  let [data, id] = /** @type {(string | undefined)[]} */ ([]);
  const dispatch = () => {
    const said = [type || "message", data, id];
    [type, chars, data, id] = ["", 0, undefined, undefined];
    if (said[1] !== undefined) on.message(...said);
    else if (said[2] !== undefined) on.id(said[2]);
  };
  const field = (/** @type {string} */ line) => {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") data = data === undefined ? value : data + "\n" + value;
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) on.retry(Number(value));
    else if (!colon) on.comment(line);
  };
  return (/** @type {string} */ text) => {
    if (afterCr && text[0] === "\n") text = text.slice(1);
    else if (!text) return;
    afterCr = text.endsWith("\r");
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      const line = rest + text.slice(start, end);
      rest = "";
      chars += end - start;
      line ? field(line) : dispatch();
    }
    rest += text.slice(start);
    chars += text.length - start;
    if (chars > EVENT_CHARS_MAX) throw new StreamFailed("The server sent an event that is too large.");
  };
};

/** @returns {any} */
const json = (/** @type {string} */ text) => {
  try { return JSON.parse(text) ?? {}; } catch { return {}; }
};

/** What a body says about an error, in any of the usual forms. @returns {Fault} */
const faultIn = (/** @type {any} */ body) => {
  const error = body.error ?? body.errorText ?? body;
  const said = typeof error === "string" ? error : (error.message ?? error.detail ?? error.title);
  const code = [error.details?.[0]?.reason, body.code, error.code].find((one) => typeof one === "string") ?? "";
  return { message: typeof said === "string" ? said.slice(0, TOLD_CHARS_MAX) : "", code };
};

/** The error that a message tells, if it tells one. */
const faultOf = (/** @type {string} */ type, /** @type {string} */ data) => {
  const named = type === "error" || type === "sse-error";
  if (!named && !data.includes('"error"')) return null;
  const body = json(data);
  if (!named && (body.jsonrpc || !(body.error || body.type === "error"))) return null;
  const { message, code } = faultIn(body);
  return { message: message || "The server reported an error.", code };
};

/** What `Retry-After` asks for, in ms. */
const retryAfter = (/** @type {Headers} */ headers) => {
  const said = headers.get("retry-after") ?? "";
  const ms = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return ms >= 0 ? ms : undefined;
};

const withoutBody = (/** @type {Headers} */ headers) => {
  for (const name of ["content-type", "content-length", "content-encoding", "idempotency-key"]) headers.delete(name);
  return headers;
};

/** @returns {Promise<any>} */
const within = (/** @type {number} */ ms, /** @type {Promise<any>} */ promise) => {
  let timer = /** @type {any} */ (0);
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** @template Item @param {Item[]} list @param {Item} item */
const keep = (list, item) => list.push(item) > KEPT_MAX && list.shift();
const isOffline = () => globalThis.navigator?.onLine === false;
/** Header values are bytes, and the standard sends an id as UTF-8. */
const utf8 = (/** @type {string} */ text) => String.fromCharCode(...new TextEncoder().encode(text));

/** @implements {Promised} */
class EventStream extends EventTarget {
  state = /** @type {State} */ ("connecting"); reason = "Connecting."; code = ""; stream = ""; lastEventId = "";
  received = 0; duplicates = 0; attempt = 0; retryAt = 0; idleSeconds = 0;
  gaps = /** @type {import("./client.d.ts").Gap[]} */ ([]);

  #options; #method; #origin; #control; #crossOrigin; #stallMs; #sidecar;
  #key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");
  #abort = new AbortController(); #over = new AbortController();
  #timer = /** @type {any} */ (0); #wake = () => {}; #moved = () => {}; #move = Promise.resolve();
  #settle = (/** @type {State} */ _) => {};
  #done = new Promise((/** @type {(state: State) => void} */ resolve) => (this.#settle = resolve));
  #queues = /** @type {Set<MessageEvent<string>[]>} */ (new Set());
  #cancelled = /** @type {Promise<boolean> | undefined} */ (undefined);
  /** `watched`: somebody looks at the state, so the user is told; `renewed`: the login was asked for once more. */
  #watched = false; #renewed = false; #asleep = false;

  /** What of this stream was read here, as a report says it; `openGap`: where a gap begins whose end nobody knows. */
  #log = { received: 0, first_seq: 1, last_seq: 0, gaps: /** @type {number[][]} */ ([]) };
  #stamped = false; #openGap = 0; #retryMs = -1;
  #reconnects = /** @type {number[]} */ ([]); #stalls = 0; #connections = 0; #lostAt = 0; #spokeAt = 0;
  /** Ids of another server's making: compared only until the first new one after a reconnect, as they need not differ. */
  #recent = /** @type {Set<string>} */ (new Set()); #catchingUp = false;
  /** `ended`: the sidecar has said its last word, and only the connection's end is missing. */
  #fault = /** @type {Fault | null} */ (null); #faultIsLast = false; #ended = false; #endSeq = 0;

  constructor(/** @type {string | URL} */ url, /** @type {Options} */ options) {
    super();
    const page = globalThis.document?.baseURI ?? globalThis.location?.href;
    const { href, origin } = new URL(url, page);
    this.url = href.replace(/#.*/, "");
    this.#options = options;
    this.#method = (options.method ?? "GET").toUpperCase();
    this.#origin = origin;
    this.#control = origin + (options.control ?? "/_sse");
    this.#crossOrigin = page !== undefined && new URL(page).origin !== origin;
    this.#stallMs = (options.stallSeconds ?? 30) * 1000;
    this.#sidecar = import.meta.url.startsWith(`${this.#control}/`);
    this.stream = options.join ?? "";
    this.#restore();
    this.#turn();
    this.#listen();
    queueMicrotask(() => (options.signal?.aborted ? this.close() : this.#run()));
  }

  get done() { return (this.#watched = true) && this.#done; }
  retryNow() { this.#wake(); }
  close() { this.#finish("closed", "This page left the stream."); }
  cancel() { return (this.#cancelled ??= this.#cancel()); }

  addEventListener(/** @type {Parameters<EventTarget["addEventListener"]>} */ ...how) {
    this.#watched ||= how[0] === "state";
    super.addEventListener(...how);
  }

  async *[Symbol.asyncIterator]() {
    if (this.received) throw new Error("Messages were dispatched before: iterate right after connect().");
    const queue = /** @type {MessageEvent<string>[]} */ ([]);
    this.#queues.add(queue);
    this.#watched = true;
    try {
      for (; !this.#isOver || queue.length; await (queue.length || this.#isOver || this.#move))
        for (let message; (message = queue.shift()); this.#turn()) yield message;
    } finally {
      this.#queues.delete(queue);
      this.close();
    }
    if (this.state === "failed") throw new StreamFailed(this.reason, this.code);
  }

  async #cancel() {
    if (this.#isOver) return false;
    const told = !!this.stream && (await within(ENDING_MS, this.#stop().catch(() => false))) === true;
    if (told) this.retryNow();
    if (told) await within(ENDING_MS, this.#done);
    this.#finish("closed", told || !this.stream ? STOPPED : "You stopped reading, but the server could not be told.");
    return told && this.state === "closed";
  }

  /** Ask the server to stop; true: it has. */
  async #stop() {
    const headers = withoutBody(await this.#headers());
    const request = { method: "POST", headers, credentials: this.#options.credentials, keepalive: true };
    return (await fetch(`${this.#control}/streams/${this.stream}/cancel`, request)).ok;
  }

  get #isOver() { return ["completed", "failed", "closed"].includes(this.state); }

  async #run() {
    while (!this.#isOver)
      try {
        await this.#connect().catch((lost) => this.#pause(lost));
      } catch (error) {
        if (error instanceof StreamFailed) this.#finish("failed", error.message, error.code);
        else this.#finish("failed", `This page could not read the stream: ${error}`);
      }
  }

  /** Read over one connection; returns when the stream is over, throws Lost or StreamFailed. */
  async #connect() {
    const { signal } = (this.#abort = new AbortController());
    this.#connections++;
    this.#arm(this.stream ? this.#stallMs : Math.max(this.#stallMs, FIRST_ANSWER_MS));
    try {
      const gone = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      const response = await Promise.race([gone, this.#request(signal)]);
      const isStream = /^text\/event-stream\s*(;|$)/i.test(response.headers.get("content-type") ?? "");
      if (response.status === 200 && isStream) await this.#read(response, signal);
      else if (response.status !== 204) await this.#refuse(response);
      else if (this.#fault && (this.stream || this.#faultIsLast)) this.#fail(this.#fault);
      else this.#finish("completed", "Complete.");
    } finally {
      clearTimeout(this.#timer);
      this.#abort.abort();
    }
  }

  /** Ask the question, or for the rest of its answer. @returns {Promise<any>} */
  async #request(/** @type {AbortSignal} */ signal) {
    const headers = await this.#headers();
    const { body, credentials, join } = this.#options;
    const seq = this.#log.last_seq;
    const again = !!this.stream && (this.#method !== "GET" || !!join || !seq);
    const position = !this.stream ? this.lastEventId : seq ? `${this.stream}.${seq}` : "";
    let url = again ? `${this.#control}/streams/${this.stream}` : this.url;
    if (position && this.#crossOrigin) url += `${url.includes("?") ? "&" : "?"}last_event_id=${encodeURIComponent(position)}`;
    else if (position) headers.set("Last-Event-ID", utf8(position));
    if (again) withoutBody(headers);
    else if (this.#method !== "GET" && !this.#crossOrigin && !headers.has("idempotency-key"))
      headers.set("Idempotency-Key", this.#key);
    const question = { method: this.#method, body, ...(body instanceof ReadableStream && { duplex: "half" }) };
    return fetch(url, { headers, credentials, signal, cache: "no-store", ...(!again && question) }).catch((error) => {
      const unsent = /REFUSED|NOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT/.test(error?.cause?.code);
      throw new Lost("The server cannot be reached.", { unsent });
    });
  }

  /** Ask for the header fields, which may be a renewed login. */
  async #headers() {
    const { headers: source } = this.#options;
    try {
      const headers = new Headers(typeof source === "function" ? await source() : source);
      if (!headers.has("accept")) headers.set("Accept", "text/event-stream; sse-events=1");
      const position = headers.get("last-event-id") ?? "";
      const [, stream, seq] = OWN_ID.exec(position) ?? [];
      headers.delete("last-event-id");
      if (stream && !this.stream) this.#begin(stream, Number(seq));
      this.lastEventId ||= position;
      return headers;
    } catch {
      throw new Lost("The login could not be renewed.", { unsent: true });
    }
  }

  async #read(/** @type {Response} */ { headers, body }, /** @type {AbortSignal} */ signal) {
    const stream = headers.get("sse-stream");
    if (stream && stream !== this.stream) this.#begin(stream);
    this.#ended = this.#renewed = this.#faultIsLast = false;
    this.#catchingUp = true;
    this.#opened(headers.get("sse-replayed"));
    const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader();
    const decoder = new TextDecoder();
    const feed = parser(this.#parts);
    for (;;) {
      this.#arm(this.#ended ? ENDING_MS : this.#stallMs);
      const chunk = await reader.read().catch(() => undefined);
      clearTimeout(this.#timer);
      if (!chunk || chunk.done || signal.aborted) return this.#bodyOver(signal, !!chunk);
      feed(decoder.decode(chunk.value, { stream: true }));
      if (this.#options.from === "position") this.#store();
      while (!signal.aborted && [...this.#queues].some((queue) => queue.length >= QUEUE_MAX)) await this.#move;
    }
  }

  /** Judge the end of a body; `clean`: the server ended it. */
  #bodyOver(/** @type {AbortSignal} */ signal, /** @type {boolean} */ clean) {
    const { onEnd = this.#method === "GET" ? "reconnect" : "complete" } = this.#options;
    if (this.#fault && this.#faultIsLast) this.#fail(this.#fault);
    if (this.#ended && this.#log.last_seq < this.#endSeq) throw new Lost("The end of the answer is missing.");
    if (this.#ended) return this.#finish("completed", "Complete.");
    if (signal.aborted) throw signal.reason;
    if (!clean) throw new Lost("The connection was lost.");
    if (this.stream || onEnd === "reconnect") throw new Lost("The server ended the connection.");
    this.#finish("completed", "Complete.");
  }

  /** @returns {never} */
  #fail(/** @type {Fault} */ { message, code }) { throw new StreamFailed(message, code); }

  /** The answer is no event stream: throws what that means. */
  async #refuse(/** @type {Response} */ { status, headers, body }) {
    const chunk = await body?.getReader().read().catch(() => undefined);
    const { message, code } = faultIn(json(new TextDecoder().decode(chunk?.value)));
    const { headers: source, join, key } = this.#options;
    this.#sidecar ||= code.startsWith("err-sidecar-");
    if ((status === 401 || status === 403) && typeof source === "function" && !this.#renewed) {
      this.#renewed = true;
      throw new Lost("The login is renewed.", { again: true, unsent: true });
    }
    if (status === 429 || status >= 500) {
      const how = { unsent: status === 429 || status === 503, waitMs: retryAfter(headers) };
      throw new Lost(message || `The server is not available (${status}).`, how);
    }
    if (this.#method === "GET" && this.stream && !this.#log.last_seq && !join && !key && [404, 410].includes(status)) {
      this.stream = ""; // nothing was read of it: the question can be asked anew
      throw new Lost(message);
    }
    const gone = status === 410 && "The rest of this is no longer kept. Ask again.";
    const other = status === 200 && "The server answered with something else than an event stream.";
    throw new StreamFailed(message || gone || other || `The server refused the request (${status}).`, code);
  }

  /** Wait as long as the server asked, or longer each time; throws StreamFailed where asking again is no use. */
  async #pause(/** @type {unknown} */ lost) {
    if (!(lost instanceof Lost)) throw lost;
    if (this.#isOver) return;
    const { message, how } = lost;
    const { attempts = 10 } = this.#options;
    if (!how.again || !how.unsent) this.#lostAt ||= performance.now();
    if (how.stalled) this.#stalls++;
    this.#refuseToRepeat(message, how.unsent);
    if (!how.again && !this.#asleep && !isOffline()) {
      if (attempts && this.attempt >= attempts) throw new StreamFailed(`${message} Given up after ${attempts} attempts.`);
      await this.#wait(this.#delayMs(how.waitMs), how.stalled ? "stalled" : "reconnecting", message);
    }
    while ((this.#asleep || isOffline()) && !this.#isOver) {
      await this.#wait(undefined, "reconnecting", this.#asleep ? ASIDE : OFFLINE);
      if (!this.#asleep) break;
    }
    if (!this.#isOver && !how.again) this.#set("reconnecting", message);
  }

  /** Nothing that may have been carried out is asked a second time. */
  #refuseToRepeat(/** @type {string} */ message, unsent = false) {
    const { body, onEnd } = this.#options;
    if (this.stream || this.#method === "GET") return;
    const repeatable = unsent || onEnd === "reconnect" || (this.#sidecar && !this.#crossOrigin);
    if (repeatable && !(body instanceof ReadableStream)) return;
    throw new StreamFailed(`${message} What was sent may have been carried out, so it is not sent again.`);
  }

  /** How long to wait, counting the attempt; `asked`: what `Retry-After` says, in ms. */
  #delayMs(/** @type {number | undefined} */ asked) {
    const own = DELAYS_MS[Math.min(this.attempt, DELAYS_MS.length - 1)] ?? 0;
    const retry = this.#retryMs < 0 ? own : this.#retryMs;
    const ms = asked ?? (this.attempt ? Math.max(own, retry) : retry);
    this.attempt++;
    return Math.min(ms, RETRY_MS_MAX) * (1 + JITTER_RATIO * Math.random());
  }

  /** Wait for the time or, without one, for an event, but never for longer than is right. */
  async #wait(/** @type {number | undefined} */ ms, /** @type {State} */ state, /** @type {string} */ reason) {
    this.retryAt = ms === undefined ? 0 : Date.now() + ms;
    const woken = new Promise((resolve) => (this.#wake = () => resolve(0)));
    this.#set(state, reason);
    await within(ms ?? RETRY_MS_MAX, woken);
    this.retryAt = 0;
  }

  /** Take the connection for dead if nothing arrives for so long. */
  #arm(/** @type {number} */ ms) {
    const lost = () => new Lost(`Nothing has arrived for ${Math.round(ms / 1000)} seconds.`, { stalled: true });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(lost()), ms);
  }

  /** The answer is there; `replayed`: how much of it is from the log. */
  #opened(/** @type {string | null} */ replayed) {
    const [now, lostAt, attempts] = [performance.now(), this.#lostAt, this.#connections];
    const seconds = Math.round(now - lostAt) / 1000;
    this.#lostAt = this.#connections = 0;
    this.#spokeAt = now;
    this.#set("open", "Connected.");
    if (!lostAt) return;
    keep(this.#reconnects, seconds);
    this.#tell("recovered", { attempts, seconds, replayed: replayed === null ? null : Number(replayed) });
    this.#report("recovery");
  }

  /** Another stream of the sidecar's: what is read of it is counted anew. */
  #begin(/** @type {string} */ stream, seq = 0) {
    this.stream = stream;
    this.#log = { received: 0, first_seq: seq + 1, last_seq: seq, gaps: [] };
    [this.#stamped, this.#openGap, this.#fault] = [false, 0, null];
    this.#store();
  }

  #parts = {
    message: (/** @type {[string, string, string | undefined]} */ ...said) => this.#take(...said),
    id: (/** @type {string} */ id) => (this.lastEventId = id),
    retry: (/** @type {number} */ ms) => (this.#retryMs = ms),
    comment: (/** @type {string} */ line) => {
      const idle = /^: ?hb idle=(\d+)$/.exec(line)?.[1] ?? (performance.now() - this.#spokeAt) / 1000;
      this.idleSeconds = Math.floor(Number(idle));
      this.dispatchEvent(new Event("heartbeat"));
    },
  };

  #take(/** @type {string} */ type, /** @type {string} */ data, /** @type {string | undefined} */ id) {
    if (this.#isOver) return;
    if (type === "sse-gap") return this.#tellGap(json(data));
    if (type === "sse-end") this.#endSeq = Number(json(data).last_seq ?? 0);
    const fault = faultOf(type, data);
    this.#faultIsLast = !!fault;
    this.#fault = fault ?? this.#fault;
    this.#ended ||= type === "sse-end" || type === "sse-error";
    if (this.#ended) return;
    if (!this.#isNew(id)) return void this.duplicates++;
    this.lastEventId = id ?? this.lastEventId;
    this.received++;
    this.#log.received++;
    this.attempt = this.idleSeconds = 0;
    this.#spokeAt = performance.now();
    const message = new MessageEvent(type, { data, lastEventId: this.lastEventId, origin: this.#origin });
    for (const queue of this.#queues) queue.push(message);
    if (this.#queues.size) this.#turn();
    this.dispatchEvent(message);
  }

  /** Take note of a message's place; false: it was here before. */
  #isNew(/** @type {string | undefined} */ id) {
    const [, stream, digits] = OWN_ID.exec(id ?? "") ?? [];
    if (!stream) return this.#isUnseen(id);
    if (stream !== this.stream) this.#begin(stream);
    const [log, seq] = [this.#log, Number(digits)];
    this.#stamped = true;
    if (seq <= log.last_seq) return false;
    if (this.#openGap && this.#openGap < seq) keep(log.gaps, [this.#openGap, seq - 1]);
    else if (seq > log.last_seq + 1) this.#gap(log.last_seq + 1, seq - 1, "lost on the way");
    this.#openGap = 0;
    log.last_seq = seq;
    return true;
  }

  #isUnseen(id = "") {
    if (this.#catchingUp && this.#recent.has(id)) return false;
    if (id) this.#recent.add(id);
    if (id) this.#catchingUp = false;
    if (this.#recent.size > RECENT_IDS_MAX) this.#recent.delete(this.#recent.keys().next().value ?? "");
    if (this.stream && !this.#stamped) this.#log.last_seq++; // the sidecar numbers what it does not stamp as well
    return true;
  }

  /** The server says what will not come. Where it had forgotten numbers that were here, it gives them out again. */
  #tellGap(/** @type {any} */ { missed_from, missed_through, reason }) {
    const log = this.#log;
    const from = Number.isInteger(missed_from) ? missed_from : log.last_seq + 1;
    const through = Number.isInteger(missed_through) ? missed_through : null;
    if (through === null) this.#openGap = from;
    else if (from <= log.last_seq) log.received -= log.last_seq - from + 1;
    else keep(log.gaps, [from, through]);
    if (through !== null) log.last_seq = from <= log.last_seq ? from - 1 : through;
    this.#gap(from, through, `${reason ?? ""}`);
  }

  #gap(/** @type {number} */ missedFrom, /** @type {number | null} */ missedThrough, /** @type {string} */ reason) {
    const gap = { missedFrom, missedThrough, reason };
    keep(this.gaps, gap);
    this.#tell("gap", gap);
  }

  #tell(/** @type {string} */ type, /** @type {object} */ detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  /** Wake whoever waits for a message, for room or for the end. */
  #turn() {
    this.#moved();
    this.#move = new Promise((resolve) => (this.#moved = resolve));
  }

  #set(/** @type {State} */ state, /** @type {string} */ reason) {
    Object.assign(this, { state, reason });
    this.dispatchEvent(new Event("state"));
  }

  #finish(/** @type {State} */ state, /** @type {string} */ reason, code = "") {
    if (this.#isOver) return;
    const stopped = this.#cancelled && state === "failed";
    Object.assign(this, { code: stopped ? "" : code, retryAt: 0 });
    this.#set(stopped ? "closed" : state, stopped ? STOPPED : reason);
    this.#over.abort();
    this.#abort.abort();
    this.#wake();
    this.#turn();
    this.#store();
    this.#report("end");
    this.#settle(this.state);
  }

  /** React to what happens to the page, until all is over. */
  #listen() {
    const on = (/** @type {any} */ target, /** @type {string} */ type, /** @type {() => void} */ act) =>
      target?.addEventListener?.(type, act, { signal: this.#over.signal });
    const leave = () => {
      if (this.#asleep) return;
      this.#asleep = true;
      this.#store();
      this.#report("pagehide");
      this.#abort.abort(new Lost(ASIDE, { again: true }));
    };
    const comeBack = () => ((this.#asleep = false), this.#wake());
    on(globalThis, "online", () => this.#wake());
    on(globalThis, "pagehide", leave);
    on(globalThis, "pageshow", comeBack);
    on(globalThis.document, "freeze", leave);
    on(globalThis.document, "resume", comeBack);
    on(this.#options.signal, "abort", () => this.close());
  }

  #report(/** @type {"end" | "recovery" | "pagehide"} */ at) {
    if (this.#options.reports === false || !this.stream) return;
    const { stream, duplicates, state } = this;
    const counts = { duplicates, reconnects: this.#reconnects, stalls: this.#stalls, state, told: this.#watched, at };
    const body = JSON.stringify({ v: 1, stream, ...this.#log, ...counts });
    const url = `${this.#control}/reports`;
    if (globalThis.navigator?.sendBeacon?.(url, body)) return;
    // A report that does not arrive is one report less: there is nobody to tell.
    fetch(url, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(() => {});
  }

  /** What is kept for a reload. Storage may be missing, full or forbidden: then that begins anew, and all else works. */
  #stored(/** @type {(storage: Storage, name: string) => unknown} */ use) {
    try { return this.#options.key && use(sessionStorage, `sse-sidecar:${this.#options.key}`); } catch {}
  }

  #store() {
    const { url, stream, lastEventId } = this;
    const place = JSON.stringify({ url, stream, seq: this.#log.last_seq, lastEventId });
    const fits = !this.#isOver && place.length <= STORED_CHARS_MAX;
    this.#stored((storage, name) => (fits ? storage.setItem(name, place) : storage.removeItem(name)));
  }

  #restore() {
    const { url, stream, seq, lastEventId } = json(`${this.#stored((storage, name) => storage.getItem(name))}`);
    if (url !== this.url || this.stream) return;
    const on = this.#options.from === "position";
    if (stream) this.#begin(stream, on ? seq : 0);
    if (on) this.lastEventId = lastEventId;
  }
}

/** @param {string | URL} url @param {Options} [options] */
export const connect = (url, options = {}) => new EventStream(url, options);
