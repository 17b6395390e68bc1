/** The entry of `status.js`: it defines `<sse-status>`. The types and their documentation are in `status.d.ts`. */

import { SseStatus } from "./status/element.js";

export { SseStatus };
export { TEXTS } from "./status/texts.js";

// A page may load the module twice, from two addresses.
if (!customElements.get("sse-status")) customElements.define("sse-status", SseStatus);
