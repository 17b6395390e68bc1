// openai: chat.completions.stream(), the helper that collects the answer.
import OpenAI from "openai";
import { tell } from "./cases.mjs";

await tell(async ({ url, query, headers }, seen) => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "demo", defaultQuery: query, defaultHeaders: headers });
  const stream = sdk.chat.completions.stream({ model: "demo-1", messages: [{ role: "user", content: "Why?" }] });
  stream.on("content", (delta) => seen.note("content", delta));
  const { choices } = await stream.finalChatCompletion();
  seen.note(`final ${choices[0].finish_reason} ${choices[0].message.content === seen.text}`);
});
