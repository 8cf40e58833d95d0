// <timer-card>: one timer among others.

import { moment, words } from "./amounts.js";
import { Controls } from "./controls.js";
import { h, icon, setText } from "./elements.js";
import { drawRing } from "./ring.js";

export class TimerCard extends HTMLElement {
  #book;
  #entry = null;
  #ring = h("time-ring");
  #name = h("a", { class: "name" });
  #id = h("span", { class: "id" });
  #ends = h("p", { class: "ends" });
  #stage = h("a", { class: "icon", title: "Full screen (s)" }, icon("stage"), h("span", { class: "unseen" }, "Full screen"));
  #controls;

  /** To be called once, before it is shown. */
  prepare(id, book, actions) {
    this.#book = book;
    this.#controls = new Controls(actions, id);
    this.dataset.timer = id;
    this.tabIndex = -1;
    const link = `#/timer/${encodeURIComponent(id)}`;
    this.#name.href = link;
    this.#stage.href = link;
    this.append(
      h("div", { class: "head" }, h("h3", {}, this.#name, this.#id), this.#stage),
      this.#ring,
      this.#ends,
      this.#controls.element,
    );
  }

  get timerId() {
    return this.dataset.timer;
  }

  /** Takes the timer as it is now. */
  update(entry) {
    this.#entry = entry;
    setText(this.#name, entry.name);
    const { id } = entry.timer;
    setText(this.#id, entry.name === id ? "" : id);
    this.#name.title = entry.name === id ? id : `${entry.name} (${id})`;
    const due = this.#book.dueDate(entry);
    setText(this.#ends, due ? `ends ${moment(due)}` : `of ${words(entry.timer.duration_ms)}`);
    this.#controls.update(entry);
    this.draw(performance.now());
  }

  /** Draws what is left. */
  draw(now) {
    if (this.#entry) drawRing(this.#ring, this.#entry, this.#book, now);
  }
}

customElements.define("timer-card", TimerCard);
