// @microsoft/fetch-event-source: what may pass is tried again, a 204 is the end.
import { fetchEventSource } from "/modules/@microsoft/fetch-event-source/lib/esm/index.js";

class Over extends Error {}

export async function read(url, note) {
  try {
    await fetchEventSource(url, {
      openWhenHidden: true,
      async onopen({ status }) {
        if (status === 204) throw new Over();
      },
      onmessage: ({ event, data, id }) => note(event || "message", data, id),
      onerror(error) {
        if (error instanceof Over) throw error;
      },
    });
  } catch (error) {
    if (!(error instanceof Over)) throw error;
  }
}
