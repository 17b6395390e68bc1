/**
 * `<sse-status>`: says in words how an `EventStream` stands. No dependency, no build step.
 *
 *     import "./status.js";
 *     document.querySelector("sse-status").source = connect("/api/chat");
 */

const RECOVERED_MS = 4000;
/** How often what counts is written anew; far below a second, so that no second is skipped. */
const TICK_MS = 250;

const WAITS = ["stalled", "reconnecting"];

const several = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** What is said of each kind, by its name; a text may be a function of the values that others name in braces. */
export const TEXTS = {
  connecting: "Connecting",
  live: "Live",
  thinking: "Thinking",
  "thinking-count": "{seconds} s",
  stalled: "{reason}",
  reconnecting: "{reason}",
  "reconnecting-count": ({ attempt, seconds }) =>
    (attempt ? `attempt ${attempt}` : "") + (attempt && seconds ? `, in ${seconds} s` : ""),
  recovered: ({ replayed }) =>
    replayed === null ? "Connection restored" : `Connection restored: ${several(replayed, "message")} replayed`,
  completed: "Complete",
  failed: "{reason} {advice}",
  advice: "Ask again.",
  closed: "{reason}",
  gap: ({ missed }) =>
    `${missed === null ? "Some messages" : several(missed, "message")} before this point cannot be shown any more.`,
  retry: "Retry now",
};

const STYLE = `
  :host {
    --tone: var(--sse-quiet, light-dark(#5d6675, #9aa4b5));
    display: inline-flex; flex-wrap: wrap; align-items: center; gap: .25em .5em; min-height: 1.5em;
  }
  :host([hidden]), :empty:not([part=dot]), [part=retry][hidden] { display: none; }
  :host(:is([kind=live], [kind=recovered], [kind=completed])) { --tone: var(--sse-good, light-dark(#1b7a45, #6fd598)); }
  :host(:is([kind=thinking], [kind=stalled], [kind=reconnecting])) { --tone: var(--sse-wait, light-dark(#8f5600, #f2b95c)); }
  :host([kind=failed]), [part=gap] { --tone: var(--sse-bad, light-dark(#b3261e, #ff8f86)); }
  [part=dot] { border: .35em solid var(--tone); border-radius: 50%; flex: none; }
  :host(:not([kind])) [part=dot] { display: none; }
  [role=status] { min-width: 0; max-width: calc(100% - 1.2em); overflow-wrap: anywhere; }
  [part=text], [part=gap] { color: var(--tone); }
  [part=gap] { display: block; }
  [part=count] { font-variant-numeric: tabular-nums; }
  [part=retry] {
    font: inherit; color: inherit; background: none; border: 1px solid; border-radius: .4em; padding: .1em .6em;
    min-height: 1.75em; cursor: pointer;
  }
  [part=retry]:focus-visible { outline: 2px solid var(--tone); outline-offset: 2px; }
  @media (prefers-reduced-motion: no-preference) {
    :host(:is([kind=thinking], [kind=stalled], [kind=reconnecting])) [part=dot] { animation: beat 1.2s infinite; }
    @keyframes beat { 50% { opacity: .35; } }
  }
`;

const make = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

export class SseStatus extends HTMLElement {
  static observedAttributes = Object.keys(TEXTS).map((key) => `text-${key}`);

  #source = null;
  #texts = {};
  #listening = new AbortController();
  #timer = 0;
  #replayed = null;
  #recoveredUntil = 0;
  #beatAt = 0;
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
    // What counts stands beside the live region: a screen reader finds it, but is not told of every second.
    const told = make("span", { role: "status" }, this.#text, this.#gap);
    root.append(make("span", { part: "dot", "aria-hidden": "true" }), told, this.#count, this.#retry);
    this.#retry.addEventListener("click", () => this.#source?.retryNow());
  }

  get source() { return this.#source; }
  set source(source) {
    this.#source = source;
    this.#recoveredUntil = 0;
    this.#listen();
  }

  get texts() { return this.#texts; }
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
    // Set on an element that was there before this module, a property hides the setter of the same name.
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

  attributeChangedCallback() { this.#show(); }

  #listen() {
    this.#listening.abort();
    this.#listening = new AbortController();
    if (this.#source && this.isConnected) {
      const on = (type, then) => this.#source.addEventListener?.(type, then, { signal: this.#listening.signal });
      on("state", () => this.#show());
      on("gap", () => this.#show());
      on("heartbeat", () => { this.#beatAt = Date.now(); this.#show(); });
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
    if (kind !== this.getAttribute("kind")) kind ? this.setAttribute("kind", kind) : this.removeAttribute("kind");
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
    const { reason = "", code = "", stream = "", attempt = 0, retryAt = 0, idleSeconds = 0, gaps = [] } = this.#source ?? {};
    const since = Math.floor((Date.now() - this.#beatAt) / 1000);
    const seconds = kind === "thinking" ? idleSeconds + since : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const missed = gaps.some(({ missedThrough }) => missedThrough === null) ? null
      : gaps.reduce((sum, { missedFrom, missedThrough }) => sum + missedThrough - missedFrom + 1, 0);
    const advice = /\bagain\b/.test(reason) || code.startsWith("err-sidecar-") ? "" : this.#say("advice", { reason, code });
    return { reason, advice, code, stream, attempt, seconds, replayed: this.#replayed, missed };
  }

  #say(key, values) {
    const text = this.getAttribute(`text-${key}`) ?? this.#texts[key] ?? TEXTS[key] ?? "";
    if (typeof text === "function") return text(values);
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").trim();
  }
}

/** A live region is read out again when it is written, even if with the same words. */
const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

if (!customElements.get("sse-status")) customElements.define("sse-status", SseStatus);
