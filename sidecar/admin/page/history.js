// The last hour: readings of the process's counters, one per 15 s.

const SAMPLES_MAX = 241; // as many as the process keeps
const HOUR_S = 3600;
export const BARS = 60; // one per minute

export const history = { process: "", rows: [] };

export function remember(all) {
  if (all.process !== history.process) Object.assign(history, { process: all.process, rows: [] });
  history.rows = [...history.rows, ...all.history.rows].filter(([number]) => number >= all.history.first).slice(-SAMPLES_MAX);
}

export function minutes(all, name) {
  const column = all.history.columns.indexOf(name), bars = new Array(BARS).fill(0), end = all.history.latest[0];
  const readings = [...history.rows.map((row) => row.slice(1)), all.history.latest];
  for (let index = 1; index < readings.length; index += 1) {
    const grown = readings[index][column] - readings[index - 1][column];
    const bar = BARS - 1 - Math.floor(((end - readings[index][0]) / HOUR_S) * BARS);
    if (grown > 0 && bar >= 0) bars[Math.min(bar, BARS - 1)] += grown;
  }
  return bars;
}
