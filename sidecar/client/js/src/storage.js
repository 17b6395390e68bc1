/**
 * The position of a stream in `sessionStorage`, so that a reloaded page continues its stream. Storage may be missing,
 * full or forbidden. Then a reload begins at the start, and everything else works.
 */

import { parseJson } from "./errors.js";

const PLACE_CHARS_MAX = 4096;

/** @typedef {{ url: string, stream: string, seq: number, lastEventId: string }} Place */

const withStorage = (
  /** @type {string | undefined} */ key,
  /** @type {(storage: Storage, name: string) => unknown} */ use,
) => {
  try {
    return key && use(sessionStorage, `sse-sidecar:${key}`);
  } catch {}
};

/** @returns {Partial<Place>} */
export const loadPlace = (/** @type {string | undefined} */ key) =>
  parseJson(`${withStorage(key, (storage, name) => storage.getItem(name))}`);

/** Keep a place; null forgets it. */
export const storePlace = (/** @type {string | undefined} */ key, /** @type {Place | null} */ place) => {
  const text = JSON.stringify(place);
  withStorage(key, (storage, name) =>
    place && text.length <= PLACE_CHARS_MAX ? storage.setItem(name, text) : storage.removeItem(name));
};
