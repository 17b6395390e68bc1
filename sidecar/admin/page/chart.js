// Charts: a bar per minute; grey is what happened, red what should not have.

import { say } from "./element.js";
import { BARS, minutes } from "./history.js";
import { count, many } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 240, height: 44, least: 5 };

export function newChart() {
  const chart = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "chart", role: "img", preserveAspectRatio: "none",
    viewBox: `0 0 ${SIZE.width} ${SIZE.height}` })) chart.setAttribute(name, value);
  return chart;
}

export function draw({ chart, peak }, { volume, wrong, unit, wrongly, title: asked }, all) {
  const every = minutes(all, volume), bad = minutes(all, wrong);
  const most = Math.max(1, ...every, ...bad);
  const path = (bars, least) => bars.map((value, index) => {
    if (!value) return "";
    const height = Math.max(least, (value / most) * SIZE.height);
    return `M${index * 4 + 0.5} ${SIZE.height}v${-height.toFixed(2)}h3v${height.toFixed(2)}z`;
  }).join("");
  chart.replaceChildren(shape("volume", path(every, 1.5)), shape("wrong", path(bad, SIZE.least)));
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
