/** The element `<sse-status>`: it shows the state of an `EventStream` in words. */

import { STYLE } from "./style.js";
import { TEXTS } from "./texts.js";

/** How long `recovered` is shown. */
const RECOVERED_MS = 4000;
/** How often a counter is written; far below a second, so that it skips no second. */
const TICK_MS = 250;

/** Kinds in which the client waits, and a user can end the wait. */
const WAITS = ["stalled", "reconnecting"];

const make = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** Write a text only if it is another one: a screen reader reads out a live region whenever it is written. */
const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Return how many messages are missing, or null if that is not known. */
const missedIn = (gaps) => {
  if (gaps.some(({ missedThrough }) => missedThrough === null)) return null;
  return gaps.reduce((sum, { missedFrom, missedThrough }) => sum + missedThrough - missedFrom + 1, 0);
};

export class SseStatus extends HTMLElement {
  static observedAttributes = Object.keys(TEXTS).map((key) => `text-${key}`);

  #source = null;
  #texts = {};
  #listening = new AbortController();
  #timer = 0;
  #replayed = null;
  #recoveredUntil = 0;
  #heartbeatAt = 0;
  #text = make("span", { part: "text" });
  #gap = make("span", { part: "gap" });
  #count = make("span", { part: "count" });
  #retry = make("button", { part: "retry", type: "button", hidden: "" });

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    // The counter is outside the live region, so that a screen reader does not read out every second.
    const spoken = make("span", { role: "status" }, this.#text, this.#gap);
    root.append(make("span", { part: "dot", "aria-hidden": "true" }), spoken, this.#count, this.#retry);
    this.#retry.addEventListener("click", () => this.#source?.retryNow());
  }

  get source() {
    return this.#source;
  }

  set source(source) {
    this.#source = source;
    this.#recoveredUntil = 0;
    this.#listen();
  }

  get texts() {
    return this.#texts;
  }

  set texts(texts) {
    this.#texts = texts ?? {};
    this.#show();
  }

  get kind() {
    if (!this.#source) return "";
    const { state, idleSeconds } = this.#source;
    if (state !== "open") return state;
    if (Date.now() < this.#recoveredUntil) return "recovered";
    return idleSeconds ? "thinking" : "live";
  }

  connectedCallback() {
    // A page may have set a property before this module was loaded. Such a property hides the setter of its name.
    for (const name of ["texts", "source"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    this.#listen();
  }

  disconnectedCallback() {
    this.#listening.abort();
    clearTimeout(this.#timer);
  }

  attributeChangedCallback() {
    this.#show();
  }

  #listen() {
    this.#listening.abort();
    this.#listening = new AbortController();
    if (this.#source && this.isConnected) {
      const on = (type, then) => this.#source.addEventListener?.(type, then, { signal: this.#listening.signal });
      on("state", () => this.#show());
      on("gap", () => this.#show());
      on("heartbeat", () => {
        this.#heartbeatAt = Date.now();
        this.#show();
      });
      on("recovered", ({ detail }) => {
        this.#replayed = detail.replayed;
        this.#recoveredUntil = Date.now() + RECOVERED_MS;
        this.#show();
      });
    }
    this.#show();
  }

  #show() {
    clearTimeout(this.#timer);
    const kind = this.kind;
    if (!kind) this.removeAttribute("kind");
    else if (kind !== this.getAttribute("kind")) this.setAttribute("kind", kind);
    const values = this.#values(kind);
    write(this.#text, this.#say(kind, values));
    write(this.#gap, this.#source?.gaps?.length ? this.#say("gap", values) : "");
    write(this.#count, this.#say(WAITS.includes(kind) ? "reconnecting-count" : `${kind}-count`, values));
    write(this.#retry, this.#say("retry", values));
    this.#retry.hidden = !WAITS.includes(kind);
    if (this.isConnected && [...WAITS, "thinking", "recovered"].includes(kind))
      this.#timer = setTimeout(() => this.#show(), TICK_MS);
  }

  #values(kind) {
    const source = this.#source ?? {};
    const { reason = "", code = "", stream = "", attempt = 0, retryAt = 0, idleSeconds = 0, gaps = [] } = source;
    const sinceHeartbeat = Math.floor((Date.now() - this.#heartbeatAt) / 1000);
    const untilRetry = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const seconds = kind === "thinking" ? idleSeconds + sinceHeartbeat : untilRetry;
    // The sidecar's own sentences contain the advice.
    const hasAdvice = /\bagain\b/.test(reason) || code.startsWith("err-sidecar-");
    const advice = hasAdvice ? "" : this.#say("advice", { reason, code });
    return { reason, advice, code, stream, attempt, seconds, replayed: this.#replayed, missed: missedIn(gaps) };
  }

  #say(key, values) {
    const text = this.getAttribute(`text-${key}`) ?? this.#texts[key] ?? TEXTS[key] ?? "";
    if (typeof text === "function") return text(values);
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").trim();
  }
}
