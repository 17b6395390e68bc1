/** One stream under test: a client over a scripted server and a clock that stands still, and what its page saw. */

import { afterEach, beforeEach } from "node:test";
import { connect } from "../../../../sidecar/client/js/client.js";
import { FakeClock, settle } from "./clock.mjs";
import { FakeServer } from "./server.mjs";

export const URL_OF_STREAM = "http://sidecar.test/api/chat";

/** What the tests of a file share; everything is new for each of them. */
export const world = () => {
  const here = {};
  beforeEach(() => {
    here.clock = new FakeClock().install();
    here.server = new FakeServer().install();
    here.streams = [];
  });
  afterEach(async () => {
    here.streams.forEach((stream) => stream.close());
    await settle();
    const { pending } = here.clock;
    here.clock.remove();
    if (pending) throw new Error(`${pending} timers are left when all is over`);
  });
  /** Connect; `seen` fills with what is dispatched. */
  here.connect = async (options = {}, url = URL_OF_STREAM) => {
    const stream = connect(url, options);
    here.streams.push(stream);
    const seen = { states: [], data: [], gaps: [], recoveries: [], idle: [], delays: [] };
    stream.addEventListener("state", () => {
      seen.states.push([stream.state, stream.reason]);
      if (stream.retryAt) seen.delays.push(stream.retryAt - Date.now());
    });
    for (const type of ["message", "token", "error"]) stream.addEventListener(type, ({ data }) => seen.data.push(data));
    stream.addEventListener("gap", ({ detail }) => seen.gaps.push(detail));
    stream.addEventListener("recovered", ({ detail }) => seen.recoveries.push(detail));
    stream.addEventListener("heartbeat", () => seen.idle.push(stream.idleSeconds));
    await settle();
    return { stream, seen };
  };
  return here;
};

/** A page's window for the length of a test: what the client asks of it, and events that happen to it. */
export const inPage = (origin = "http://sidecar.test") => {
  const [window, page, before] = [new EventTarget(), new EventTarget(), {}];
  const given = {
    location: { href: `${origin}/`, origin },
    document: Object.assign(page, { baseURI: `${origin}/` }),
    navigator: { onLine: true },
    addEventListener: window.addEventListener.bind(window),
    sessionStorage: new Storage(),
  };
  for (const [name, value] of Object.entries(given)) {
    before[name] = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const leave = () => {
    for (const [name, descriptor] of Object.entries(before)) {
      delete globalThis[name];
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    }
  };
  const happens = (type, target = window) => target.dispatchEvent(new Event(type));
  return { ...given, happens, frozen: (type) => happens(type, page), leave };
};

class Storage {
  items = new Map();
  getItem = (name) => this.items.get(name) ?? null;
  setItem = (name, value) => void this.items.set(name, value);
  removeItem = (name) => void this.items.delete(name);
}

/** Numbers from a seed (a xorshift), so that a failure can be had again. */
export const numbers = (seed) => {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
};
