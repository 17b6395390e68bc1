/** The entry of `client.js`: what a page imports. The types and their documentation are in `client.d.ts`. */

import { StreamFailed } from "./errors.js";
import { EventStream } from "./stream.js";

export const VERSION = "0.1.0";

export { StreamFailed };

/** @type {typeof import("../client.d.ts").connect} */
export const connect = (url, options = {}) => new EventStream(url, options);
