/** What a stream is doing now. `completed`, `failed` and `closed` are final. */
export type State = "connecting" | "open" | "stalled" | "reconnecting" | "completed" | "failed" | "closed";

/** Header fields, or a function that the client calls before every connection, so that a renewed login is used. */
export type HeaderSource = HeadersInit | (() => HeadersInit | Promise<HeadersInit>);

export interface Options {
  /** HTTP method; default `GET`. */
  method?: string;
  /** A `Last-Event-ID` among them is where the stream begins. */
  headers?: HeaderSource;
  /** Sent with the first request: a connection that resumes has no body. A `ReadableStream` is never sent again. */
  body?: BodyInit | null;
  /** As in `fetch`; default `same-origin`. */
  credentials?: RequestCredentials;
  /** Read a stream in progress by the id that `EventStream.stream` has elsewhere. The client sends nothing to `url`. */
  join?: string;
  /**
   * Name of the position in `sessionStorage` (`sse-sidecar:<key>`), which is kept until the stream is over. A reloaded page
   * continues its stream with it. It applies to the same `url` only.
   */
  key?: string;
  /** Where a stream found by `key` continues: at its `start` (default: the page has lost its content) or after the last `position`. */
  from?: "start" | "position";
  /** Seconds without a byte after which the connection is stalled; default 30. The first response may take 150. */
  stallSeconds?: number;
  /** Attempts in a row without a message until the stream has failed; default 10, 0 means no limit. */
  attempts?: number;
  /**
   * What a clean end means if the server does not report it, as a sidecar does: `reconnect` (default for GET, as in
   * EventSource) or `complete` (default for other methods). With `reconnect` the request may be sent again.
   */
  onEnd?: "reconnect" | "complete";
  /** Path of the sidecar's control API on the origin of `url`; default `/_sse`. */
  control?: string;
  /** Whether the client reports to the sidecar what it received: counts, no content; default true. */
  reports?: boolean;
  /** Aborting it is `close()`. */
  signal?: AbortSignal;
}

/** Messages that will not arrive. Seqs count from 1. */
export interface Gap {
  missedFrom: number;
  /** null if the server does not know. */
  missedThrough: number | null;
  reason: string;
}

/** The connection is back. */
export interface Recovery {
  /** Connections that were made. */
  attempts: number;
  /** Seconds from the loss to the response. */
  seconds: number;
  /** Messages from the replay log; null if the server does not report it. */
  replayed: number | null;
}

/**
 * One stream over as many connections as it takes. Every message is dispatched once, as a `MessageEvent` whose type is the
 * event's name. The async iterator yields the same messages from the first one on: iterate right after `connect`. It ends
 * when the stream is completed or closed, and throws `StreamFailed` when it failed. Leaving the loop is `close()`.
 *
 * Further events: `state` (plain `Event`; read `state` and `reason`), `heartbeat` (read `idleSeconds`),
 * `gap` (`CustomEvent<Gap>`), `recovered` (`CustomEvent<Recovery>`).
 */
export interface EventStream extends EventTarget, AsyncIterable<MessageEvent<string>> {
  readonly url: string;
  readonly state: State;
  /** A sentence for the user: the cause of the state. */
  readonly reason: string;
  /** The error code of a failed stream, such as `err-sidecar-upstream-truncated`; otherwise "". */
  readonly code: string;
  /** Id of the stream at the sidecar, for `join` and for support; "" before the first response and without a sidecar. */
  readonly stream: string;
  readonly lastEventId: string;
  /** Messages dispatched. */
  readonly received: number;
  /** Messages that arrived again and were dropped. */
  readonly duplicates: number;
  /** The last 50. */
  readonly gaps: readonly Gap[];
  /** Number of this reconnect, from 1; 0 after a message. */
  readonly attempt: number;
  /** Time of the next attempt, in ms as `Date.now()`; 0 if the client does not wait. */
  readonly retryAt: number;
  /** Whole seconds since the backend's last byte, as of the last heartbeat; 0 after a message. */
  readonly idleSeconds: number;
  /** Settles with the final state; never rejects. */
  readonly done: Promise<State>;
  /** Make the next attempt now. */
  retryNow(): void;
  /** Leave the stream. The server decides whether the generation continues. */
  close(): void;
  /** Stop the generation. Resolves to true if the server has stopped it; it waits at most 2 s for each of two steps. */
  cancel(): Promise<boolean>;
}

/** The stream cannot be read to its end. `message` is the sentence for the user. */
export class StreamFailed extends Error {
  readonly code: string;
}

/** Begin to read. The first connection is made immediately. */
export function connect(url: string | URL, options?: Options): EventStream;

/** Version of this client. */
export const VERSION: string;
