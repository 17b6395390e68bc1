/** The faults that a user can choose for the next answer of the backend. */

import { at, make } from "./element.js";

const FAULTS = {
  slow: "ten times slower",
  stall: "silent from the middle on",
  reset: "TCP reset in the middle",
  truncate: "cut in the middle of an event",
  error: "error event in the middle",
  no_terminal: "ends without its end",
  crlf: "line ends CR LF",
  cr: "line ends CR",
  bom: "byte order mark first",
  gzip: "compressed",
  huge: "a token of 2 MiB",
  empty: "no event at all",
  status: "503 instead",
  wrong_type: "HTML instead",
  repeat: "one event twice",
};

for (const [name, means] of Object.entries(FAULTS))
  at("fault").add(make("option", { value: name, textContent: `${name}: ${means}` }));

/** Return the chosen fault and reset the choice: it applies to one answer. */
export function fault() {
  const chosen = at("fault").value;
  at("fault").value = "";
  return chosen;
}
