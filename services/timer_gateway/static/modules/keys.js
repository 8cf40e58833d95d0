// Keys, and the sheet that tells them.

import { h } from "./elements.js";
import { choose, chosen } from "./settings.js";

const TOLD = [
  ["n", "write a new timer"],
  ["/", "filter"],
  ["← →", "go from timer to timer"],
  ["Space", "pause or resume"],
  ["1 or +", "add a minute"],
  ["5", "add 5 minutes"],
  ["r", "restart"],
  ["x", "cancel"],
  ["u", "undo the cancelling"],
  ["s", "one timer, full screen"],
  ["f", "the whole screen, there"],
  ["m", "sound on or off"],
  ["d", "dark or light"],
  ["Esc", "back"],
  ["?", "this sheet"],
];

/** Runs what is bound to a key, where nobody is writing. `bindings` maps keys to functions. */
export class Keys {
  #bindings;
  #sheet = null;
  isOn = chosen("keys", "on") === "on";

  constructor(bindings) {
    this.#bindings = { ...bindings, "?": () => this.toggleSheet() };
    addEventListener("keydown", (event) => this.#take(event));
  }

  toggleSheet() {
    if (this.#sheet) this.#sheet.close();
    else this.#open();
  }

  #take(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isWriting = event.target.closest("input, textarea, select");
    if (isWriting && event.key === "Escape") event.target.blur();
    if (isWriting || (!this.isOn && event.key !== "Escape")) return;
    if (document.querySelector("dialog[open]") && !(this.#sheet && event.key === "?")) return; // a sheet closes by Escape itself
    if ([" ", "Enter"].includes(event.key) && event.target.closest("button, a, summary")) return;
    const run = this.#bindings[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run || event.repeat) return;
    event.preventDefault();
    run();
  }

  #open() {
    const isOn = h("input", { type: "checkbox", change: () => this.#turn(isOn.checked) });
    isOn.checked = this.isOn;
    const list = h("dl", {}, ...TOLD.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))));
    const close = h("button", { class: "primary" }, "Close");
    this.#sheet = h(
      "dialog",
      { class: "sheet", "aria-labelledby": "sheet-title" },
      h("form", { method: "dialog" }, h("h2", { id: "sheet-title", tabindex: -1, autofocus: true }, "Keys"), list, h("label", { class: "check" }, isOn, "Keys without Ctrl are on"), close),
    );
    this.#sheet.addEventListener("close", () => {
      this.#sheet.remove();
      this.#sheet = null;
    });
    document.body.append(this.#sheet);
    this.#sheet.showModal();
  }

  #turn(isOn) {
    this.isOn = isOn;
    choose("keys", isOn ? "on" : "off");
  }
}
