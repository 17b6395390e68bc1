// The six numbers: what is asked, the answer, what is promised, the proof, and what the chart draws of a sample.

import { draw, newChart } from "./chart.js";
import { at, make, say } from "./element.js";
import { count, many, objective, percent, quantile, sentence, share, span } from "./words.js";

const NUMBERS = [
  { key: "completion", title: "Do streams complete?", volume: "eligible", wrong: "bad", unit: "stream", wrongly: "failed",
    promised: (all) => objective(all.objectives.completion),
    value: (told) => (told.ratio === null ? "–" : percent(told.ratio)),
    because: (told) => (told.eligible ? `${count(told.bad)} of ${many(told.eligible, "stream")} failed` : "no stream has ended"),
    proof: () => "who cancelled or left is not counted" },
  { key: "reconnect", title: "Are lost connections back in time?", volume: "reconnects", wrong: "slow", unit: "reconnect",
    wrongly: "slow or given up",
    promised: (all) => `${objective(all.objectives.reconnect)} within ${all.objectives.reconnect_s} s`,
    value: (told) => (told.ratio === null ? "–" : percent(told.ratio)),
    because: (told) => (told.count ? `${count(told.slow)} of ${many(told.count, "reconnect")} slow or given up` : "no connection was lost"),
    proof: (told) => (told.count ? `p95 ${quantile(told, "p95")}, ${count(told.gave_up)} given up` : "") },
  { key: "lost", title: "Are messages lost?", volume: "delivered", wrong: "lost", unit: "message", wrongly: "lost",
    promised: () => "0", value: (told) => count(told.lost), because: (told) => `${many(told.delivered, "message")} written`,
    proof: (told) => `${share(told.acknowledged, told)} of them acknowledged, ${share(told.confirmed, told)} confirmed by the client`
      + (told.unproven ? `; in ${many(told.unproven, "case")} nobody can tell` : "") },
  { key: "duplicates", title: "Are messages delivered twice?", volume: "delivered", wrong: "repeated", unit: "message",
    wrongly: "delivered again",
    promised: () => "0", value: (told) => count(told.repeated), because: (told) => `${many(told.delivered, "message")} written`,
    proof: (told) => `${count(told.suppressed)} came again from a backend and were held back` },
  { key: "silent", title: "Do failures stay silent?", volume: "finished", wrong: "leaked", unit: "ended stream", wrongly: "leaked",
    promised: () => "0", value: (told) => count(told.leaked),
    because: (told) => `${many(told.finished, "stream")} ended; failures in disguise that were told: ${count(told.surfaced)}`,
    proof: (_, all) => witnesses(all) },
  { key: "stalls", title: "Are stalls found and mended?", volume: "declared", wrong: "failed", unit: "stall", wrongly: "not recovered",
    promised: () => "none of its own: a stall that is not mended fails its stream",
    value: (told) => (told.declared ? `${count(told.recovered)} of ${count(told.declared)} mended` : "no stall"),
    because: (told) => (told.declared ? `${count(told.failed)} failed, ${many(told.false_alarm, "false alarm")}${open(told)}` : "no backend was silent for too long"),
    proof: (told) => (told.declared ? `found after p95 ${quantile(told, "detection_p95")}` : "")
      + (told.recovered ? `, mended after p95 ${quantile(told, "recovery_p95")}` : "") },
];

function open({ declared, recovered, failed, false_alarm: alarms }) {
  const left = declared - recovered - failed - alarms;
  return left > 0 ? `, ${count(left)} not over yet` : "";
}

function witnesses({ witnesses: seen, at: now }) {
  const watchdog = `the watchdog looked ${span(Math.max(0, now - seen.watchdog_at))} ago`;
  if (seen.canary_mismatches) return `${watchdog}; ${many(seen.canary_mismatches, "canary stream")} came through changed`;
  return seen.canary_at ? `${watchdog}, the last canary came through ${span(Math.max(0, now - seen.canary_at))} ago` : watchdog;
}

const VERDICTS = new Map([[true, ["good", "✓ met"]], [false, ["bad", "✗ missed"]], [null, ["", "– nothing to judge"]]]);

const tiles = new Map(NUMBERS.map((number) => [number.key, tile(number)]));

function tile({ key, title }) {
  const parts = Object.fromEntries(["verdict", "value", "promised", "because", "since"].map(
    (name) => [name, make("p", { className: name === "value" || name === "verdict" ? name : "quiet" })]));
  parts.chart = newChart();
  parts.peak = make("span");
  parts.box = make("li", { id: `tile-${key}` },
    make("div", { className: "tile-head" }, make("h3", { textContent: title }), parts.verdict),
    parts.value, parts.promised, parts.chart,
    make("div", { className: "axis" }, make("span", { textContent: "1 h ago" }), parts.peak, make("span", { textContent: "now" })),
    parts.because, parts.since);
  at("tiles").append(parts.box);
  return parts;
}

export function showNumbers(all) {
  for (const number of NUMBERS) {
    const parts = tiles.get(number.key), hour = all.hour[number.key], start = all.start[number.key];
    const [tone, words] = VERDICTS.get(hour.met);
    const stalled = number.key === "stalls";
    parts.box.className = stalled ? (hour.failed ? "wait" : "") : tone;
    say(parts.verdict, stalled ? "" : words);
    say(parts.value, number.value(hour));
    say(parts.promised, `Objective: ${number.promised(all)}`);
    say(parts.because, [number.because(hour), number.proof(hour, all)].filter(Boolean).map(sentence).join(" "));
    parts.since.hidden = !all.history.first; // in the first hour it would say the same again
    say(parts.since, `Since the start: ${number.value(start)} (${number.because(start)})`);
    draw(parts, number, all);
  }
  say(at("span"), `The last ${span(all.hour_s)}, of ${span(all.uptime_s)} since the process started; the canary's streams are not counted.`);
}

export const missed = (all) => NUMBERS.filter(({ key }) => all.hour[key].met === false).length;
