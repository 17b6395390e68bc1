// eventsource-client: an asynchronous iterator over fetch; it ends when a 204 closes it.
import { createEventSource } from "eventsource-client";
import { address, tell, textOf } from "./cases.mjs";

await tell(async (wanted, seen) => {
  const source = createEventSource({ url: address(wanted, "/api/chat"), headers: wanted.headers });
  for await (const { event, data, id } of source) seen.note(event ?? "message", textOf(data), id);
});
