// <start-form>: a time, a name, and what is often wanted.

import { moment, readTime, words } from "./amounts.js";
import { h, setText } from "./elements.js";

const PRESETS = ["1m", "5m", "10m", "25m", "1h"];

export class StartForm extends HTMLElement {
  #actions;
  #time = h("input", { id: "start-time", name: "time", class: "time", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "25m", "aria-describedby": "start-hint", maxlength: 64, enterkeyhint: "go" });
  #label = h("input", { id: "start-label", name: "label", autocomplete: "off", placeholder: "Tea", maxlength: 256, enterkeyhint: "go" });
  #hint = h("p", { id: "start-hint", class: "hint" });
  #button = h("button", { class: "primary" }, "Start");

  prepare(actions) {
    this.#actions = actions;
    const form = h(
      "form",
      { autocomplete: "off" },
      h("div", { class: "field" }, h("label", { for: "start-time" }, "Time"), this.#time),
      h("div", { class: "field grows" }, h("label", { for: "start-label" }, "Name"), this.#label),
      this.#button,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start();
    });
    this.#time.addEventListener("input", () => this.#tell());
    const presets = PRESETS.map((preset) => h("button", { type: "button", class: "chip", click: () => this.#startPreset(preset) }, preset));
    this.append(form, h("div", { class: "below" }, this.#hint, h("div", { class: "presets", role: "group", "aria-label": "Start at once" }, ...presets)));
    this.#tell();
  }

  /** Fills the form, as a link does; only a person starts. */
  fill(time, label) {
    this.#time.value = time;
    this.#label.value = label;
    this.#tell();
    this.#button.focus();
  }

  focusTime() {
    this.#time.focus();
    this.#time.select();
  }

  /** Says what a start would do. */
  #tell(fault = null) {
    const given = this.#time.value;
    const time = readTime(given);
    let text = "25m · 1h 30m · 1:30:00 · @14:30";
    if (fault) text = fault;
    else if (time.seconds) text = `${words(time.seconds * 1000)}, ends ${moment(new Date(Date.now() + time.seconds * 1000))}`;
    else if (time.date) text = `ends ${moment(time.date)}, in ${words(time.date - Date.now())}`;
    setText(this.#hint, text);
    this.#hint.classList.toggle("fault", fault !== null);
    this.#time.toggleAttribute("aria-invalid", false);
    if (fault) this.#time.setAttribute("aria-invalid", "true");
  }

  async #start() {
    const time = readTime(this.#time.value);
    if (time.fault) {
      this.#tell(time.fault);
      this.#time.focus();
      return;
    }
    await this.#send(time);
  }

  #startPreset(preset) {
    return this.#send(readTime(preset));
  }

  async #send(time) {
    this.#button.disabled = true;
    try {
      if (!(await this.#actions.start(time, this.#label.value.trim()))) return;
      this.#time.value = "";
      this.#label.value = "";
      this.#tell();
    } finally {
      this.#button.disabled = false;
    }
  }
}

customElements.define("start-form", StartForm);
