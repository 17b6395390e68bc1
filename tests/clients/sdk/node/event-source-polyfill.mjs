// event-source-polyfill: an EventSource that can set request headers; over fetch, which is what it takes in Node.js.
import polyfill from "event-source-polyfill";
import { NAMES, address, tell, textOf } from "./cases.mjs";

const { EventSourcePolyfill } = polyfill;

// It takes a 204, which has no body, for a lost connection: here the application closes at the event that ends all.
await tell(async (wanted, seen) => {
  const source = new EventSourcePolyfill(address(wanted, "/api/chat"), { headers: wanted.headers });
  const note = ({ type, data, lastEventId }) => seen.note(type, textOf(data), lastEventId);
  for (const name of NAMES) source.addEventListener(name, note);
  await new Promise((resolve) => {
    source.addEventListener("done", resolve);
    source.addEventListener("sse-error", resolve);
    source.addEventListener("error", (event) => {
      if (event.data === undefined) return;
      note(event);
      resolve();
    });
  });
  source.close();
});
