// openai: responses.stream(), the helper that collects the response.
import OpenAI from "openai";
import { tell } from "./cases.mjs";

await tell(async ({ url, query, headers }, seen) => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "demo", defaultQuery: query, defaultHeaders: headers });
  const stream = sdk.responses.stream({ model: "demo-1", input: "Why?" });
  for await (const event of stream) {
    seen.note(event.type, event.type === "response.output_text.delta" ? event.delta : "");
  }
  seen.note(`final ${(await stream.finalResponse()).output_text === seen.text}`);
});
