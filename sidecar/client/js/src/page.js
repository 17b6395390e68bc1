/** What happens to the page: it goes offline, is frozen, or is put into the back/forward cache. */

export const isOffline = () => globalThis.navigator?.onLine === false;

/** Listen until `signal` aborts. Outside of a browser there is no document and no such event. */
export const listen = (
  /** @type {any} */ target,
  /** @type {AbortSignal} */ signal,
  /** @type {Record<string, () => void>} */ listeners,
) => {
  for (const type in listeners) target?.addEventListener?.(type, listeners[type], { signal });
};
