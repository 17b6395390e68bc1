/** Errors that the client throws, and errors that a server reports in a body or in an event. */

/** Characters of a server's message that a user is shown. */
const MESSAGE_CHARS_MAX = 300;

/** The stream cannot be read to its end. The message is a sentence for the user. */
export class StreamFailed extends Error {
  name = "StreamFailed";

  constructor(/** @type {string} */ message, code = "") {
    super(message);
    this.code = code;
  }
}

/**
 * How a connection was lost.
 * @typedef {object} Loss
 * @property {boolean} [isImmediate] connect again without a wait
 * @property {boolean} [isUnsent] the server did not begin to process the request, so even a POST may be repeated
 * @property {boolean} [isStalled] no byte arrived for too long
 * @property {number} [retryAfterMs] the wait that the server asked for; NaN if it asked for none
 */

/** The connection is over, but the stream is not. */
export class ConnectionLost extends Error {
  constructor(/** @type {string} */ message, /** @type {Loss} */ loss = {}) {
    super(message);
    this.loss = loss;
  }
}

/** @typedef {{ message: string, code: string }} ServerError */

/** Parse JSON; return an empty object if the text is not JSON, or null. */
export const parseJson = (/** @type {string} */ text) => {
  try {
    return /** @type {any} */ (JSON.parse(text)) ?? {};
  } catch {
    return {};
  }
};

/** Read an error in the forms of problem+json, OpenAI, Anthropic, Google and the AI SDK. @returns {ServerError} */
export const errorInBody = (/** @type {any} */ body) => {
  const error = body.error ?? body.errorText ?? body;
  const message = typeof error === "string" ? error : (error.message ?? error.detail ?? error.title);
  const codes = [error.details?.[0]?.reason, body.code, error.code];
  return {
    message: typeof message === "string" ? message.slice(0, MESSAGE_CHARS_MAX) : "",
    code: codes.find((code) => typeof code === "string") ?? "",
  };
};

/** Return the error that an event reports, or null. @returns {ServerError | null} */
export const errorInEvent = (/** @type {string} */ type, /** @type {string} */ data) => {
  const isNamed = type === "error" || type === "sse-error";
  // Most events report no error, and parsing each of them would be expensive.
  const body = isNamed || data.includes('"error"') ? parseJson(data) : {};
  // An error in JSON-RPC answers one call; the stream goes on.
  if (!isNamed && (body.jsonrpc || !(body.error || body.type === "error"))) return null;
  const { message, code } = errorInBody(body);
  return { message: message || "The server reported an error.", code };
};
