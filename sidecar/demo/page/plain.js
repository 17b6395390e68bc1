/** The answer as a usual reader with a plain EventSource shows it. */

import { at } from "./element.js";
import { Tally, showTally } from "./tally.js";

const SHOWN_CHARS_MAX = 20_000;

export class Plain {
  #tally = new Tally();
  #source;

  constructor(url) {
    at("plain-text").textContent = "";
    this.#source = new EventSource(url);
    this.#say("connecting");
    this.#source.onopen = () => {
      this.#tally.connections += 1;
      this.#say("open");
    };
    this.#source.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.#source.addEventListener("done", ({ data }) => {
      this.#tally.total = JSON.parse(data).tokens;
      this.#source.close();
      this.#say("done");
    });
    this.#source.onerror = () => {
      const gone = this.#source.readyState === EventSource.CLOSED;
      this.#say(gone ? "error; it has given up and cannot say why" : "error; it will try again some time");
    };
  }

  close() { this.#source.close(); }

  #take({ text = "", index }) {
    // A plain reader cannot detect a repeated token, so it shows every token that arrives.
    this.#tally.add(index);
    at("plain-text").textContent = (at("plain-text").textContent + text).slice(-SHOWN_CHARS_MAX);
    this.#say("open");
  }

  #say(state) {
    at("plain-state").textContent = state;
    showTally(at("plain"), this.#tally);
  }
}
