/** A scripted server in place of `fetch`: it answers each request with the next script and keeps what it was asked. */

const STREAM = { "content-type": "text/event-stream" };
const ENCODER = new TextEncoder();
const CUT = () => Object.assign(new TypeError("terminated"), { cause: { code: "UND_ERR_SOCKET" } });

/** A stream token of the sidecar's form. */
export const token = (letter = "A") => `s1${letter.repeat(40)}`;

/** The stamped events `first` to `last` of a stream; the data is the seq. */
export const events = (first, last, stream = token()) =>
  Array.from({ length: last - first + 1 }, (_, at) => `data: ${first + at}\nid: ${stream}.${first + at}\n\n`).join("");

export const gap = (from, through, reason = "trimmed") =>
  `event: sse-gap\ndata: ${JSON.stringify({ missed_from: from, missed_through: through, reason })}\n\n`;

export const end = (lastSeq) => `event: sse-end\ndata: {"events":${lastSeq},"last_seq":${lastSeq}}\n\n`;

export class FakeServer {
  requests = [];
  reports = [];
  cancels = [];
  /** What a cancel is answered with. */
  cancelStatus = 204;
  #scripts = [];
  #fallback;

  /** Answer the next requests with these, one each: functions of the request that return a Response. */
  script(...scripts) {
    this.#scripts.push(...scripts);
    return this;
  }

  /** Answer every request that finds no script. */
  always(script) {
    this.#fallback = script;
    return this;
  }

  install() {
    globalThis.fetch = async (url, init = {}) => {
      const request = { url: String(url), method: init.method ?? "GET", headers: new Headers(init.headers), init };
      if (request.url.endsWith("/reports")) return this.reports.push(JSON.parse(init.body)), new Response(null, { status: 204 });
      if (request.url.endsWith("/cancel")) {
        this.cancels.push(request);
        return new Response(null, { status: this.cancelStatus });
      }
      init.signal?.throwIfAborted();
      this.requests.push(request);
      const script = this.#scripts.shift() ?? this.#fallback;
      if (!script) throw new Error(`nobody scripted request ${this.requests.length}: ${request.method} ${request.url}`);
      return script(request);
    };
    return this;
  }
}

/** An event stream that says these chunks (texts or bytes) and then ends; `cut`: then it breaks instead. */
export const says = (chunks, { headers = {}, cut = false, status = 200 } = {}) => ({ init }) => {
  const body = live({ headers, status });
  const response = body({ init });
  for (const chunk of [chunks].flat()) body.send(chunk);
  if (cut) body.cut();
  else body.end();
  return response;
};

/** An event stream that a test speaks by hand: `send`, `end`, `cut`; `aborted`: the client has left. */
export const live = ({ headers = {}, status = 200 } = {}) => {
  let controller;
  const answer = ({ init }) => {
    const source = {
      start: (given) => (controller = given),
      // A cut is felt only after what was sent before has been read, as with a socket.
      pull: () => answer.broken && !answer.aborted && controller.error(CUT()),
      cancel: () => (answer.aborted = true),
    };
    const body = new ReadableStream(source, { highWaterMark: 1 });
    init.signal?.addEventListener("abort", () => {
      answer.aborted = true;
      try {
        controller.error(init.signal.reason);
      } catch {} // it has ended already
    });
    answer.asked = true;
    return new Response(body, { status, headers: { ...STREAM, ...headers } });
  };
  return Object.assign(answer, {
    send: (chunk) => controller.enqueue(typeof chunk === "string" ? ENCODER.encode(chunk) : chunk),
    end: () => controller.close(),
    cut: () => {
      answer.broken = true;
      if (controller.desiredSize > 0) controller.error(CUT());
    },
    asked: false,
    aborted: false,
    broken: false,
  });
};

/** A plain answer. */
export const answers = (status, { headers = {}, body = null } = {}) => () => new Response(body, { status, headers });

/** No answer: `code` is the cause as node names it. */
export const unreachable = (code = "ECONNREFUSED") => () => {
  throw Object.assign(new TypeError("fetch failed"), { cause: { code } });
};
