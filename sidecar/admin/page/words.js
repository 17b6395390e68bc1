// Words for numbers.

export const count = (value) => Math.round(value).toLocaleString("en");
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;
export const clock = (unixS) => new Date(unixS * 1000).toLocaleTimeString("en-GB");

export function percent(ratio) {
  if (ratio === 1) return "100 %";
  const cut = Math.floor(ratio * 10000) / 100; // down, so that nothing below an objective reads as if it met it
  return `${cut.toFixed(2)} %`;
}

export const objective = (ratio) => `at least ${Number((ratio * 100).toFixed(4))} %`;

export function span(seconds) {
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

export const quantile = (told, name) =>
  told[`${name}_s`] === null ? "" : `${told[`${name}_beyond`] ? "more than " : ""}${span(told[`${name}_s`])}`;
export const bytes = (value) => (value < 10240 ? `${count(value)} B` : value < 1e7 ? `${count(value / 1024)} KiB` : `${count(value / 1048576)} MiB`);
export const share = (of, told) => (told.delivered ? percent(of / told.delivered) : "0 %");

export const sentence = (text) => `${text.startsWith("p95") ? "p" : text[0].toUpperCase()}${text.slice(1)}.`;
