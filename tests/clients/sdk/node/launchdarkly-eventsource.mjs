// launchdarkly-eventsource: an EventSource with back-off, over node:http.
import { EventSource } from "launchdarkly-eventsource";
import { NAMES, address, tell, textOf } from "./cases.mjs";

await tell(async (wanted, seen) => {
  const source = new EventSource(address(wanted, "/api/chat"), { headers: wanted.headers });
  const note = ({ type, data, lastEventId }) => seen.note(type, textOf(data), lastEventId);
  for (const name of NAMES) source.addEventListener(name, note);
  source.addEventListener("error", (event) => event.data !== undefined && note(event));
  await new Promise((resolve) => source.addEventListener("closed", resolve));
});
