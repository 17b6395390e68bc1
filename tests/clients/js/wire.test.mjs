/** Each case of tests/kit/cases/wire.json, however it is cut: literal bytes in, messages out. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../../../sidecar/client/js/client.js";
import { FakeClock } from "./support/clock.mjs";
import { FakeServer, says } from "./support/server.mjs";

const { cases } = JSON.parse(readFileSync(new URL("../../kit/cases/wire.json", import.meta.url)));
const DELAY_MS = 1000;
const DELAY_MS_MAX = 300_000;
/** Room for the sum of a clock and a fraction. */
const ROUNDING_MS = 0.01;

let clock;
beforeEach(() => (clock = new FakeClock().install()));
afterEach(() => clock.remove());

function* cuts(wire) {
  yield [wire];
  yield [...wire].map((byte) => Uint8Array.of(byte));
  for (let at = 1; at < wire.length; at++) yield [wire.slice(0, at), wire.slice(at)];
}

/** Read one body to its end, whatever types its events have. */
const read = async (chunks, types) => {
  new FakeServer().script(says(chunks)).install();
  const stream = connect("http://sidecar.test/");
  const events = [];
  for (const type of types) {
    stream.addEventListener(type, (event) => {
      if (event instanceof MessageEvent) events.push({ type, data: event.data, id: event.lastEventId });
    });
  }
  await new Promise((resolve) => {
    stream.addEventListener("state", () => stream.state !== "open" && resolve());
  });
  const { state, lastEventId, retryAt } = stream;
  const delayMs = retryAt - Date.now();
  stream.close();
  return { events, lastEventId, state, delayMs };
};

test("there are at least 60 cases", () => assert.ok(cases.length >= 60));

for (const { name, wire, wire_hex, events, last_event_id, retry_ms } of cases) {
  test(name, async () => {
    const bytes = wire_hex === undefined ? new TextEncoder().encode(wire) : new Uint8Array(Buffer.from(wire_hex, "hex"));
    const wanted = events.filter(({ type }) => !type.startsWith("sse-")); // the sidecar's words are for the client
    const types = new Set(["message", ...events.map(({ type }) => type)]);
    const wait = Math.min(retry_ms ?? DELAY_MS, DELAY_MS_MAX);
    for (const chunks of cuts(bytes)) {
      const seen = await read(chunks, types);
      assert.deepEqual(seen.events, wanted);
      if (seen.state !== "reconnecting") continue; // the last event says that all is over
      assert.equal(seen.lastEventId, last_event_id);
      assert.ok(seen.delayMs >= wait - ROUNDING_MS && seen.delayMs <= wait * 1.1 + ROUNDING_MS, `${seen.delayMs} ms`);
    }
  });
}
