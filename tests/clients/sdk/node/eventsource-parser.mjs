// eventsource-parser: the parser that many clients stand on, over fetch; it leaves reconnecting to its caller.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { address, tell, textOf } from "./cases.mjs";

await tell(async (wanted, seen) => {
  const { body } = await fetch(address(wanted, "/api/chat"), { headers: wanted.headers });
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { event, data, id } of events) seen.note(event ?? "message", textOf(data), id);
});
