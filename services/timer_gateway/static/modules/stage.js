// <timer-stage>: one timer on the whole screen.

import { moment } from "./amounts.js";
import { Controls } from "./controls.js";
import { h, icon, setText } from "./elements.js";
import { drawRing } from "./ring.js";
import { call } from "./service.js";

export class TimerStage extends HTMLElement {
  #book;
  #id;
  #controls;
  #ring = h("time-ring");
  #name = h("h1", {});
  #ends = h("p", { class: "ends" });
  #fault = h("p", { class: "empty" });
  #payload = h("pre", {});
  #details = h("details", { hidden: true }, h("summary", {}, "Payload"), this.#payload);
  #wakeLock = null;
  #update = ({ detail }) => {
    if (detail.id === this.#id) this.#show();
  };

  /** To be called once, before it is shown. */
  prepare(id, book, actions) {
    this.#id = id;
    this.#book = book;
    this.#controls = new Controls(actions, id);
    const back = h("a", { class: "icon", href: "#/", title: "Back (Esc)" }, icon("cancel"), h("span", { class: "unseen" }, "Back to all timers"));
    const full = h("button", { type: "button", class: "icon", title: "Whole screen (f)", click: () => this.toggleFullScreen() }, icon("stage"), h("span", { class: "unseen" }, "Whole screen"));
    this.append(h("div", { class: "head" }, this.#name, full, back), this.#ring, this.#ends, this.#fault, this.#controls.element, this.#details);
  }

  async connectedCallback() {
    this.#book.addEventListener("change", this.#update);
    this.#show();
    this.#stayAwake();
    try {
      const timer = await call("timer.get", { id: this.#id });
      this.#book.takeAnswer(timer);
      this.#show();
      if (timer.payload === null) return;
      this.#payload.textContent = JSON.stringify(timer.payload, null, 2);
      this.#details.hidden = false;
    } catch (error) {
      if (this.#book.get(this.#id) === undefined) setText(this.#fault, error.message);
    }
  }

  disconnectedCallback() {
    this.#book.removeEventListener("change", this.#update);
    this.#wakeLock?.release();
    if (document.fullscreenElement) document.exitFullscreen();
  }

  get timerId() {
    return this.#id;
  }

  draw(now) {
    const entry = this.#book.get(this.#id);
    if (entry) drawRing(this.#ring, entry, this.#book, now);
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.();
  }

  #show() {
    const entry = this.#book.get(this.#id);
    setText(this.#name, entry?.name ?? this.#id);
    this.#name.title = this.#id;
    this.#ring.hidden = entry === undefined;
    this.#fault.hidden = entry !== undefined;
    this.#controls.element.hidden = entry === undefined;
    if (entry === undefined) return;
    const due = this.#book.dueDate(entry);
    setText(this.#ends, due ? `ends ${moment(due)}` : "");
    this.#controls.update(entry);
    this.draw(performance.now());
  }

  /** Keeps the screen on while it is watched, where the browser can. */
  async #stayAwake() {
    try {
      this.#wakeLock = await navigator.wakeLock?.request("screen");
      if (!this.isConnected) this.#wakeLock?.release();
    } catch {
      // a battery that is low, or a tab in the background
    }
  }
}

customElements.define("timer-stage", TimerStage);
