/** Reads one event stream over as many connections as it takes, and never ends without saying how. API: client.d.ts. */
/** @typedef {import("./client.d.ts").Options} Options @typedef {import("./client.d.ts").State} State */
/** @typedef {import("./client.d.ts").EventStream} Promised @typedef {{ message: string, code: string }} Fault */
/** @typedef {{ again?: boolean, unsent?: boolean, stalled?: boolean, waitMs?: number }} How */
export const VERSION = "0.1.0";
const [DELAYS_MS, JITTER_RATIO, RETRY_MS_MAX, TIMER_MS_MAX] = [[1000, 2000, 4000, 5000], 0.1, 300_000, 2 ** 31 - 1];
const FIRST_ANSWER_MS = 150_000; // longest wait for it: a model may think long, and asked again it would think twice
const ENDING_MS = 2000; // longest wait for the connection's end when all is said, and for each step of a cancel
const QUEUE_MAX = 1000; // messages that an iterator may be behind before nothing more is read, looked at between chunks
const [SOON_MS, KEPT_MAX] = [250, 50]; // between attempts after a cancel; gaps and reconnects kept: a report has 4 KiB
const [RECENT_IDS_MAX, EVENT_CHARS_MAX, TOLD_CHARS_MAX, STORED_CHARS_MAX] = [500, 64 * 1024 * 1024, 300, 4096];
const OWN_ID = /^(s1[\w-]{40})\.(\d{1,15})$/;
const ABOUT_BODY = ["content-type", "content-length", "content-encoding", "idempotency-key"];
const UNSENT = /REFUSED|NOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT/; // how node says that there was no connection
const OFFLINE = "You are offline. This goes on as soon as you are back online.";
const ASIDE = "This page was put aside. It goes on when you come back to it.";
const STOPPED = "You stopped this.";

export class StreamFailed extends Error { // a stream that cannot be read to its end; the message is for the user
  name = "StreamFailed";
  constructor(/** @type {string} */ message, code = "") { super(message); this.code = code; }
}
/** A connection is over, the stream is not. `again`: at once; `unsent`: nothing was begun, even a POST may be repeated. */
class Lost extends Error {
  constructor(/** @type {string} */ message, /** @type {How} */ how = {}) { super(message); this.how = how; }
}

/** Text in, events out (WHATWG HTML section 9.2.6); `retry` counts at once, also right before a connection breaks. */
const parser = (/** @type {Record<"message" | "id" | "retry" | "comment", (...said: any) => void>} */ on) => {
  let [rest, type, chars, afterCr, atStart] = ["", "", 0, false, true];
  let [data, id] = /** @type {(string | undefined)[]} */ ([]);
  const dispatch = () => {
    if (data !== undefined) on.message(type || "message", data, id);
    else if (id !== undefined) on.id(id);
    data = id = undefined; type = ""; chars = 0;
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
    if (atStart) [atStart, text] = [false, text.replace(/^\uFEFF/, "")];
    afterCr = text.endsWith("\r");
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      const line = rest + text.slice(start, end);
      rest = ""; chars += end - start;
      line ? field(line) : dispatch();
    }
    rest += text.slice(start);
    if ((chars += text.length - start) > EVENT_CHARS_MAX) throw new StreamFailed("The server sent an event that is too large.");
  };
};
const json = (/** @type {string} */ text) => { try { return /** @type {any} */ (JSON.parse(text)) ?? {}; } catch { return {}; } };
const faultIn = (/** @type {any} */ body) => { // what a body says about an error, in any of the usual forms
  const error = body.error ?? body.errorText ?? body;
  const said = typeof error === "string" ? error : (error.message ?? error.detail ?? error.title);
  const code = [error.details?.[0]?.reason, body.code, error.code].find((one) => typeof one === "string") ?? "";
  return { message: typeof said === "string" ? said.slice(0, TOLD_CHARS_MAX) : "", code };
};
const faultOf = (/** @type {string} */ type, /** @type {string} */ data) => { // the error that a message tells, if any
  const named = type === "error" || type === "sse-error";
  const body = named || data.includes('"error"') ? json(data) : {};
  if (!named && (body.jsonrpc || !(body.error || body.type === "error"))) return null;
  const { message, code } = faultIn(body);
  return { message: message || "The server reported an error.", code };
};
const retryAfterMs = (/** @type {Headers} */ headers, said = headers.get("retry-after") ?? "") =>
  Math.max(0, /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now());
const withoutBody = (/** @type {Headers} */ headers) => (ABOUT_BODY.forEach((name) => headers.delete(name)), headers);
const within = (/** @type {number} */ ms, /** @type {Promise<any>} */ promise) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  promise.then(resolve).finally(() => clearTimeout(timer));
});
const keep = (/** @type {any[]} */ list, /** @type {any} */ item) => list.push(item) > KEPT_MAX && list.shift();
const isOffline = () => globalThis.navigator?.onLine === false;
const utf8 = (/** @type {string} */ text) => String.fromCharCode(...new TextEncoder().encode(text)); // for a header value

/** @implements {Promised} */
class EventStream extends EventTarget {
  state = /** @type {State} */ ("connecting"); reason = "Connecting."; code = ""; stream = ""; lastEventId = "";
  received = 0; duplicates = 0; attempt = 0; retryAt = 0; idleSeconds = 0;
  gaps = /** @type {import("./client.d.ts").Gap[]} */ ([]);
  #options; #method; #origin; #control; #crossOrigin; #sidecar;
  #key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");
  #abort = new AbortController(); #over = new AbortController();
  #timer = /** @type {any} */ (0); #wake = () => {}; #moved = () => {}; #move = Promise.resolve();
  #settle = (/** @type {State} */ _) => {};
  #done = new Promise((/** @type {(state: State) => void} */ resolve) => (this.#settle = resolve));
  #queues = /** @type {Set<MessageEvent<string>[]>} */ (new Set());
  #cancelled = /** @type {Promise<boolean> | undefined} */ (undefined);
  #watched = false; #renewed = false; #asleep = false; // watched: somebody looks at the state, so the user is told
  #log = { received: 0, first_seq: 1, last_seq: 0, gaps: /** @type {number[][]} */ ([]) }; // what was read, for a report
  #stamped = false; #next = ""; #askedFor = ""; #retryMs = -1; #openGap = 0; // openGap: where a gap begins whose end nobody knows
  #reconnects = /** @type {number[]} */ ([]); #stalls = 0; #connections = 0; #lostAt = 0; #spokeAt = 0;
  /** Ids of another server's making: compared only until the first new one after a reconnect, as they need not differ. */
  #recent = /** @type {Set<string>} */ (new Set()); #catchingUp = false;
  #fault = /** @type {Fault | null} */ (null); #faultIsLast = false;
  #ended = false; #endSeq = 0; // the sidecar has said its last word: only the connection's end is missing
  constructor(/** @type {string | URL} */ url, /** @type {Options} */ options) {
    super();
    const here = globalThis.location;
    const { href, origin } = new URL(url, globalThis.document?.baseURI ?? here?.href);
    this.url = href.replace(/#.*/, ""); this.stream = options.join ?? "";
    this.#options = options; this.#origin = origin; this.#method = (options.method ?? "GET").toUpperCase();
    this.#control = origin + (options.control ?? "/_sse");
    this.#crossOrigin = here !== undefined && here.origin !== origin;
    this.#sidecar = import.meta.url.startsWith(`${this.#control}/`);
    this.#restore(); this.#turn(); this.#listen();
    queueMicrotask(() => (options.signal?.aborted ? this.close() : this.#run()));
  }
  get done() { return (this.#watched = true) && this.#done; }
  retryNow() { this.#wake(); }
  close() { this.#finish("closed", "This page left the stream."); }
  cancel() { return (this.#cancelled ??= this.#cancel()); }
  addEventListener(/** @type {Parameters<EventTarget["addEventListener"]>} */ ...how) {
    this.#watched ||= how[0] === "state"; super.addEventListener(...how);
  }
  async *[Symbol.asyncIterator]() {
    if (this.received) throw new Error("Messages were dispatched before: iterate right after connect().");
    const queue = /** @type {MessageEvent<string>[]} */ ([]);
    this.#queues.add(queue); this.#watched = true;
    try {
      for (; !this.#isOver || queue.length; await (queue.length || this.#isOver || this.#move))
        for (let message; (message = queue.shift()); this.#turn()) yield message;
    } finally { this.#queues.delete(queue); this.close(); }
    if (this.state === "failed") throw new StreamFailed(this.reason, this.code);
  }
  async #cancel() {
    if (this.#isOver) return false;
    const ask = async () => fetch(`${this.#own}/cancel`,
      { method: "POST", headers: withoutBody(await this.#headers()), credentials: this.#options.credentials, keepalive: true });
    const told = !!this.stream && (await within(ENDING_MS, ask().then(({ ok }) => ok, () => false))) === true;
    if (told) { this.retryNow(); await within(ENDING_MS, this.#done); }
    this.#finish("closed", told || !this.stream ? STOPPED : "You stopped reading, but the server could not be told.");
    return told && this.state === "closed";
  }
  get #own() { return `${this.#control}/streams/${encodeURIComponent(this.stream)}`; }
  get #isOver() { return ["completed", "failed", "closed"].includes(this.state); }
  async #run() {
    while (!this.#isOver)
      await this.#connect().catch((lost) => this.#pause(lost)).catch(({ name, message, code = "" }) =>
        this.#finish("failed", name === "StreamFailed" ? message : `This page could not read the stream: ${message}`, `${code}`));
  }
  async #connect() { // read over one connection; returns when the stream is over, throws Lost or StreamFailed
    const { signal } = (this.#abort = new AbortController());
    this.#connections++; this.#ended = false; this.#arm(this.stream || this.#spokeAt ? 0 : FIRST_ANSWER_MS);
    try {
      const gone = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      const response = await Promise.race([gone, this.#request(signal)]);
      const isStream = /^text\/event-stream\s*(;|$)/i.test(response.headers.get("content-type") ?? "");
      if (response.status === 200 && isStream) await this.#read(response, signal);
      else if (response.status !== 204) await this.#refuse(response);
      else this.#complete(!!this.stream);
    } finally { clearTimeout(this.#timer); this.#abort.abort(); }
  }
  /** Ask the question, or for the rest of its answer. @returns {Promise<any>} */
  async #request(/** @type {AbortSignal} */ signal) {
    const headers = await this.#headers();
    const [{ body, credentials, join }, seq] = [this.#options, this.#log.last_seq];
    const again = !!this.stream && (this.#method !== "GET" || !!join || !seq);
    const position = !this.stream ? this.lastEventId : seq ? `${this.stream}.${seq}` : "";
    let url = again ? this.#own : this.url;
    if (position && this.#crossOrigin) url += `${url.includes("?") ? "&" : "?"}last_event_id=${encodeURIComponent(position)}`;
    else if (position) headers.set("Last-Event-ID", utf8(position));
    if (again) withoutBody(headers);
    else if (this.#method !== "GET" && !this.#crossOrigin && !headers.has("idempotency-key"))
      headers.set("Idempotency-Key", this.#key);
    const question = { method: this.#method, body, ...(body instanceof ReadableStream && { duplex: "half" }) };
    return fetch(url, { headers, credentials, signal, cache: "no-store", ...(!again && question) }).catch(({ cause }) => {
      throw new Lost("The server cannot be reached.", { unsent: UNSENT.test(cause?.code) });
    });
  }
  async #headers() { // ask for the header fields, which may be a renewed login
    const { headers: source } = this.#options;
    try {
      const headers = new Headers(typeof source === "function" ? await source() : source);
      const position = headers.get("last-event-id") ?? "";
      const [, stream, seq] = OWN_ID.exec(position) ?? [];
      headers.delete("last-event-id"); headers.set("Accept", headers.get("accept") ?? "text/event-stream; sse-events=1");
      if (stream && !this.stream) this.#begin(stream, Number(seq));
      this.lastEventId ||= position;
      return headers;
    } catch { throw new Lost("The login could not be renewed.", { unsent: true }); }
  }
  async #read(/** @type {Response} */ { headers, body }, /** @type {AbortSignal} */ signal) {
    const own = headers.get("sse-stream") || this.stream; if (own !== this.stream && !this.#log.last_seq) this.#begin(own);
    this.#next = own === this.stream ? "" : own; // another stream begins with its first word, which tells the gap
    this.#renewed = this.#faultIsLast = false; this.#catchingUp = true;
    this.#opened(headers.get("sse-replayed"));
    const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader();
    const [decoder, feed] = [new TextDecoder("utf-8", { ignoreBOM: true }), parser({
      message: (type, data, id) => this.#take(type, data, id), comment: (line) => this.#beat(line),
      id: (id) => (this.lastEventId = id), retry: (ms) => (this.#retryMs = ms),
    })];
    for (;;) {
      this.#arm();
      const chunk = await reader.read().catch(() => undefined);
      clearTimeout(this.#timer);
      if (!chunk || chunk.done || signal.aborted) return this.#bodyOver(signal, !!chunk);
      feed(decoder.decode(chunk.value, { stream: true }));
      if (this.#options.from === "position") this.#store();
      while (!signal.aborted && [...this.#queues].some((queue) => queue.length >= QUEUE_MAX)) await this.#move;
    }
  }
  #bodyOver(/** @type {AbortSignal} */ signal, /** @type {boolean} */ clean) { // clean: the server ended it
    const { onEnd = this.#method === "GET" ? "reconnect" : "complete" } = this.#options;
    const goesOn = !clean || this.stream || onEnd === "reconnect";
    if (this.#ended && this.#log.last_seq < this.#endSeq) throw new Lost("The end of the answer is missing.");
    if (this.#ended || this.#faultIsLast || !goesOn) return this.#complete();
    throw signal.aborted ? signal.reason : new Lost(clean ? "The server ended the connection." : "The connection was lost.");
  }
  #complete(sticky = false) { // sticky: an error that was told counts even if it was not the last word
    if (this.#fault && (this.#faultIsLast || sticky)) throw new StreamFailed(this.#fault.message, this.#fault.code);
    this.#finish("completed", "Complete.");
  }
  async #refuse(/** @type {Response} */ { status, headers, body }) { // the answer is no event stream: throws what that means
    const chunk = await body?.getReader().read().catch(() => undefined);
    const { message, code } = faultIn(json(new TextDecoder().decode(chunk?.value)));
    const { headers: source, join, key } = this.#options;
    const renews = (status === 401 || status === 403) && typeof source === "function" && !this.#renewed;
    const unread = this.#method === "GET" && this.stream && !this.#log.last_seq && !join && !key;
    const gone = status === 410 && "The rest of this is no longer kept. Ask again.";
    const other = status === 200 && "The server answered with something else than an event stream.";
    const busy = (status === 429 || status >= 500) && `The server is not available (${status}).`;
    const sentence = message || gone || other || busy || `The server refused the request (${status}).`;
    const how = { unsent: status === 429 || status === 503, waitMs: retryAfterMs(headers) };
    this.#renewed ||= renews; this.#sidecar ||= code.startsWith("err-sidecar-");
    if (renews) throw new Lost("The login is renewed.", { again: true, unsent: true });
    if (busy) throw new Lost(sentence, how);
    if (!unread || (status !== 404 && status !== 410)) throw new StreamFailed(sentence, code);
    this.stream = ""; // it is gone and nothing was read of it: the question can be asked anew
    throw new Lost(sentence);
  }
  async #pause(/** @type {unknown} */ lost) { // wait as is right; throws StreamFailed where asking again is no use
    if (!(lost instanceof Lost)) throw lost;
    if (this.#isOver) return;
    const [{ message, how }, { attempts = 10, body, onEnd }] = [lost, this.#options];
    if (!how.again || !how.unsent) this.#lostAt ||= performance.now();
    if (how.stalled) this.#stalls++;
    const repeatable = how.unsent || onEnd === "reconnect" || (this.#sidecar && !this.#crossOrigin);
    if (!this.stream && this.#method !== "GET" && (!repeatable || body instanceof ReadableStream))
      throw new StreamFailed(`${message} What was sent may have been carried out, so it is not sent again.`);
    if (!how.again && !this.#asleep && !isOffline()) {
      if (attempts && this.attempt >= attempts) throw new StreamFailed(`${message} Given up after ${attempts} attempts.`);
      await this.#wait(this.#cancelled ? SOON_MS : this.#delayMs(how.waitMs), how.stalled ? "stalled" : "reconnecting", message);
    }
    while ((this.#asleep || isOffline()) && !this.#isOver) {
      await this.#wait(undefined, "reconnecting", this.#asleep ? ASIDE : OFFLINE);
      if (!this.#asleep) break;
    }
    if (!this.#isOver && !how.again) this.#set("reconnecting", message);
  }
  #delayMs(asked = NaN) { // how long to wait; asked: what `Retry-After` says
    const own = DELAYS_MS[Math.min(this.attempt, DELAYS_MS.length - 1)] ?? 0;
    const retry = this.#retryMs < 0 ? own : this.#retryMs;
    const ms = asked >= 0 ? asked : (this.attempt ? Math.max(own, retry) : retry);
    this.attempt++; return Math.min(ms, RETRY_MS_MAX) * (1 + JITTER_RATIO * Math.random());
  }
  async #wait(/** @type {number | undefined} */ ms, /** @type {State} */ state, /** @type {string} */ reason) {
    this.retryAt = ms === undefined ? 0 : Date.now() + ms;
    const woken = new Promise((resolve) => (this.#wake = () => resolve(0)));
    this.#set(state, reason);
    await within(ms ?? RETRY_MS_MAX, woken); this.retryAt = 0;
  }
  #arm(leastMs = 0) { // take the connection for dead if nothing arrives for so long
    const { stallSeconds = 30 } = this.#options;
    const ms = this.#ended ? ENDING_MS : Math.min(Math.max(leastMs, stallSeconds * 1000), TIMER_MS_MAX);
    const reason = `Nothing has arrived for ${Math.round(ms / 1000)} seconds.`;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(new Lost(reason, { stalled: true })), ms);
  }
  #opened(/** @type {string | null} */ replayed) { // the answer is there; `replayed`: how much of it is from the log
    const [now, lostAt, attempts] = [performance.now(), this.#lostAt, this.#connections];
    const seconds = Math.round(now - lostAt) / 1000;
    this.#lostAt = this.#connections = 0; this.#spokeAt = now; this.#set("open", "Connected.");
    if (!lostAt || this.#isOver) return;
    const detail = { attempts, seconds, replayed: replayed === null ? null : Number(replayed) };
    keep(this.#reconnects, seconds); this.dispatchEvent(new CustomEvent("recovered", { detail })); this.#report("recovery");
  }
  #begin(/** @type {string} */ stream, seq = 0) { // another stream of the sidecar's: what is read of it is counted anew
    this.stream = stream; this.#next = ""; this.#stamped = false; this.#openGap = 0; this.#fault = null;
    this.#log = { received: 0, first_seq: seq + 1, last_seq: seq, gaps: [] }; this.#store();
  }
  #beat(/** @type {string} */ comment) {
    const idle = /^: ?hb idle=(\d+)$/.exec(comment)?.[1] ?? (performance.now() - this.#spokeAt) / 1000;
    this.idleSeconds = Math.floor(Number(idle)); this.dispatchEvent(new Event("heartbeat"));
  }
  #take(/** @type {string} */ type, /** @type {string} */ data, /** @type {string | undefined} */ id) {
    if (this.#isOver) return; else if (this.#next) this.#begin(this.#next);
    if (type === "sse-gap") return this.#tellGap(json(data));
    if (type === "sse-end") this.#endSeq = Number(json(data).last_seq ?? 0);
    const fault = faultOf(type, data);
    this.#fault = fault ?? this.#fault; this.#faultIsLast = !!fault;
    if ((this.#ended ||= type === "sse-end" || type === "sse-error")) return;
    if (!this.#isNew(id)) return void this.duplicates++;
    this.lastEventId = id ?? this.lastEventId; this.received++; this.#log.received++;
    this.attempt = this.idleSeconds = 0; this.#spokeAt = performance.now();
    const message = new MessageEvent(type, { data, lastEventId: this.lastEventId, origin: this.#origin });
    for (const queue of this.#queues) queue.push(message);
    if (this.#queues.size) this.#turn();
    this.dispatchEvent(message);
  }
  #isNew(/** @type {string | undefined} */ id) { // take note of a message's place; false: it was here before
    const [, stream, digits] = OWN_ID.exec(id ?? "") ?? [];
    if (!stream) return this.#isUnseen(id);
    if (stream !== this.stream) this.#begin(stream);
    const [log, seq] = [this.#log, Number(digits)]; this.#stamped = true;
    if (seq <= log.last_seq) return false;
    if (this.#openGap && this.#openGap < seq) keep(log.gaps, [this.#openGap, seq - 1]);
    else if (seq > log.last_seq + 1) this.#jump(log.last_seq + 1, seq - 1);
    this.#openGap = 0; log.last_seq = seq; return true;
  }
  /** Nobody said that these will not come: so they are asked for, once. */
  #jump(/** @type {number} */ from, /** @type {number} */ through, place = `${this.stream}.${from}`) {
    if (this.#askedFor !== place) throw (this.#askedFor = place, new Lost("Messages were lost on the way."));
    this.#gap(from, through, "lost on the way");
  }
  #isUnseen(id = "") {
    const counted = this.stream && !this.#stamped; // the sidecar numbers what it does not stamp as well
    if (!counted && this.#catchingUp && this.#recent.has(id)) return false;
    if (id) { this.#recent.add(id); this.#catchingUp = false; }
    if (this.#recent.size > RECENT_IDS_MAX) this.#recent.delete(this.#recent.keys().next().value ?? "");
    this.#log.last_seq += counted ? 1 : 0; return true;
  }
  /** The server says what will not come. Where it had forgotten numbers that were here, it gives them out again. */
  #tellGap(/** @type {any} */ { missed_from, missed_through, reason }) {
    const log = this.#log;
    const from = Number.isInteger(missed_from) ? missed_from : log.last_seq + 1;
    const through = Number.isInteger(missed_through) ? missed_through : null;
    const again = Math.max(0, log.last_seq - from + 1);
    if (through === null) this.#openGap = from;
    else if (!again) keep(log.gaps, [from, through]);
    if (through !== null) [log.received, log.last_seq] = [log.received - again, again ? from - 1 : through];
    this.#gap(from, through, `${reason ?? ""}`);
  }
  #gap(/** @type {number} */ missedFrom, /** @type {number | null} */ missedThrough, /** @type {string} */ reason) {
    keep(this.gaps, { missedFrom, missedThrough, reason });
    this.dispatchEvent(new CustomEvent("gap", { detail: this.gaps.at(-1) }));
  }
  /** Wake whoever waits for a message, for room or for the end. */
  #turn() { this.#moved(); this.#move = new Promise((resolve) => (this.#moved = resolve)); }
  #set(/** @type {State} */ state, /** @type {string} */ reason) {
    this.state = state; this.reason = reason; this.dispatchEvent(new Event("state"));
  }
  #finish(/** @type {State} */ state, /** @type {string} */ reason, code = "") {
    if (this.#isOver) return;
    if (this.#cancelled && state === "failed") [state, reason, code] = ["closed", STOPPED, ""];
    this.code = code; this.retryAt = 0; this.#set(state, reason);
    this.#over.abort(); this.#abort.abort(); this.#wake(); this.#turn(); this.#store(); this.#report("end"); this.#settle(state);
  }
  #listen() { // react to what happens to the page, until all is over
    const leave = () => {
      if (this.#asleep) return;
      this.#asleep = true; this.#store(); this.#report("pagehide"); this.#abort.abort(new Lost(ASIDE, { again: true }));
    };
    const comeBack = () => { this.#asleep = false; this.#wake(); };
    const on = (/** @type {any} */ target, /** @type {Record<string, () => void>} */ acts) => {
      for (const type in acts) target?.addEventListener?.(type, acts[type], { signal: this.#over.signal });
    };
    on(globalThis, { online: () => this.#wake(), pagehide: leave, pageshow: comeBack });
    on(globalThis.document, { freeze: leave, resume: comeBack });
    on(this.#options.signal, { abort: () => this.close() });
  }
  #report(/** @type {"end" | "recovery" | "pagehide"} */ at) {
    if (this.#options.reports === false || !this.stream) return;
    const { stream, duplicates, state } = this;
    const counts = { duplicates, reconnects: this.#reconnects, stalls: this.#stalls, state, told: this.#watched, at };
    const [url, body] = [`${this.#control}/reports`, JSON.stringify({ v: 1, stream, ...this.#log, ...counts })];
    if (globalThis.navigator?.sendBeacon?.(url, body)) return;
    fetch(url, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(() => {}); // there is nobody to tell
  }
  /** What is kept for a reload. Storage may be missing, full or forbidden: then that begins anew, and all else works. */
  #stored(/** @type {(storage: Storage, name: string) => unknown} */ use) {
    try { return this.#options.key && use(sessionStorage, `sse-sidecar:${this.#options.key}`); } catch {}
  }
  #store() {
    const { url, stream, lastEventId } = this;
    const place = JSON.stringify({ url, stream, seq: this.#log.last_seq, lastEventId });
    const keeps = !this.#isOver && place.length <= STORED_CHARS_MAX;
    this.#stored((storage, name) => (keeps ? storage.setItem(name, place) : storage.removeItem(name)));
  }
  #restore() {
    const { url, stream, seq, lastEventId } = json(`${this.#stored((storage, name) => storage.getItem(name))}`);
    const on = this.#options.from === "position";
    if (url !== this.url || this.stream) return;
    if (stream) this.#begin(stream, on ? seq : 0);
    if (on) this.lastEventId = lastEventId;
  }
}
export const connect = (/** @type {string | URL} */ url, /** @type {Options} */ options = {}) => new EventStream(url, options);
