// The buttons of one timer, which a card and the stage share.

import { h, icon, setText } from "./elements.js";

/** A row of buttons for a timer. `update` shows those that its state allows. */
export class Controls {
  #toggle;
  #runningOnly;

  constructor(actions, id) {
    this.#toggle = this.#button("pause", "Pause", "Pause or resume (Space)", () => actions.toggle(id));
    this.#runningOnly = [
      this.#toggle,
      this.#amount("+1", "Add a minute", () => actions.extend(id, 1)),
      this.#amount("+5", "Add 5 minutes", () => actions.extend(id, 5)),
    ];
    this.cancel = this.#button("cancel", "Cancel", "Cancel (x)", () => actions.cancel(id));
    const restart = this.#button("restart", "Restart", "Restart (r)", () => actions.restart(id));
    this.element = h("div", { class: "controls", "data-needs": "change" }, ...this.#runningOnly, restart, this.cancel);
  }

  update(entry) {
    for (const button of [...this.#runningOnly, this.cancel]) button.hidden = entry.hasEnded;
    const isPaused = entry.timer.state === "paused";
    if (this.#toggle.dataset.shows === String(isPaused)) return;
    this.#toggle.dataset.shows = String(isPaused);
    this.#toggle.firstChild.replaceWith(icon(isPaused ? "play" : "pause"));
    setText(this.#toggle.lastChild, isPaused ? "Resume" : "Pause");
  }

  #button(drawing, name, title, run) {
    return h("button", { type: "button", class: "icon", title, click: run }, icon(drawing), h("span", { class: "unseen" }, name));
  }

  #amount(text, name, run) {
    return h("button", { type: "button", class: "icon amount", title: name, click: run }, h("span", { "aria-hidden": "true" }, text), h("span", { class: "unseen" }, name));
  }
}
