// One stream: how it is told in a word, and the page it has to itself.

import { at, make, say } from "./element.js";
import { bytes, clock, count, many, span } from "./words.js";

const TONES = { stalled: "bad", reconnecting: "wait" };
const HARMLESS = new Set([null, "completed", "client_left", "client_cancelled"]);
const WORDS = { attached: "reading", detached: "away", gone: "gone" };
export const address = (id) => `/streams/${encodeURIComponent(id)}`;
export const running = ({ state }) => state !== "ended" && state !== "expired";
export const tone = (stream) => (HARMLESS.has(stream.outcome) ? (TONES[stream.state] ?? (stream.outcome === "completed" ? "good" : "")) : "bad");

export function client(stream) {
  if (stream.readers) return many(stream.readers, "reader");
  if (!running(stream)) return "no reader";
  return stream.away_s === null ? WORDS[stream.audience] : `away for ${span(stream.away_s)}`;
}

export function showOne(stream, id, now) {
  at("one-body").hidden = !stream;
  if (!stream) return say(at("one-title"), `Stream ${id} is not held: its retention is over, or there never was one`);
  say(at("one-title"), `Stream ${stream.id}`);
  at("why").className = tone(stream);
  say(at("why"), stream.why ? `Why did it stop? ${stream.why}${stream.code ? ` (${stream.code})` : ""}` : `It runs: ${stream.state}.`);
  say(at("remedy"), stream.cause ? `Cause: ${stream.cause} Remedy: ${stream.remedy}` : "");
  if (!running(stream) && document.activeElement === at("cancel-one")) at("one-title").focus();
  at("cancel-one").hidden = !running(stream);
  showFacts(stream, now);
  showTimeline(stream, now - stream.age_s);
}

function showFacts(stream, now) {
  const facts = [["Route", `${stream.route} (${stream.kind})`], ["State", stream.state],
    ["Outcome", stream.outcome?.replaceAll("_", " ") ?? "none yet"], ["Client", client(stream)],
    ["Started", `${clock(now - stream.age_s)}, ${span(stream.age_s)} ago`], ["Silent for", span(stream.idle_s)],
    ["Position", count(stream.events)], ["Delivered up to", count(stream.delivered_seq)],
    ["Readers at", stream.positions.map(count).join(", ") || "–"], ["Lag", stream.lag === null ? "–" : count(stream.lag)],
    ["Kept", bytes(stream.log_bytes)], ["Protocol", stream.family ?? "–"], ["Trace", stream.trace ?? "–"]];
  const list = at("facts");
  facts.forEach(([name, value], index) => {
    const fact = list.children[index] ?? list.appendChild(make("div", {}, make("dt"), make("dd")));
    say(fact.children[0], name);
    say(fact.children[1], value);
  });
}

function showTimeline({ timeline }, startedAt) {
  const lines = at("lines");
  timeline.forEach(({ at_s: after, what }, index) => {
    const line = lines.children[index] ?? lines.appendChild(timelineRow());
    say(line.children[0], `${after.toFixed(3)} s`);
    say(line.children[1], clock(startedAt + after));
    say(line.children[2], what);
    line.className = /err-sidecar-|^outcome: (?!completed|client_left|client_cancelled)|^hung|^gap told/.test(what) ? "wrong" : "";
  });
  while (lines.children.length > timeline.length) lines.lastChild.remove();
}

function timelineRow() {
  const row = make("tr", {}, make("td", { className: "number" }), make("td"), make("td"));
  for (const part of [row, ...row.children]) part.setAttribute("role", part === row ? "row" : "cell");
  return row;
}
