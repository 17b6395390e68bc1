// @google/genai: models.generateContentStream().
import { GoogleGenAI } from "@google/genai";
import { tell } from "./cases.mjs";

await tell(async ({ url, headers }, seen) => {
  const sdk = new GoogleGenAI({ apiKey: "demo", httpOptions: { baseUrl: url, headers } });
  const stream = await sdk.models.generateContentStream({ model: "demo-1", contents: "Why?" });
  for await (const chunk of stream) seen.note(`${chunk.candidates?.[0]?.finishReason}`, chunk.text);
});
