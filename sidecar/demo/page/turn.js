/** One question and its answer, read with the sidecar's client. */

import { StreamFailed, connect } from "./client.js";
import { make, note } from "./element.js";
import { Tally } from "./tally.js";

const TOKEN_CHARS_MAX = 400;

/** What a page keeps of a turn: `url`, `key` and `join` to continue it, `text` and `state` when it is over. */
export class Turn {
  #answer = make("div", { className: "answer" });
  #status = document.createElement("sse-status");
  tally = new Tally();
  /** The EventStream, or null if the turn was over before this page was loaded. */
  stream = null;

  constructor(kept, changed) {
    this.kept = kept;
    this.changed = changed;
    this.element = make("article", { ariaLabel: `Answer to: ${kept.question}` });
    this.element.append(make("p", { className: "question", textContent: kept.question }), this.#answer, this.#status);
  }

  get over() { return Boolean(this.kept.state); }

  /** Show an answer that is over, as it was kept. */
  recall() {
    this.#answer.textContent = this.kept.text;
    this.#status.source = this.kept;
  }

  /** Read the answer to its end, over as many connections as it takes. */
  async read(stallSeconds) {
    const { url, key, join } = this.kept;
    this.stream = connect(url, { key, join, stallSeconds });
    this.#status.source = this.stream;
    this.#watch();
    try {
      for await (const { type, data } of this.stream) this.#take(type, JSON.parse(data));
    } catch (error) {
      // The status element shows the failure and its reason.
      if (!(error instanceof StreamFailed)) throw error;
    } finally {
      this.#end();
    }
  }

  #watch() {
    let state = "";
    this.stream.addEventListener("state", () => {
      if (this.stream.state === state) return;
      state = this.stream.state;
      if (state === "open") this.tally.connections += 1;
      note(`${state}: ${this.stream.reason}`);
      this.changed(this);
    });
    this.stream.addEventListener("recovered", ({ detail: { seconds, replayed } }) => {
      const title = `back after ${seconds.toFixed(1)} s, ${replayed ?? "some"} messages replayed`;
      note(title);
      if (this.tally.tokens) this.#answer.append(make("span", { className: "seam", title }));
    });
  }

  #take(type, { text, index, tokens }) {
    if (type === "done") this.tally.total = tokens;
    else if (type === "message" && this.tally.add(index))
      this.#answer.append(text.length > TOKEN_CHARS_MAX ? ` [a token of ${text.length} characters]` : text);
    this.changed(this);
  }

  #end() {
    const { state, reason, code, gaps } = this.stream;
    Object.assign(this.kept, { state, reason, code, gaps, text: this.#answer.textContent });
    this.changed(this);
  }
}
