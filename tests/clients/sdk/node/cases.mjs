// What an application saw, case by case, as one JSON array on standard output.

class Seen {
  text = "";
  kinds = [];
  ids = [];
  error = "";

  /** Take one event: what kind it was, its part of the text and, where the client tells it, its id. */
  note(kind, text = "", id = undefined) {
    this.kinds.push(kind);
    this.text += text ?? "";
    if (id) this.ids.push(id);
  }
}

async function see(read, wanted) {
  const seen = new Seen();
  try {
    await read(wanted, seen);
  } catch (error) {
    seen.error = `${error.name}: ${error.message}`;
  }
  return seen;
}

/** Let `read` read every case of the command line, all at once: {url, query, headers, method}. */
export async function tell(read) {
  const cases = JSON.parse(process.argv[2]);
  setInterval(() => {}, 1000); // some clients let the process end while they wait to reconnect
  const seen = await Promise.all(cases.map((wanted) => see(read, wanted)));
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
}

/** The address of a path with the query of the case. */
export function address({ url, query }, path) {
  return `${url}${path}?${new URLSearchParams(query)}`;
}

/** The text of an event of the demo's own dialect; other events have none. */
export function textOf(data) {
  return JSON.parse(data).text;
}

/** The names under which the demo's own dialect and the sidecar send events; `error` is told apart by its data. */
export const NAMES = ["message", "done", "sse-error", "sse-gap", "sse-end", "heartbeat"];
