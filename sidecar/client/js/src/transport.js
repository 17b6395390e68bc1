/** Requests to the server: which URL, header fields and body, first and when a stream is resumed. */

import { ConnectionLost, errorInBody, parseJson } from "./errors.js";
import { parseId } from "./progress.js";

/** Header fields that describe the body, or the request that has one. */
const BODY_FIELDS = ["content-type", "content-length", "content-encoding", "idempotency-key"];
/** Error codes of Node.js for a connection that was not made. A browser does not reveal the cause. */
const UNSENT = /REFUSED|NOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT/;

const withoutBody = (/** @type {Headers} */ headers) => {
  for (const name of BODY_FIELDS) headers.delete(name);
  return headers;
};

/** A header value is a string of bytes; an event id may have other characters. */
const utf8Bytes = (/** @type {string} */ text) => String.fromCharCode(...new TextEncoder().encode(text));

const randomKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");

export const isEventStream = (/** @type {Response} */ { status, headers }) =>
  status === 200 && /^text\/event-stream\s*(;|$)/i.test(headers.get("content-type") ?? "");

export const createTransport = (
  /** @type {string | URL} */ target,
  /** @type {import("../client.d.ts").Options} */ options,
  /** @type {import("./progress.js").Progress} */ progress,
) => {
  const page = globalThis.location;
  const { href, origin } = new URL(target, globalThis.document?.baseURI ?? page?.href);
  const isCrossOrigin = page !== undefined && page.origin !== origin;
  const url = href.replace(/#.*/, "");
  const method = (options.method ?? "GET").toUpperCase();
  const isGet = method === "GET";
  const control = origin + (options.control ?? "/_sse");
  const idempotencyKey = randomKey();
  /** Whether requests go to a sidecar, which recognizes the `Idempotency-Key`. */
  let isSidecar = import.meta.url.startsWith(`${control}/`);

  const streamUrl = () => `${control}/streams/${encodeURIComponent(progress.stream)}`;

  /** Return the page's header fields. A `Last-Event-ID` among them is where the stream begins. */
  const pageHeaders = async () => {
    const { headers: source } = options;
    try {
      const headers = new Headers(typeof source === "function" ? await source() : source);
      const position = headers.get("last-event-id") ?? "";
      headers.delete("last-event-id");
      headers.set("Accept", headers.get("accept") ?? "text/event-stream; sse-events=1");
      const own = parseId(position);
      if (own && !progress.stream) progress.beginStream(own.stream, own.seq);
      progress.lastEventId ||= position;
      return headers;
    } catch {
      throw new ConnectionLost("The login could not be renewed.", { isUnsent: true });
    }
  };

  /** Send the request, or request the remaining events of its stream. */
  const request = async (/** @type {AbortSignal} */ signal) => {
    const headers = await pageHeaders();
    const { body, credentials, join } = options;
    const { stream, resumePosition: position, log } = progress;
    const resumes = !!stream && (!isGet || !!join || !log.last_seq);
    let requestUrl = resumes ? streamUrl() : url;

    // A header field that is not safelisted would cost a preflight.
    if (position && isCrossOrigin) {
      requestUrl += `${requestUrl.includes("?") ? "&" : "?"}last_event_id=${encodeURIComponent(position)}`;
    } else if (position) {
      headers.set("Last-Event-ID", utf8Bytes(position));
    }
    if (resumes) withoutBody(headers);
    else if (!isGet && !isCrossOrigin && !headers.has("idempotency-key")) {
      headers.set("Idempotency-Key", idempotencyKey);
    }

    // A browser sends a stream only with `duplex`; it receives the response after the whole body was sent.
    const duplex = body instanceof ReadableStream ? "half" : undefined;
    const content = resumes ? {} : { method, body, duplex };
    return fetch(requestUrl, { headers, credentials, signal, cache: "no-store", ...content }).catch(({ cause }) => {
      throw new ConnectionLost("The server cannot be reached.", { isUnsent: UNSENT.test(cause?.code) });
    });
  };

  /** Whether a request that got no response may be sent again. */
  const isRepeatable = (/** @type {boolean | undefined} */ isUnsent) => {
    const { body, onEnd } = options;
    if (isGet) return true;
    if (body instanceof ReadableStream) return false;
    return isUnsent || onEnd === "reconnect" || (isSidecar && !isCrossOrigin);
  };

  /** Read the error from the first chunk of a response that is not an event stream. */
  const readError = async (/** @type {Response} */ { body }) => {
    const chunk = await body?.getReader().read().catch(() => undefined);
    const error = errorInBody(parseJson(new TextDecoder().decode(chunk?.value)));
    isSidecar ||= error.code.startsWith("err-sidecar-");
    return error;
  };

  /** Stop the generation. Return whether the server confirmed it. */
  const cancel = async () => {
    const headers = withoutBody(await pageHeaders());
    const { credentials } = options;
    const { ok } = await fetch(`${streamUrl()}/cancel`, { method: "POST", headers, credentials, keepalive: true });
    return ok;
  };

  /** Send a report without waiting for it. A report that is lost is not repeated. */
  const report = (/** @type {object} */ content) => {
    const reportUrl = `${control}/reports`;
    const body = JSON.stringify(content);
    if (globalThis.navigator?.sendBeacon?.(reportUrl, body)) return;
    fetch(reportUrl, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(() => {});
  };

  return { url, origin, isGet, isRepeatable, request, readError, cancel, report };
};
