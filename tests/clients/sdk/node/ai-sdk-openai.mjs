// ai with @ai-sdk/openai-compatible: streamText().
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";
import { tell } from "./cases.mjs";

const queryParams = (query) => Object.fromEntries(Object.entries(query).map(([name, value]) => [name, `${value}`]));

await tell(async ({ url, query, headers }, seen) => {
  const demo = createOpenAICompatible({ name: "demo", baseURL: `${url}/v1`, headers, queryParams: queryParams(query) });
  const { fullStream } = streamText({ model: demo("demo-1"), prompt: "Why?", onError: () => {} });
  for await (const part of fullStream) {
    if (part.type === "error") throw part.error;
    seen.note(part.type, part.type === "text-delta" ? part.text : "");
  }
});
