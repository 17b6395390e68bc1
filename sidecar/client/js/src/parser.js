/** Parse an event stream (WHATWG HTML, section 9.2.6): chunks of text in, events out. */

import { StreamFailed } from "./errors.js";

const EVENT_CHARS_MAX = 64 * 1024 * 1024;

/**
 * @typedef {object} ParserCallbacks
 * @property {(type: string, data: string, id: string | undefined) => void} onEvent
 * @property {(id: string) => void} onId an event without data, which still sets the last event id
 * @property {(ms: number) => void} onRetry reported with its line, so that it counts if the connection breaks next
 * @property {(line: string) => void} onComment the line includes its colon
 */

/** Return a function that takes the next chunk of text. */
export const createParser = (/** @type {ParserCallbacks} */ { onEvent, onId, onRetry, onComment }) => {
  let partialLine = "";
  let isStart = true;
  let endedWithCr = false;
  let eventChars = 0;

  let type = "";
  let data = /** @type {string | undefined} */ (undefined);
  let id = /** @type {string | undefined} */ (undefined);

  const dispatch = () => {
    if (data !== undefined) onEvent(type || "message", data, id);
    else if (id !== undefined) onId(id);
    data = id = undefined;
    type = "";
    eventChars = 0;
  };

  const parseField = (/** @type {string} */ line) => {
    const colon = line.indexOf(":");
    if (colon === 0) return onComment(line);
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") data = data === undefined ? value : data + "\n" + value;
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) onRetry(Number(value));
  };

  return (/** @type {string} */ text) => {
    // CR, LF and CRLF all end a line. A CRLF may be cut in two, so the LF that follows a CR is dropped.
    if (endedWithCr && text[0] === "\n") text = text.slice(1);
    else if (!text) return;
    if (isStart) text = text.replace(/^\uFEFF/, "");
    isStart = false;
    endedWithCr = text.endsWith("\r");
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");

    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      const line = partialLine + text.slice(start, end);
      partialLine = "";
      eventChars += end - start;
      if (line) parseField(line);
      else dispatch();
    }
    partialLine += text.slice(start);
    eventChars += text.length - start;
    if (eventChars > EVENT_CHARS_MAX) throw new StreamFailed("The server sent an event that is too large.");
  };
};
