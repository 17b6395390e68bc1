// The list of streams, worst first.

import { askToCancel } from "./confirm.js";
import { at, make, say } from "./element.js";
import { address, client, running, tone } from "./stream.js";
import { count, many, span } from "./words.js";

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
export function showStreams({ total, rows }) {
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
