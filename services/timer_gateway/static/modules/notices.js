// <notice-stack>: short notices at the edge of the page, each with at most one thing to do.

import { h } from "./elements.js";

const SHOWN_MS = 8000;
const MOST = 3;

export class NoticeStack extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "status");
    this.setAttribute("aria-live", "polite");
  }

  /** Shows a notice for a while; `action` is {name, run}. Returns what closes it. */
  show(text, action = null, kind = "plain") {
    const notice = h("div", { class: "notice", "data-kind": kind }, h("span", {}, text));
    let waiting = null;
    const close = () => {
      clearTimeout(waiting);
      notice.remove();
    };
    const wait = () => {
      clearTimeout(waiting);
      waiting = setTimeout(close, SHOWN_MS);
    };
    if (action) notice.append(h("button", { type: "button", click: action.run }, action.name));
    notice.append(h("button", { type: "button", class: "close", click: close }, h("span", { "aria-hidden": "true" }, "×"), h("span", { class: "unseen" }, "Close")));
    // Whoever reads or reaches for it has the time for that.
    for (const event of ["pointerenter", "focusin"]) notice.addEventListener(event, () => clearTimeout(waiting));
    for (const event of ["pointerleave", "focusout"]) notice.addEventListener(event, wait);
    this.append(notice);
    while (this.children.length > MOST) this.firstElementChild.remove();
    wait();
    return { close };
  }

  fault(text) {
    return this.show(text, null, "fault");
  }
}

customElements.define("notice-stack", NoticeStack);
