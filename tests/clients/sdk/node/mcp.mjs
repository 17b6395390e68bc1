// @modelcontextprotocol/sdk: a tool call with progress over streamable HTTP; the transport resumes by itself.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { tell } from "./cases.mjs";

await tell(async ({ url, query }, seen) => {
  const client = new Client({ name: "demo", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  const onprogress = ({ progress }) => seen.note(`progress ${progress}`);
  const options = { onprogress, timeout: query.timeout_ms };
  const result = await client.callTool({ name: "count", arguments: {} }, undefined, options);
  seen.note("result", result.content[0].text);
  await client.close();
});
