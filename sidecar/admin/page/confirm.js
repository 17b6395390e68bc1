// Cancelling takes a second thought.

import { at, say } from "./element.js";
import { Refused, TIMEOUT_MS, ask } from "./listener.js";
import { address, client } from "./stream.js";
import { count, span } from "./words.js";

export const CANCELLED = "stream-cancelled"; // told to the document, so that the page asks anew

let doomed = null;

export function askToCancel(stream) {
  doomed = stream.id;
  say(at("confirm-text"), `${stream.id} on route ${stream.route}: ${client(stream)}, at event ${count(stream.events)}, ${span(stream.age_s)} old.`);
  say(at("confirm-problem"), "");
  at("confirm").showModal();
  at("confirm-no").focus();
}

async function cancel() {
  at("confirm-yes").disabled = true;
  try {
    await ask(`${address(doomed)}/cancel`, { method: "POST", signal: AbortSignal.timeout(TIMEOUT_MS) });
    at("confirm").close();
    document.dispatchEvent(new Event(CANCELLED));
  } catch (error) {
    const gone = error instanceof Refused && error.status === 404;
    say(at("confirm-problem"), gone ? "It is no longer held." : `It was not cancelled: ${error.message}.`);
  } finally {
    at("confirm-yes").disabled = false;
  }
}

at("confirm-no").addEventListener("click", () => at("confirm").close());
at("confirm-yes").addEventListener("click", cancel);
