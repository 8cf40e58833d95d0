// Tells that timers end: by sound, by notification, by the title, and to screen readers.

import { digits } from "./amounts.js";
import { nameOf } from "./names.js";
import { chosen, choose } from "./settings.js";

const TOLD_BEFORE_MS = [60_000, 10_000];
const LATE_MS = 60_000;
const GATHER_MS = 300;
const CHIME = [
  [0, 659.25],
  [0.18, 830.61],
  [0.36, 987.77],
];

export class Alerts {
  #book;
  #announcements;
  #audio = null;
  #left = new Map();
  #ended = [];
  isLoud = chosen("sound", "on") === "on";

  constructor(book, announcements) {
    this.#book = book;
    this.#announcements = announcements;
    book.addEventListener("change", ({ detail }) => {
      if (detail.event?.kind === "fired") this.#takeEnd(detail.event);
    });
    // Browsers allow sound only to pages that somebody has used.
    const unlock = () => this.#unlock();
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, unlock, { once: true, capture: true });
  }

  setLoud(isLoud) {
    this.isLoud = isLoud;
    choose("sound", isLoud ? "on" : "off");
    if (isLoud) this.#chime();
  }

  /** Whether the browser shows notifications of this page. */
  get notifies() {
    return "Notification" in globalThis && Notification.permission === "granted" && chosen("notify", "on") === "on";
  }

  /** Turns notifications on or off; returns a sentence where the browser does not allow them. */
  async toggleNotifications() {
    if (!("Notification" in globalThis)) return "This browser has no notifications, or only over HTTPS.";
    if (this.notifies) {
      choose("notify", "off");
      return null;
    }
    choose("notify", "on");
    const permission = await Notification.requestPermission();
    return permission === "granted" ? null : "The browser does not allow notifications for this page.";
  }

  /** Counts in the title, and says when little is left. To be called each second. */
  tick(now) {
    const running = this.#book.all().filter((entry) => entry.isRunning);
    running.sort((a, b) => this.#book.remainingMs(a, now) - this.#book.remainingMs(b, now));
    const [first] = running;
    document.title = first ? `${digits(this.#book.remainingMs(first, now))} ${first.name} – Timers` : "Timers";
    const left = new Map(running.slice(0, 20).map((entry) => [entry.timer.id, this.#book.remainingMs(entry, now)]));
    for (const [id, ms] of left) this.#sayLittleLeft(id, this.#left.get(id) ?? ms, ms);
    this.#left = left;
  }

  announce(text) {
    this.#announcements.textContent = text;
  }

  #sayLittleLeft(id, before, now) {
    const passed = TOLD_BEFORE_MS.find((limit) => before > limit && now <= limit);
    if (passed) this.announce(`${this.#book.get(id).name}: ${passed === 60_000 ? "one minute" : "10 seconds"} left`);
  }

  #takeEnd(event) {
    const entry = this.#book.get(event.timer.id);
    if (entry === undefined || this.#book.endedMs(entry) > LATE_MS) return;
    if (!this.#ended.length) setTimeout(() => this.#tellEnds(), GATHER_MS);
    this.#ended.push(event);
  }

  #tellEnds() {
    const ended = this.#ended;
    this.#ended = [];
    const names = ended.slice(0, 3).map(({ timer }) => nameOf(timer));
    const others = ended.length - names.length;
    const text = `${names.join(", ")}${others ? ` and ${others} more` : ""}`;
    this.announce(`${text}: time is up`);
    const [{ timer }] = ended;
    const end = `${timer.id}@${timer.version}`;
    if (this.isLoud && this.#audio?.state === "running") onceInAllTabs(`sound ${end}`, () => this.#chime());
    const notification = { body: text, icon: "/static/icon.svg", tag: timer.id };
    if (this.notifies) onceInAllTabs(`notification ${end}`, () => new Notification("Time is up", notification));
  }

  #unlock() {
    if (!("AudioContext" in globalThis) || this.#audio) return;
    this.#audio = new AudioContext();
    this.#audio.resume();
  }

  #chime() {
    const audio = this.#audio;
    if (audio?.state !== "running") return;
    for (const [after, frequency] of CHIME) {
      const at = audio.currentTime + after;
      const tone = new OscillatorNode(audio, { frequency });
      const volume = new GainNode(audio, { gain: 0 });
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.18, at + 0.015);
      volume.gain.exponentialRampToValueAtTime(0.0005, at + 1.1);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 1.2);
    }
  }
}

/** Runs in the first of the tabs that come with the same name. */
async function onceInAllTabs(name, run) {
  if (!navigator.locks) {
    if (chosen("told", "") === name) return undefined;
    choose("told", name);
    return run();
  }
  return navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    run();
    await new Promise((resolve) => setTimeout(resolve, 3000));
  });
}
