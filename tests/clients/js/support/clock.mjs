/** A clock that stands still until a test moves it; it replaces the timers and clocks of globalThis. */

const REAL = { setTimeout, clearTimeout, setImmediate, dateNow: Date.now, now: performance.now.bind(performance) };
const START_MS = 1_800_000_000_000;

export class FakeClock {
  #now = 1000;
  #timers = new Map();
  #last = 0;
  /** Every wait that was asked for, in ms, in order. */
  waits = [];

  install() {
    globalThis.setTimeout = (act, ms = 0) => {
      this.waits.push(ms);
      this.#timers.set(++this.#last, { at: this.#now + ms, act });
      return this.#last;
    };
    globalThis.clearTimeout = (id) => this.#timers.delete(id);
    Date.now = () => START_MS + this.#now;
    performance.now = () => this.#now;
    return this;
  }

  remove() {
    Object.assign(globalThis, { setTimeout: REAL.setTimeout, clearTimeout: REAL.clearTimeout });
    Date.now = REAL.dateNow;
    performance.now = REAL.now;
  }

  get now() {
    return this.#now;
  }

  /** How many timers run. */
  get pending() {
    return this.#timers.size;
  }

  /** Move on, letting everything happen that falls due on the way, and what follows from it. */
  async advance(ms) {
    const until = this.#now + ms;
    await settle();
    for (let next; (next = this.#next(until)); await settle()) {
      this.#now = Math.max(this.#now, next.at);
      this.#timers.delete(next.id);
      next.act();
    }
    this.#now = until;
  }

  #next(until) {
    const due = [...this.#timers].map(([id, timer]) => ({ id, ...timer })).filter(({ at }) => at <= until);
    return due.sort((a, b) => a.at - b.at || a.id - b.id)[0];
  }
}

/** Let every promise that can settle do so: streams take several turns of the event loop. */
export const settle = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => REAL.setImmediate(resolve));
};
