/** The buttons that cause faults. Those of the network use another address, which a cut network does not affect. */

import { at, note } from "./element.js";

const SAID = {
  works: "The network works.",
  cut: "The network is cut.",
  silent: "The network carries nothing.",
  lose: "The network has lost what was under way.",
};

export class Panel {
  #network;
  #until = 0;

  /** `network` is the address that breaks and restores the network, or null without such a network. */
  constructor(network) {
    this.#network = network;
    for (const button of document.querySelectorAll("[data-network]")) {
      button.disabled = !network;
      button.addEventListener("click", () => this.#press(button));
    }
    if (network) this.#ask("GET", "").catch(() => this.#unreachable());
    else at("network").textContent = "The network is broken by the buttons under `sse-sidecar demo` only.";
    at("kill").addEventListener("click", kill);
    at("reload").addEventListener("click", () => location.reload());
    at("copy").addEventListener("click", copy);
  }

  async #press(button) {
    const mended = button.getAttribute("aria-pressed") === "true";
    const fault = mended ? "works" : button.dataset.network;
    note(`network: ${fault}`);
    await this.#ask("POST", fault).catch(() => this.#unreachable());
  }

  async #ask(method, fault) {
    const { state, left_s } = await (await fetch(`${this.#network}/${fault}`, { method })).json();
    this.#until = Date.now() + left_s * 1000;
    this.#show(state);
  }

  #show(state) {
    const left = Math.max(0, Math.ceil((this.#until - Date.now()) / 1000));
    const now = left ? state : "works";
    for (const button of document.querySelectorAll("[data-network]"))
      button.setAttribute("aria-pressed", String(button.dataset.network === now));
    if (at("network").textContent !== SAID[now]) at("network").textContent = SAID[now];
    at("left").textContent = left ? `Back in ${left} s.` : "";
    if (left) setTimeout(() => this.#show(state), 250);
  }

  #unreachable() { at("network").textContent = "What breaks the network does not answer."; }
}

/** Offer the stream to a second device; "" withdraws the offer. */
export function offer(stream, question) {
  const link = at("device");
  at("copy").disabled = !stream;
  link.setAttribute("aria-disabled", String(!stream));
  if (stream) link.href = `/#${new URLSearchParams({ join: stream, question })}`;
  else link.removeAttribute("href");
}

async function copy() {
  const link = at("device").href;
  const told = await navigator.clipboard.writeText(link).then(() => "The link is copied.", () => link);
  at("told").textContent = told;
}

async function kill() {
  const said = await fetch("/demo/kill", { method: "POST" }).then((response) => response.json()).catch(() => null);
  const fate = said?.exits ? "The backend is dead; back in 2 s." : "Every live stream of the backend was reset.";
  at("told").textContent = said ? fate : "The backend did not answer.";
  note(at("told").textContent);
}
