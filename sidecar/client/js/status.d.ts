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

/** What a text may name in braces, and what a text that is a function is given. */
export interface TextValues {
  /** The client's sentence for the user. */
  reason: string;
  /** What to do, from the text `advice`; "" where the sentence says it itself ("Try again.") or is the sidecar's. */
  advice: string;
  /** Error code of a failed stream. */
  code: string;
  /** Id of the stream at the sidecar. */
  stream: string;
  /** Number of the reconnect, from 1. */
  attempt: number;
  /** `thinking`: whole seconds since the backend's last byte; else: to the next attempt. */
  seconds: number;
  /** Messages that came late; null: the server does not say. */
  replayed: number | null;
  /** Messages that cannot be shown any more; null: the server does not know. */
  missed: number | null;
}

export type TextKey = Exclude<Kind, ""> | "thinking-count" | "reconnecting-count" | "advice" | "gap" | "retry";
export type Text = string | ((values: TextValues) => string);

/** The texts in English, each of which `texts` or an attribute `text-<key>` replaces. */
export const TEXTS: Readonly<Record<TextKey, Text>>;

/** What a page kept of a stream that is over, to show it again. */
export type Kept = Pick<EventStream, "state" | "reason"> & Partial<Pick<EventStream, "code" | "stream" | "gaps">>;

/** Says in words how a stream stands. */
export class SseStatus extends HTMLElement {
  /** The stream, or what is kept of one; null: nothing is shown. */
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
