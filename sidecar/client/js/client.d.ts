/** What a stream is doing now. `completed`, `failed` and `closed` are final. */
export type State = "connecting" | "open" | "stalled" | "reconnecting" | "completed" | "failed" | "closed";

/** Header fields, or a function asked for them before every connection, so that a renewed login is used. */
export type HeaderSource = HeadersInit | (() => HeadersInit | Promise<HeadersInit>);

export interface Options {
  /** HTTP method; default `GET`. */
  method?: string;
  /** A `Last-Event-ID` among them is where the stream begins. */
  headers?: HeaderSource;
  /** Sent once: a connection that resumes carries no body. A `ReadableStream` is never sent again. */
  body?: BodyInit | null;
  /** As in `fetch`; default `same-origin`. */
  credentials?: RequestCredentials;
  /** Read a stream in flight by the id that `EventStream.stream` had elsewhere; nothing is sent to `url`. */
  join?: string;
  /**
   * Name under which the position is kept in `sessionStorage` (as `sse-sidecar:<key>`) until the stream is over, so that a
   * reloaded page goes on with its stream; it counts for the same `url` only.
   */
  key?: string;
  /** Where a stream found by `key` goes on: from its `start` (default: the page has lost what it showed) or after the last `position`. */
  from?: "start" | "position";
  /** Seconds without a byte until the connection counts as stalled and is replaced; default 30. The first answer may take 150. */
  stallSeconds?: number;
  /** Attempts in a row without a message before the stream counts as failed; default 10, 0: no limit. */
  attempts?: number;
  /**
   * What a clean end means where the server does not say: `reconnect` (default for GET, as EventSource does) or
   * `complete` (default for everything else). A sidecar says. `reconnect` also says that the request may be sent again.
   */
  onEnd?: "reconnect" | "complete";
  /** Path of the sidecar's control API on the origin of `url`; default `/_sse`. */
  control?: string;
  /** Whether to report to the sidecar what was received: counts only, no content; default true. */
  reports?: boolean;
  /** Aborting it is `close()`. */
  signal?: AbortSignal;
}

/** Messages that will not come, as the server said. Seqs count from 1. */
export interface Gap {
  missedFrom: number;
  /** null: the server does not know. */
  missedThrough: number | null;
  reason: string;
}

/** The connection is back. */
export interface Recovery {
  /** Connections it took. */
  attempts: number;
  /** Seconds from the loss to the first byte. */
  seconds: number;
  /** Messages that came late, from the replay log; null where the server does not say. */
  replayed: number | null;
}

/**
 * One stream over as many connections as it takes. Every message is dispatched once, as a `MessageEvent` whose type is the
 * event's name; the async iterator yields the same messages, from the first one on: iterate right after `connect`. It ends
 * when the stream is completed or closed, and throws `StreamFailed` when it failed; to leave the loop is `close()`.
 *
 * Further events: `state` (plain `Event`; read `state` and `reason`), `heartbeat` (read `idleSeconds`),
 * `gap` (`CustomEvent<Gap>`), `recovered` (`CustomEvent<Recovery>`).
 */
export interface EventStream extends EventTarget, AsyncIterable<MessageEvent<string>> {
  readonly url: string;
  readonly state: State;
  /** A sentence that a user can be shown: why the state is what it is. */
  readonly reason: string;
  /** The error code of a failed stream, such as `err-sidecar-upstream-truncated`; otherwise "". */
  readonly code: string;
  /** Id of the stream at the sidecar, for `join` and for support; "" before the first answer and without a sidecar. */
  readonly stream: string;
  readonly lastEventId: string;
  /** Messages dispatched. */
  readonly received: number;
  /** Messages that came again and were dropped. */
  readonly duplicates: number;
  /** The last 50. */
  readonly gaps: readonly Gap[];
  /** Number of this reconnect, from 1; 0 after a message. */
  readonly attempt: number;
  /** When the next attempt is made, in ms as `Date.now()`; 0: none is waited for. */
  readonly retryAt: number;
  /** Whole seconds since the backend's last byte, as the last heartbeat said; 0 after a message. */
  readonly idleSeconds: number;
  /** Settles with the final state; never rejects. */
  readonly done: Promise<State>;
  /** Do not wait for `retryAt`. */
  retryNow(): void;
  /** Leave: the generation goes on as the server decides. */
  close(): void;
  /** Stop the generation; settles when the server has confirmed or the stream is over. True: the server stopped it. */
  cancel(): Promise<boolean>;
}

/** A stream that cannot be read to its end. `message` is the sentence for the user. */
export class StreamFailed extends Error {
  readonly code: string;
}

/** Begin to read; the first connection is made at once. */
export function connect(url: string | URL, options?: Options): EventStream;

/** Version of this client. */
export const VERSION: string;
