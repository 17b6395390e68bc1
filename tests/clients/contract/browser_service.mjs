/**
 * The browser client behind the service protocol of LaunchDarkly's SSE contract tests; prints its URL.
 * https://github.com/launchdarkly/sse-contract-tests/blob/main/docs/service_spec.md
 */

import { createServer } from "node:http";
import { connect } from "../../../sidecar/client/js/client.js";

const CAPABILITIES = ["bom", "headers", "last-event-id", "post", "read-timeout", "report", "server-directed-shutdown-request"];
const STALL_MS = 30_000;
const TRIES = 3;
const CLOSING_MS = 20;
const streams = [];

/** Tell the harness; a connection that it has just closed is no reason to be silent. */
const post = async (to, body) => {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await fetch(to, { method: "POST", body });
    } catch (error) {
      console.error(`callback ${to}: ${error.cause ?? error}`);
    }
  }
};

/** Tells what happens, in order. */
const caller = (url) => {
  let [number, last] = [0, Promise.resolve()];
  return (kind, what) => {
    const to = `${url}/${++number}`;
    last = last.then(() => post(to, JSON.stringify({ kind, ...what })));
  };
};

const follow = async (asked, stream) => {
  const say = caller(asked.callbackUrl);
  const fail = (reason) => say("error", { error: reason, comment: reason });
  stream.addEventListener("state", () => stream.retryAt && fail(stream.reason));
  try {
    for await (const { type, data, lastEventId: id } of stream) say("event", { event: { type, data, id } });
  } catch (failed) {
    fail(failed.message);
  }
};

const begin = (asked) => {
  const position = asked.lastEventId ? { "last-event-id": encoded(asked.lastEventId) } : {};
  const stream = connect(asked.streamUrl, {
    method: asked.method ?? "GET",
    headers: { accept: "text/event-stream", ...asked.headers, ...position },
    body: asked.body,
    stallSeconds: (asked.readTimeoutMs || STALL_MS) / 1000,
    onEnd: "reconnect",
    reports: false,
  });
  void follow(asked, stream);
  return streams.push(stream) - 1;
};

const encoded = (id) => Buffer.from(id).toString("latin1");

/** Node closes the socket of an aborted response a moment later: whoever asked shall find it closed. */
const leave = (stream, response) => {
  stream.close();
  setTimeout(() => response.end(), CLOSING_MS);
};

const bodyOf = async (request) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
};

const server = createServer(async (request, response) => {
  const stream = streams[Number(request.url.slice(1))];
  const asked = `${request.method} ${request.url === "/" ? "/" : "/n"}`;
  response.setHeader("Content-Type", "application/json");
  if (asked === "GET /") response.end(JSON.stringify({ name: "client.js", capabilities: CAPABILITIES }));
  else if (asked === "POST /") response.writeHead(201, { Location: `${here()}/${begin(await bodyOf(request))}` }).end();
  else if (asked === "DELETE /n" && stream) leave(stream, response.writeHead(204));
  else if (asked === "POST /n") response.writeHead(stream ? 400 : 404).end(); // it knows no commands
  else if (asked === "DELETE /") response.writeHead(204).end(() => process.exit());
  else response.writeHead(404).end();
});

const here = () => `http://127.0.0.1:${server.address().port}`;
server.listen(0, "127.0.0.1", () => console.log(here()));
