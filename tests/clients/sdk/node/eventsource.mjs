// eventsource: the EventSource of the standard, for Node.js.
import { EventSource } from "eventsource";
import { NAMES, address, tell, textOf } from "./cases.mjs";

await tell(async (wanted, seen) => {
  const source = new EventSource(address(wanted, "/api/chat"));
  const note = ({ type, data, lastEventId }) => seen.note(type, textOf(data), lastEventId);
  for (const name of NAMES) source.addEventListener(name, note);
  await new Promise((resolve) => {
    source.addEventListener("error", (event) => {
      if (event.data !== undefined) note(event);
      if (source.readyState === EventSource.CLOSED) resolve();
    });
  });
});
