// <connection-state>: whether what the page shows is told live, and if not, when the service was heard last.

import { words } from "./amounts.js";
import { h, setText } from "./elements.js";

export class ConnectionState extends HTMLElement {
  #text = h("span", {}, "Connecting");

  connectedCallback() {
    this.append(h("span", { class: "dot", "aria-hidden": "true" }), this.#text);
  }

  draw(stream, now) {
    const { state, heardAt } = stream;
    if (this.dataset.state !== state) this.dataset.state = state;
    setText(this.#text, textOf(state, heardAt === null ? null : now - heardAt));
  }
}

function textOf(state, silentMs) {
  if (state === "live") return "Live";
  if (state === "opening") return "Connecting";
  const heard = silentMs === null ? "not heard yet" : `last heard ${words(Math.max(1000, silentMs))} ago`;
  return state === "away" ? `Server away, ${heard}` : heard[0].toUpperCase() + heard.slice(1);
}

customElements.define("connection-state", ConnectionState);
