/** The chat: questions, the turns that survive a reload, and the plain reader beside the answer. */

import "./status.js";
import { at } from "./element.js";
import { fault } from "./faults.js";
import { Panel, offer } from "./panel.js";
import { Plain } from "./plain.js";
import { showTally } from "./tally.js";
import { Turn } from "./turn.js";

const TURNS_MAX = 20;
const KEPT = "talk";
const turns = [];
let plain = null;

const setup = await (await fetch("/demo/setup")).json();

function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify(turns.map(({ kept }) => kept)));
}

/** Show the state of a turn. The buttons follow the newest turn. */
function changed(turn) {
  if (turn.over) keep();
  if (turn !== turns.at(-1)) return;
  showTally(at("ours"), turn.tally);
  at("stop").disabled = turn.over;
  at("send").disabled = !turn.over;
  offer(turn.stream?.stream, turn.kept.question);
  at("talk").scrollTop = at("talk").scrollHeight;
}

function add(kept) {
  const turn = new Turn(kept, changed);
  turns.push(turn);
  if (turns.length > TURNS_MAX) turns.shift().element.remove();
  at("talk").append(turn.element);
  if (turn.over) turn.recall();
  else turn.read(setup.stall_s).finally(keep);
  keep();
  changed(turn);
  return turn;
}

/** Let a plain EventSource read the same stream by its id, or the same question from the backend without a sidecar. */
function readPlainly(turn) {
  plain?.close();
  if (at("beside").value === "bare") plain = new Plain(new URL(turn.kept.url, setup.bare ?? location.href));
  else turn.stream.addEventListener("state", function opened() {
    if (!turn.stream.stream) return;
    turn.stream.removeEventListener("state", opened);
    plain = new Plain(`/_sse/streams/${turn.stream.stream}`);
  });
}

function ask(question) {
  at("told").textContent = "";
  const seed = Math.random().toString(36).slice(2, 10);
  const query = new URLSearchParams({ prompt: question, n: at("length").value, interval_ms: at("pace").value, seed });
  const wrong = fault();
  if (wrong) query.set("fault", wrong);
  readPlainly(add({ question, url: `/api/chat?${query}`, key: `answer-${seed}` }));
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("send").disabled) return;
  ask(at("prompt").value);
  at("prompt").value = "";
});
at("ideas").addEventListener("click", ({ target }) => {
  if (target.localName === "button") ask(target.textContent);
});
at("stop").addEventListener("click", () => turns.at(-1)?.stream?.cancel());

new Panel(setup.network);
for (const kept of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) add(kept);
const asked = new URLSearchParams(location.hash.slice(1));
if (asked.get("join")) {
  history.replaceState(null, "", "/");
  add({ question: asked.get("question") ?? "", url: "/api/chat", key: `join-${asked.get("join")}`, join: asked.get("join") });
}
