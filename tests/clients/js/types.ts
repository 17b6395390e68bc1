/** What a program in TypeScript may and may not write; the compiler is the test. */

import { StreamFailed, VERSION, connect } from "../../../sidecar/client/js/client.js";
import type { EventStream, Gap, Options, Recovery, State } from "../../../sidecar/client/js/client.js";

const options: Options = {
  method: "POST",
  headers: async () => ({ Authorization: "Bearer me" }),
  body: "{}",
  credentials: "include",
  join: "s1",
  key: "answer",
  from: "position",
  stallSeconds: 30,
  attempts: 0,
  onEnd: "complete",
  control: "/_sse",
  reports: false,
  signal: new AbortController().signal,
};

export async function use(): Promise<State> {
  const stream: EventStream = connect(new URL("http://localhost/"), options);
  stream.addEventListener("gap", (event) => report((event as CustomEvent<Gap>).detail.missedThrough));
  stream.addEventListener("recovered", (event) => report((event as CustomEvent<Recovery>).detail.replayed));
  try {
    for await (const message of stream) report(message.data.length);
  } catch (error) {
    if (error instanceof StreamFailed) report(error.code.length);
  }
  const stopped: boolean = await stream.cancel();
  report(stopped ? VERSION.length : stream.gaps.length);
  // @ts-expect-error what the stream says is not for the page to change
  stream.state = "open";
  // @ts-expect-error no such option
  connect("/", { retries: 3 });
  // @ts-expect-error no such way to end
  connect("/", { onEnd: "restart" });
  return stream.done;
}

const report = (_: number | null): void => {};
