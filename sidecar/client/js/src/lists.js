/** Lists that keep their newest items only. */

/** Gaps and reconnects that are kept: a report may have 4 KiB. */
export const KEPT_MAX = 50;

export const keepNewest = (/** @type {any[]} */ list, /** @type {any} */ item) => {
  list.push(item);
  if (list.length > KEPT_MAX) list.shift();
};
