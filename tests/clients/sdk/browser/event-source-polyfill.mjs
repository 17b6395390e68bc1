// event-source-polyfill, over fetch: it takes a 204 for a lost connection, so the application closes at the end.
import "/modules/event-source-polyfill/src/eventsource.js";

export function read(url, note) {
  const source = new globalThis.EventSourcePolyfill(url);
  source.addEventListener("message", ({ data, lastEventId }) => note("message", data, lastEventId));
  return new Promise((resolve) => {
    const last = ({ type, data, lastEventId }) => {
      note(type, data, lastEventId);
      source.close();
      resolve();
    };
    source.addEventListener("done", last);
    source.addEventListener("sse-error", last);
  });
}
