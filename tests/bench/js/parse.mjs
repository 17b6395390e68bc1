/**
 * What reading costs: MB/s of one core from the bytes of `fetch` to dispatched messages, beside eventsource-parser's alone.
 * Of CPU time, so that what else the machine does counts for nothing. Prints JSON. argv: seconds of CPU per measurement,
 * and a word to choose among the bodies.
 */

import { createParser } from "../../clients/sdk/node_modules/eventsource-parser/dist/index.js";
import { connect } from "../../../sidecar/client/js/client.js";

const [, , SECONDS = "2", WORD = ""] = process.argv;
const BODY_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024; // what a browser hands over at once, at most
const STREAM = `s1${"A".repeat(40)}`;

const delta = (text) => JSON.stringify({
  id: "chatcmpl-0123456789", object: "chat.completion.chunk", created: 1_700_000_000, model: "demo-1",
  choices: [{ index: 0, delta: { content: text }, finish_reason: null }],
});
const BLOCKS = {
  "OpenAI's tokens with ids (260 bytes)": (n) => `data: ${delta(` word${n % 100}`)}\nid: ${STREAM}.${n}\n\n`,
  "the same without ids (190 bytes)": (n) => `data: ${delta(` word${n % 100}`)}\n\n`,
  "short events (90 bytes)": (n) => `event: token\ndata: {"text":" word","n":${n % 10}}\nid: ${STREAM}.${n}\n\n`,
  "OpenAI's tokens in CRLF (260 bytes)": (n) => `data: ${delta(` word${n % 100}`)}\r\nid: ${STREAM}.${n}\r\n\r\n`,
  "large events (16 KiB)": (n) => `data: ${"x".repeat(16 * 1024)}\nid: ${STREAM}.${n}\n\n`,
  "events of 1,000 lines (80 KiB)": (n) => `data: ${"line ".repeat(15)}\n`.repeat(1000) + `id: ${STREAM}.${n}\n\n`,
};

const bytesOf = (block) => {
  let text = "";
  for (let n = 1; text.length < BODY_BYTES; n++) text += block(n);
  return new TextEncoder().encode(text);
};

function* chunksOf(bytes) {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** Read a body with the client: everything from fetch to the listener. */
const byClient = async (bytes) => {
  globalThis.fetch = async () => {
    const chunks = chunksOf(bytes);
    const body = new ReadableStream({
      pull: (controller) => {
        const { value, done } = chunks.next();
        done ? controller.close() : controller.enqueue(value);
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
  const stream = connect("http://localhost/", { reports: false, onEnd: "complete" });
  let heard = 0;
  stream.addEventListener("message", () => heard++);
  await new Promise((over) => stream.addEventListener("state", () => stream.state !== "open" && over()));
  stream.close();
  return stream.received;
};

/** Read it with a parser alone: no connection, no states, no dedupe, no events dispatched. */
const byParser = async (bytes) => {
  let heard = 0;
  const parser = createParser({ onEvent: () => heard++ });
  const decoder = new TextDecoder();
  for (const chunk of chunksOf(bytes)) parser.feed(decoder.decode(chunk, { stream: true }));
  return heard;
};

const measure = async (read, bytes) => {
  await read(bytes); // warm
  const began = process.cpuUsage();
  let [seconds, bodies, events] = [0, 0, 0];
  while (seconds < Number(SECONDS)) {
    events += await read(bytes);
    bodies++;
    const { user, system } = process.cpuUsage(began);
    seconds = (user + system) / 1e6;
  }
  return { mb_per_s: (bodies * bytes.length) / seconds / 1e6, us_per_event: (seconds * 1e6) / events };
};

const found = {};
for (const [name, block] of Object.entries(BLOCKS).filter(([name]) => name.includes(WORD))) {
  const bytes = bytesOf(block);
  found[name] = { client: await measure(byClient, bytes), parser: await measure(byParser, bytes) };
}
console.log(JSON.stringify({ node: process.version, found }));
