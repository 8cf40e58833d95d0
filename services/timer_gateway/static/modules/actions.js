// What a person does with timers: each change once, its answer into the book, and a way back from cancelling.

import { call, newName } from "./service.js";

export class Actions {
  #book;
  #notices;
  #lastUndo = null;
  prefix = "";

  constructor(book, notices) {
    this.#book = book;
    this.#notices = notices;
  }

  /** Starts a timer; returns whether it did. `time` is what `readTime` gives. */
  async start(time, label) {
    const { seconds, at, zone } = time;
    const what = at ? { at, zone } : { seconds };
    const id = `${this.prefix}page-${newName()}`;
    const timer = await this.#ask("timer.start", { id, label, ...what });
    return timer !== null;
  }

  async toggle(id) {
    const entry = this.#book.get(id);
    if (entry === undefined || entry.hasEnded) return;
    await this.#change(entry.timer.state === "paused" ? "timer.resume" : "timer.pause", id);
  }

  async extend(id, minutes) {
    await this.#change("timer.extend", id, { minutes });
  }

  async restart(id) {
    await this.#change("timer.restart", id);
  }

  /** Ends a timer at once, for everybody; a notice offers to take that back. */
  async cancel(id) {
    const entry = this.#book.get(id);
    if (entry === undefined || entry.hasEnded) return;
    const { timer: before, name } = entry;
    if ((await this.#change("timer.cancel", id)) === null) return;
    let notice = null;
    const undo = async () => {
      if (this.#lastUndo === undo) this.#lastUndo = null;
      notice.close();
      await this.#bringBack(before);
    };
    this.#lastUndo = undo;
    notice = this.#notices.show(`“${name}” is cancelled.`, { name: "Undo", run: undo });
  }

  /** Takes the last cancelling back. */
  async undo() {
    await this.#lastUndo?.();
  }

  /** Has a cancelled timer end when it was to end, or stand where it stood. */
  async #bringBack(before) {
    const { id } = before;
    let timer = await this.#change("timer.restart", id);
    if (timer === null) return;
    if (before.state === "paused") {
      timer = await this.#change("timer.pause", id);
      if (timer !== null) await this.#shift(id, before.remaining_ms - timer.remaining_ms);
      return;
    }
    const shift = before.due_at_ms - timer.due_at_ms;
    if (timer.remaining_ms + shift > 0) return this.#shift(id, shift);
    await this.#change("timer.cancel", id);
    this.#notices.fault("Its time has passed meanwhile, so it stays cancelled.");
  }

  async #shift(id, ms) {
    if (ms !== 0) await this.#change("timer.extend", id, { seconds: ms / 1000 });
  }

  #change(method, id, more = {}) {
    return this.#ask(method, { id, ...more, ...(KEYED.has(method) ? { key: newName() } : {}) });
  }

  /** The timer as it is after a request; null where it was refused, which is told. */
  async #ask(method, params) {
    try {
      const timer = await call(method, params);
      this.#book.takeAnswer(timer);
      return timer;
    } catch (error) {
      this.#notices.fault(error.message);
      return null;
    }
  }
}

const KEYED = new Set(["timer.pause", "timer.resume", "timer.cancel", "timer.extend", "timer.restart"]);
