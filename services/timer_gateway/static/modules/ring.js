// <time-ring>: what is left of a timer, as an arc and as digits within it.

import { digits } from "./amounts.js";
import { h, s, setText } from "./elements.js";

const DRAWN_STEP = 0.004; // about two pixels of a card's ring: each step is painted anew

export class TimeRing extends HTMLElement {
  #arc = s("circle", { class: "arc", cx: 50, cy: 50, r: 45, pathLength: 1 });
  #digits = h("span", { class: "digits", role: "timer" });
  #note = h("span", { class: "note" });
  #fraction = null;

  connectedCallback() {
    if (this.firstChild) return;
    const track = s("circle", { class: "track", cx: 50, cy: 50, r: 45 });
    const drawing = s("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, track, this.#arc);
    this.append(drawing, h("div", { class: "inside" }, this.#digits, this.#note));
  }

  /** Draws a fraction of the ring, and the texts in it. `tone` is its colour: running, soon, due or paused. */
  show(fraction, text, note, tone, name) {
    const step = Math.abs(this.#fraction - fraction);
    if (this.#fraction === null || step > DRAWN_STEP || (step && this.#digits.textContent !== text)) {
      this.#fraction = fraction;
      this.#arc.style.strokeDashoffset = String(1 - fraction);
      this.#arc.classList.toggle("none", fraction === 0);
    }
    setText(this.#digits, text);
    setText(this.#note, note);
    if (this.#digits.ariaLabel !== name) this.#digits.ariaLabel = name;
    if (this.dataset.tone !== tone) this.dataset.tone = tone;
    const count = text.length > 8 ? "more" : String(text.length);
    if (this.dataset.digits !== count) this.dataset.digits = count;
  }
}

/** Shows a timer in its ring as it stands now. */
export function drawRing(ring, entry, book, now) {
  const { timer } = entry;
  const left = book.remainingMs(entry, now);
  ring.show(timer.duration_ms ? left / timer.duration_ms : 0, digitsOf(entry, left), noteOf(entry, left), toneOf(entry, left), entry.name);
}

function digitsOf(entry, left) {
  return digits(entry.hasEnded ? 0 : left);
}

function noteOf(entry, left) {
  if (entry.timer.state === "paused") return "paused";
  if (entry.hasEnded) return entry.timer.state === "fired" ? "done" : "cancelled";
  return left <= 0 ? "ending" : "";
}

function toneOf(entry, left) {
  if (!entry.isRunning) return entry.timer.state;
  if (left <= 0) return "due";
  return left <= Math.min(60_000, entry.timer.duration_ms / 5) ? "soon" : "running";
}

customElements.define("time-ring", TimeRing);
