// openai: chat.completions.create({ stream: true }).
import OpenAI from "openai";
import { tell } from "./cases.mjs";

await tell(async ({ url, query, headers }, seen) => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "demo", defaultQuery: query, defaultHeaders: headers });
  const messages = [{ role: "user", content: "Why?" }];
  for await (const chunk of await sdk.chat.completions.create({ model: "demo-1", messages, stream: true })) {
    for (const choice of chunk.choices) seen.note(`${chunk.object} ${choice.finish_reason}`, choice.delta.content);
  }
});
