/** The module and a stream have the members that client.d.ts promises, and no others; the page about it names each. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as client from "../../../sidecar/client/js/client.js";

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const TYPES = read("sidecar/client/js/client.d.ts");
const PAGE = read("docs/client-javascript.md");

const interfaceOf = (name) => new RegExp(`export interface ${name}[^{]*\\{([\\s\\S]*?)^\\}`, "m").exec(TYPES)[1];
const membersOf = (name) => [...interfaceOf(name).matchAll(/^  (?:readonly )?(\w+)[?(:]/gm)].map(([, member]) => member);
const EVENTS = ["state", "heartbeat", "gap", "recovered"];

test("the module exports what the types declare", () => {
  const promised = [...TYPES.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(client).sort(), promised.sort());
});

test("a stream has the declared members and no others", () => {
  const stream = client.connect("http://localhost:9/", { signal: AbortSignal.abort() });
  const own = [...Object.keys(stream), ...Object.getOwnPropertyNames(Object.getPrototypeOf(stream))];
  const inherited = ["constructor", "addEventListener"];
  assert.deepEqual(own.filter((name) => !inherited.includes(name)).sort(), membersOf("EventStream").sort());
});

for (const name of ["Options", "EventStream", "Gap", "Recovery"]) {
  test(`the page names every member of ${name}`, () => {
    const members = membersOf(name);
    assert.ok(members.length >= 3, members.join());
    for (const member of members) assert.match(PAGE, new RegExp(`\`${member}(\\(\\))?\``), `${name}.${member} is not on the page`);
  });
}

test("the page names every event and every state", () => {
  const states = [.../export type State = ([^;]*);/.exec(TYPES)[1].matchAll(/"(\w+)"/g)].map(([, state]) => state);
  assert.equal(states.length, 7);
  for (const name of [...EVENTS, ...states]) assert.ok(PAGE.includes(`\`${name}\``), `${name} is not on the page`);
});

test("the sentences on the page are those of the client", () => {
  const source = read("sidecar/client/js/client.js");
  const sentences = [...PAGE.matchAll(/^\| "([^"{]+)"/gm)].map(([, sentence]) => sentence);
  assert.ok(sentences.length >= 10);
  for (const sentence of sentences) {
    const parts = sentence.split(/\b\d+\b/); // numbers are made at run time
    assert.ok(parts.every((part) => source.includes(part.trim())), sentence);
  }
});
