// @anthropic-ai/sdk: messages.stream(), the helper that collects the message.
import Anthropic from "@anthropic-ai/sdk";
import { tell } from "./cases.mjs";

await tell(async ({ url, query, headers }, seen) => {
  const sdk = new Anthropic({ baseURL: url, apiKey: "demo", defaultQuery: query, defaultHeaders: headers });
  const messages = [{ role: "user", content: "Why?" }];
  const stream = sdk.messages.stream({ model: "demo-1", max_tokens: 99, messages });
  for await (const event of stream) seen.note(event.type, event.delta?.text);
  seen.note(`final ${(await stream.finalText()) === seen.text}`);
});
