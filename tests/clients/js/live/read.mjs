/**
 * Reads one stream as argv[2] says ({url, options}) and writes what is dispatched, a line of JSON each; lines of stdin are
 * commands: the name of a method of the stream.
 */

import { createInterface } from "node:readline";
import { connect } from "../../../../sidecar/client/js/client.js";

const { url, options, types = [] } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const stream = connect(url, options);
stream.addEventListener("state", () => say({ kind: "state", state: stream.state, reason: stream.reason, code: stream.code, at: performance.now() }));
stream.addEventListener("recovered", ({ detail }) => say({ kind: "recovered", ...detail }));
stream.addEventListener("heartbeat", () => say({ kind: "heartbeat", idle: stream.idleSeconds }));
stream.addEventListener("gap", ({ detail }) => say({ kind: "gap", ...detail }));
for (const type of ["message", ...types]) {
  stream.addEventListener(type, ({ data, lastEventId }) => say({ kind: "message", type, data, id: lastEventId }));
}

createInterface({ input: process.stdin }).on("line", async (command) => say({ kind: "answer", command, value: (await stream[command]()) ?? null }));

await stream.done;
const { received, duplicates, lastEventId } = stream;
say({ kind: "done", state: stream.state, stream: stream.stream, received, duplicates, lastEventId });
process.stdin.unref?.();
process.stdin.destroy();
