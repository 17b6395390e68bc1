// The admin page: asks GET /overview every few seconds and shows it.

import { CANCELLED, askToCancel } from "./confirm.js";
import { at, root, say } from "./element.js";
import { history, remember } from "./history.js";
import { Refused, TIMEOUT_MS, ask, dropToken, keepToken, token } from "./listener.js";
import { missed, showNumbers } from "./numbers.js";
import { showOne } from "./stream.js";
import { showStreams } from "./streams.js";
import { bytes, clock, many, span } from "./words.js";

const REFRESH_MS = 5000;
const FRESH_MS = 15000; // numbers older than this are never shown as fresh, whatever the timers do

let timer = 0, current = null, answered = null, title = "sse-sidecar", focusNext = null, one = null;

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
  title = titleOf(all);
  one = all.stream;
  if (single) showOne(all.stream, asked().stream, all.at);
  else showStreams(all.streams);
  connected(paused() ? "paused" : "live");
  focusNext?.();
  focusNext = null;
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

function titleOf(all) {
  if (all.stream) return `${all.stream.route} ${asked().stream} · sse-sidecar`;
  return missed(all) ? `${missed(all)} missed · sse-sidecar` : "sse-sidecar";
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
  dropToken();
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

at("cancel-one").addEventListener("click", () => askToCancel(one));
document.addEventListener(CANCELLED, () => refresh());
at("pause").addEventListener("click", pause);
at("forget").addEventListener("click", () => { say(at("login-problem"), ""); forget(); });
at("filters").addEventListener("change", () => refresh(true));
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value.trim());
  at("token").value = "";
  refresh();
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused() || refresh()));
setInterval(tick, 1000);
refresh();
