// The admin page: asks GET /overview every few seconds and shows it. Whatever comes from outside is set as text.

const REFRESH_MS = 5000, TIMEOUT_MS = 4000;
const FRESH_MS = 15000; // numbers older than this are never shown as fresh, whatever the timers do
const SAMPLES_MAX = 241; // as many as the process keeps
const BARS = 60, HOUR_S = 3600, CHART = { width: 240, height: 44, least: 5 };
const TOKEN = "sse-sidecar-admin-token";

const at = (id) => document.getElementById(id);
const root = document.documentElement;
const SVG = "http://www.w3.org/2000/svg";

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Words for numbers.
const count = (value) => Math.round(value).toLocaleString("en");
const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;
const clock = (unixS) => new Date(unixS * 1000).toLocaleTimeString("en-GB");

function percent(ratio) {
  if (ratio === 1) return "100 %";
  const cut = Math.floor(ratio * 10000) / 100; // down, so that nothing below an objective reads as if it met it
  return `${cut.toFixed(2)} %`;
}

const objective = (ratio) => `at least ${Number((ratio * 100).toFixed(4))} %`;

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds > 0 && seconds < 0.95) return `${Math.ceil(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const quantile = (told, name) =>
  told[`${name}_s`] === null ? "" : `${told[`${name}_beyond`] ? "more than " : ""}${span(told[`${name}_s`])}`;
const bytes = (value) => (value < 10240 ? `${count(value)} B` : value < 1e7 ? `${count(value / 1024)} KiB` : `${count(value / 1048576)} MiB`);
const share = (of, told) => (told.delivered ? percent(of / told.delivered) : "0 %");

// The six numbers: what is asked, the answer, what is promised, the proof, and what the chart draws of a sample.
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

// Tiles.
const tiles = new Map(NUMBERS.map((number) => [number.key, tile(number)]));

function tile({ key, title }) {
  const parts = Object.fromEntries(["verdict", "value", "promised", "because", "since"].map(
    (name) => [name, make("p", { className: name === "value" || name === "verdict" ? name : "quiet" })]));
  parts.chart = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "chart", role: "img", preserveAspectRatio: "none",
    viewBox: `0 0 ${CHART.width} ${CHART.height}` })) parts.chart.setAttribute(name, value);
  parts.peak = make("span");
  parts.box = make("li", { id: `tile-${key}` },
    make("div", { className: "tile-head" }, make("h3", { textContent: title }), parts.verdict),
    parts.value, parts.promised, parts.chart,
    make("div", { className: "axis" }, make("span", { textContent: "1 h ago" }), parts.peak, make("span", { textContent: "now" })),
    parts.because, parts.since);
  at("tiles").append(parts.box);
  return parts;
}

function showNumbers(all) {
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
  const missed = NUMBERS.filter(({ key }) => all.hour[key].met === false).length;
  say(at("span"), `The last ${span(all.hour_s)}, of ${span(all.uptime_s)} since the process started; the canary's streams are not counted.`);
  title = missed ? `${missed} missed · sse-sidecar` : "sse-sidecar";
}

const sentence = (text) => `${text.startsWith("p95") ? "p" : text[0].toUpperCase()}${text.slice(1)}.`;

// Charts: a bar per minute; grey is what happened, red what should not have.
const history = { process: "", rows: [] };

function remember(all) {
  if (all.process !== history.process) Object.assign(history, { process: all.process, rows: [] });
  history.rows = [...history.rows, ...all.history.rows].filter(([number]) => number >= all.history.first).slice(-SAMPLES_MAX);
}

function minutes(all, name) {
  const column = all.history.columns.indexOf(name), bars = new Array(BARS).fill(0), end = all.history.latest[0];
  const readings = [...history.rows.map((row) => row.slice(1)), all.history.latest];
  for (let index = 1; index < readings.length; index += 1) {
    const grown = readings[index][column] - readings[index - 1][column];
    const bar = BARS - 1 - Math.floor(((end - readings[index][0]) / HOUR_S) * BARS);
    if (grown > 0 && bar >= 0) bars[Math.min(bar, BARS - 1)] += grown;
  }
  return bars;
}

function draw({ chart, peak }, { volume, wrong, unit, wrongly, title: asked }, all) {
  const every = minutes(all, volume), bad = minutes(all, wrong);
  const most = Math.max(1, ...every, ...bad);
  const path = (bars, least) => bars.map((value, index) => {
    if (!value) return "";
    const height = Math.max(least, (value / most) * CHART.height);
    return `M${index * 4 + 0.5} ${CHART.height}v${-height.toFixed(2)}h3v${height.toFixed(2)}z`;
  }).join("");
  chart.replaceChildren(shape("volume", path(every, 1.5)), shape("wrong", path(bad, CHART.least)));
  const failures = bad.reduce((sum, value) => sum + value, 0);
  const last = bad.findLastIndex(Boolean);
  chart.setAttribute("aria-label", `${asked} Per minute of the last hour: at most ${many(Math.max(...every), unit)}, ${count(failures)} ${wrongly}`
    + (last >= 0 ? `, the latest ${BARS - 1 - last} min ago.` : "."));
  say(peak, `at most ${many(Math.max(...every), unit)}/min`);
}

function shape(kind, d) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", kind);
  path.setAttribute("d", d);
  return path;
}

// Streams.
const TONES = { stalled: "bad", reconnecting: "wait" };
const HARMLESS = new Set([null, "completed", "client_left", "client_cancelled"]);
const WORDS = { attached: "reading", detached: "away", gone: "gone" };
const address = (id) => `/streams/${encodeURIComponent(id)}`;
const running = ({ state }) => state !== "ended" && state !== "expired";
const tone = (stream) => (HARMLESS.has(stream.outcome) ? (TONES[stream.state] ?? (stream.outcome === "completed" ? "good" : "")) : "bad");

function client(stream) {
  if (stream.readers) return many(stream.readers, "reader");
  if (!running(stream)) return "no reader";
  return stream.away_s === null ? WORDS[stream.audience] : `away for ${span(stream.away_s)}`;
}

function newRow(stream) {
  const link = make("a", { className: "id", href: address(stream.id), textContent: stream.id });
  const cancel = make("button", { type: "button", textContent: "Cancel", ariaLabel: `Cancel stream ${stream.id}` });
  cancel.addEventListener("click", () => askToCancel(row.stream));
  const cells = ["", "Route", "State", "Client", "Age", "Silent for", "Position", "Lag"].map((label, index) => {
    const cell = make("td", { className: index > 3 ? "number" : index === 2 ? "state" : "" });
    cell.setAttribute("role", "cell");
    if (label) cell.dataset.label = label;
    return cell;
  });
  cells[0].append(link);
  const action = make("td", { className: "action" }, cancel);
  action.setAttribute("role", "cell");
  const row = make("tr", {}, ...cells, action);
  row.setAttribute("role", "row");
  row.dataset.id = stream.id;
  return Object.assign(row, { cells_: cells, cancel });
}

function fill(row, stream) {
  row.stream = stream;
  const state = stream.outcome === null || running(stream) ? stream.state : stream.outcome.replaceAll("_", " ");
  const texts = [null, stream.route, state, client(stream), span(stream.age_s), span(stream.idle_s), count(stream.events),
    stream.lag === null ? "–" : count(stream.lag)];
  texts.forEach((text, index) => text !== null && say(row.cells_[index], text));
  row.cells_[2].className = `state ${tone(stream)}`;
  if (!running(stream) && document.activeElement === row.cancel) row.cells_[0].firstChild.focus();
  row.cancel.hidden = !running(stream);
}

// Rows are moved around the one that has the focus: a node that is moved would lose it.
function showStreams({ total, rows }) {
  const body = at("rows"), known = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const wanted = rows.map((stream) => {
    const row = known.get(stream.id) ?? newRow(stream);
    fill(row, stream);
    return row;
  });
  const keep = new Set(wanted), focused = [...body.children].find((row) => row.contains(document.activeElement));
  for (const row of known.values()) {
    if (keep.has(row)) continue;
    if (row === focused) at("streams-title").focus({ preventScroll: true });
    row.remove();
  }
  const pivot = focused && keep.has(focused) ? wanted.indexOf(focused) : -1;
  wanted.slice(0, Math.max(pivot, 0)).forEach((row) => body.insertBefore(row, focused));
  wanted.slice(pivot + 1).forEach((row) => body.append(row));
  at("streams").hidden = !rows.length;
  say(at("found"), !total ? "No such stream." : total > rows.length ? `${count(total)} streams; the ${rows.length} worst of them are shown.` : `${many(total, "stream")}.`);
}

function showChoices({ routes, selections }) {
  for (const [id, values] of [["shown", selections], ["route", routes]]) {
    const select = at(id), known = new Set([...select.options].map((option) => option.value));
    for (const value of values) if (!known.has(value)) select.add(new Option(value, value));
  }
}

function showReady({ ready, degraded, reasons, held, version, uptime_s }) {
  at("ready").className = ready ? (degraded ? "wait" : "good") : "bad";
  const word = ready ? (degraded ? "Ready, but degraded" : "Ready") : "Not ready";
  say(at("ready"), `${word}${reasons.length ? `: ${reasons.join("; ")}` : ""}. ${many(held.active, "active stream")}, `
    + `${many(held.readers, "reader")}, ${held.detached} waiting for their client; ${bytes(held.log_bytes)} of logs.`);
  say(at("build"), `${version} · up ${span(uptime_s)}`);
}

// One stream.
let one = null;

function showOne(stream, now) {
  one = stream;
  at("one-body").hidden = !stream;
  const id = asked().stream;
  if (!stream) return say(at("one-title"), `Stream ${id} is not held: its retention is over, or there never was one`);
  title = `${stream.route} ${id} · sse-sidecar`;
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

// Asking.
let timer = 0, current = null, answered = null, title = "sse-sidecar", focusNext = null;
let token = sessionStorage.getItem(TOKEN) ?? "";

class Refused extends Error {
  constructor(status) { super(`the listener answered ${status}`); this.status = status; }
}

async function ask(target, options = {}) {
  const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(target, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (!response.ok) throw new Refused(response.status);
  return response.status === 204 ? null : response.json();
}

function asked() {
  const match = /^\/streams\/([^/]+)$/.exec(location.pathname);
  if (match) return { stream: decoded(match[1]) };
  return { shown: at("shown").value || "live", ...(at("route").value ? { route: at("route").value } : {}) };
}

function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

async function refresh(announced = false) {
  clearTimeout(timer);
  at("found").ariaLive = announced ? "polite" : "off"; // read out when asked for, not every few seconds
  current?.abort();
  const mine = current = new AbortController();
  const limit = setTimeout(() => mine.abort(), TIMEOUT_MS);
  try {
    const query = new URLSearchParams(asked());
    if (history.rows.length) query.set("after", history.rows.at(-1)[0]);
    const all = await ask(`/overview?${query}`, { signal: mine.signal });
    if (mine === current) show(all);
  } catch (error) {
    if (mine === current) await failed(error);
  } finally {
    clearTimeout(limit);
    if (mine === current) plan();
  }
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden && !paused() && at("login").hidden) timer = setTimeout(() => refresh(), REFRESH_MS);
}

function show(all) {
  if (all.process !== history.process && history.process && !all.history.rows.some(([number]) => number === 0)) {
    history.rows = []; // another process: ask it for its own hour
    history.process = "";
    return refresh();
  }
  answered = { at: Date.now(), unixS: all.at };
  at("login").hidden = true;
  at("content").hidden = false;
  at("forget").hidden = !token;
  remember(all);
  showChoices(all);
  showReady(all);
  showNumbers(all);
  const single = "stream" in all;
  at("all").hidden = single;
  at("one").hidden = !single;
  if (single) showOne(all.stream, all.at);
  else showStreams(all.streams);
  connected(paused() ? "paused" : "live");
  focusNext?.();
  focusNext = null;
}

async function failed(error) {
  if (error instanceof Refused && error.status === 401) return askForToken();
  if (error instanceof Refused && error.status === 400 && at("route").value) {
    at("route").value = ""; // a restart with other routes
    return refresh();
  }
  connected("lost", error instanceof Refused ? error.message : "no answer from the admin listener");
}

function askForToken() {
  say(at("login-problem"), token ? "That is not the token." : "");
  forget();
}

function forget() {
  token = "";
  sessionStorage.removeItem(TOKEN);
  at("content").hidden = true;
  at("forget").hidden = true;
  if (at("login").hidden) {
    at("login").hidden = false;
    at("token").focus();
  }
  clearTimeout(timer);
  connected("waiting", "waiting for the token");
}

// The page says how old its numbers are, and takes the freshness away when nothing came.
function connected(state, words = { live: "live", paused: "paused" }[state]) {
  root.dataset.connection = state;
  say(at("fresh"), words);
  tick();
}

function tick() {
  const age = answered ? Date.now() - answered.at : 0;
  if (root.dataset.connection === "live" && age > FRESH_MS) return connected("lost", "no answer from the admin listener");
  const old = root.dataset.connection !== "live";
  say(at("age"), answered && !at("content").hidden ? `${old ? "all below is of" : "·"} ${clock(answered.unixS)}${old ? `, ${span(age / 1000)} ago` : ""}` : "");
  const now = root.dataset.connection === "lost" ? `no answer · ${title}` : title;
  if (document.title !== now) document.title = now;
}

const paused = () => at("pause").getAttribute("aria-pressed") === "true";

function pause() {
  at("pause").setAttribute("aria-pressed", String(!paused()));
  say(at("pause"), paused() ? "Go on" : "Pause");
  if (!paused()) return refresh();
  clearTimeout(timer);
  if (root.dataset.connection === "live") connected("paused");
}

// Going from the list to a stream and back; the focus goes along.
let place = location.pathname;

function go(path) {
  if (path !== location.pathname) window.history.pushState(null, "", path);
  arrive();
}

function arrive() {
  const left = /^\/streams\/(.+)$/.exec(place)?.[1], { stream } = asked();
  place = location.pathname;
  at("all").hidden = Boolean(stream);
  at("one").hidden = !stream;
  if (stream) {
    say(at("one-title"), `Stream ${stream}`);
    at("one-body").hidden = true;
  }
  focusNext = () => {
    const row = left && [...at("rows").children].find(({ dataset }) => dataset.id === decoded(left));
    (stream ? at("one-title") : row?.querySelector("a") ?? at("streams-title")).focus();
  };
  refresh();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const path = new URL(link.href).pathname;
  if (link.id === "home" || link.id === "back") { event.preventDefault(); go("/"); }
  else if (path.startsWith("/streams/")) { event.preventDefault(); go(path); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !at("confirm").open && asked().stream) go("/");
});
window.addEventListener("popstate", () => location.pathname !== place && arrive());

// Cancelling.
let doomed = null;

function askToCancel(stream) {
  doomed = stream.id;
  say(at("confirm-text"), `${stream.id} on route ${stream.route}: ${client(stream)}, at event ${count(stream.events)}, ${span(stream.age_s)} old.`);
  say(at("confirm-problem"), "");
  at("confirm").showModal();
  at("confirm-no").focus();
}

async function cancel() {
  at("confirm-yes").disabled = true;
  try {
    await ask(`${address(doomed)}/cancel`, { method: "POST", signal: AbortSignal.timeout(TIMEOUT_MS) });
    at("confirm").close();
    refresh();
  } catch (error) {
    const gone = error instanceof Refused && error.status === 404;
    say(at("confirm-problem"), gone ? "It is no longer held." : `It was not cancelled: ${error.message}.`);
  } finally {
    at("confirm-yes").disabled = false;
  }
}

at("cancel-one").addEventListener("click", () => askToCancel(one));
at("confirm-no").addEventListener("click", () => at("confirm").close());
at("confirm-yes").addEventListener("click", cancel);
at("pause").addEventListener("click", pause);
at("forget").addEventListener("click", () => { say(at("login-problem"), ""); forget(); });
at("filters").addEventListener("change", () => refresh(true));
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  sessionStorage.setItem(TOKEN, token);
  at("token").value = "";
  refresh();
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused() || refresh()));
setInterval(tick, 1000);
refresh();
