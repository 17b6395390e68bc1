import type { EventStream } from "./client.js";

/** What is shown; "" without a source. `open` is shown as `live`, `thinking` or `recovered`. */
export type Kind =
  | ""
  | "connecting"
  | "live"
  | "thinking"
  | "stalled"
  | "reconnecting"
  | "recovered"
  | "completed"
  | "failed"
  | "closed";

/** The values that a text may name in braces, and the argument of a text that is a function. */
export interface TextValues {
  /** The client's sentence for the user. */
  reason: string;
  /** The text `advice`; "" if the sentence contains advice ("Try again.") or is the sidecar's. */
  advice: string;
  /** Error code of a failed stream. */
  code: string;
  /** Id of the stream at the sidecar. */
  stream: string;
  /** Number of the reconnect, from 1. */
  attempt: number;
  /** `thinking`: whole seconds since the backend's last byte; else: to the next attempt. */
  seconds: number;
  /** Messages from the replay log; null if the server does not report it. */
  replayed: number | null;
  /** Messages that will not arrive; null if the server does not know. */
  missed: number | null;
}

export type TextKey = Exclude<Kind, ""> | "thinking-count" | "reconnecting-count" | "advice" | "gap" | "retry";
export type Text = string | ((values: TextValues) => string);

/** The texts in English. `texts` or an attribute `text-<key>` replaces each of them. */
export const TEXTS: Readonly<Record<TextKey, Text>>;

/** What a page has kept of a stream that is over, to show it again. */
export type Kept = Pick<EventStream, "state" | "reason"> & Partial<Pick<EventStream, "code" | "stream" | "gaps">>;

/** Shows the state of a stream in words. */
export class SseStatus extends HTMLElement {
  /** The stream, or what is kept of one; null shows nothing. */
  source: EventStream | Kept | null;
  /** Texts in place of the default ones. */
  texts: Partial<Record<TextKey, Text>>;
  /** What is shown now; also the attribute `kind`. */
  readonly kind: Kind;
}

declare global {
  interface HTMLElementTagNameMap {
    "sse-status": SseStatus;
  }
}
