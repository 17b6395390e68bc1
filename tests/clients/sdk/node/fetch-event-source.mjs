// @microsoft/fetch-event-source, as its documentation shows it: what may pass is tried again, a 204 is the end.
import { EventStreamContentType, fetchEventSource } from "@microsoft/fetch-event-source";
import { address, tell, textOf } from "./cases.mjs";

// It is made for browsers: this is all that it needs of one.
globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };

class Over extends Error {}

async function onopen(response) {
  if (response.status === 204) throw new Over();
  if (response.headers.get("content-type") !== EventStreamContentType) throw new Error(`status ${response.status}`);
}

function onerror(error) {
  if (error instanceof Over) throw error;
}

await tell(async (wanted, seen) => {
  const onmessage = ({ event, data, id }) => seen.note(event || "message", data && textOf(data), id);
  const { method, headers } = wanted;
  const body = method === "POST" ? "{}" : undefined;
  const options = { method, headers, body, onopen, onerror, onmessage, openWhenHidden: true };
  try {
    await fetchEventSource(address(wanted, "/api/chat"), options);
  } catch (error) {
    if (!(error instanceof Over)) throw error;
  }
});
