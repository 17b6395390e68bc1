// sse.js, over XMLHttpRequest: it asks for event ids and for reconnecting only where it is told to, and never stops.
import { SSE } from "/modules/sse.js/lib/sse.js";

export function read(url, note) {
  const headers = { Accept: "text/event-stream" };
  const source = new SSE(url, { headers, autoReconnect: true, reconnectDelay: 50 });
  source.addEventListener("message", ({ data, id }) => note("message", data, id));
  return new Promise((resolve) => {
    const last = ({ type, data, id }) => {
      note(type, data, id);
      source.close();
      resolve();
    };
    source.addEventListener("done", last);
    source.addEventListener("sse-error", last);
  });
}
