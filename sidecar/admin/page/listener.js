// The admin listener: what asks it, and the token it may ask for, which this tab keeps.

export const TIMEOUT_MS = 4000;
const TOKEN = "sse-sidecar-admin-token";

export let token = sessionStorage.getItem(TOKEN) ?? "";

export class Refused extends Error {
  constructor(status) { super(`the listener answered ${status}`); this.status = status; }
}

export async function ask(target, options = {}) {
  const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(target, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (!response.ok) throw new Refused(response.status);
  return response.status === 204 ? null : response.json();
}

export function keepToken(given) {
  token = given;
  sessionStorage.setItem(TOKEN, token);
}

export function dropToken() {
  token = "";
  sessionStorage.removeItem(TOKEN);
}
