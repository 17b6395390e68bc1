/** What `<sse-status>` shows in English, by key. A text is a string with values in braces, or a function of them. */

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

export const TEXTS = {
  connecting: "Connecting",
  live: "Live",
  thinking: "Thinking",
  "thinking-count": "{seconds} s",
  stalled: "{reason}",
  reconnecting: "{reason}",
  "reconnecting-count": ({ attempt, seconds }) =>
    (attempt ? `attempt ${attempt}` : "") + (attempt && seconds ? `, in ${seconds} s` : ""),
  recovered: ({ replayed }) =>
    replayed === null ? "Connection restored" : `Connection restored: ${count(replayed, "message")} replayed`,
  completed: "Complete",
  failed: "{reason} {advice}",
  advice: "Ask again.",
  closed: "{reason}",
  gap: ({ missed }) =>
    `${missed === null ? "Some messages" : count(missed, "message")} before this point cannot be shown any more.`,
  retry: "Retry now",
};
