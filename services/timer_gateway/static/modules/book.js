// The timers that the page knows: from a list, and from the events since.

import { nameOf } from "./names.js";

const MOST_RUNNING = 1000;
const MOST_ENDED = 50;
const ENDED_SHOWN_MS = 60 * 60 * 1000;
const FEW_RUNNING = 100;

/** A timer as it was last told, with what it takes to tell how much of it is left. */
class Entry {
  constructor(timer, log, seq, anchor) {
    this.timer = timer;
    this.log = log;
    this.seq = seq;
    /** When it is due on the browser's monotonic clock, as far as the reply or event alone can tell. */
    this.dueByReply = anchor;
    this.endedAt = null;
  }

  get isRunning() {
    return this.timer.state === "running";
  }

  get hasEnded() {
    return this.timer.state === "fired" || this.timer.state === "cancelled";
  }

  get name() {
    return nameOf(this.timer);
  }
}

/** Tells "change" where a timer is another or gone, with {id, event}, and "list" where all may be. */
export class Book extends EventTarget {
  #entries = new Map();
  #clocks;
  /** Whether there are running timers that are not in here, as they are due later. */
  hasMore = false;

  constructor(clocks) {
    super();
    this.#clocks = clocks;
  }

  get(id) {
    return this.#entries.get(id);
  }

  all() {
    return [...this.#entries.values()];
  }

  /** Whether the list should be read anew: most of those that were listed have ended, and there are others. */
  get isRunningDry() {
    return this.hasMore && this.all().filter((entry) => entry.isRunning).length < FEW_RUNNING;
  }

  remainingMs(entry, now = performance.now()) {
    const { timer } = entry;
    if (timer.state !== "running") return timer.remaining_ms;
    const clock = this.#clocks.read(entry.log, now);
    const left = clock === null ? entry.dueByReply - now : timer.due_at_ms - clock;
    return Math.min(Math.max(left, 0), timer.duration_ms);
  }

  /** The moment at which a timer is due, by the clock of this machine; null while it does not run. */
  dueDate(entry) {
    return entry.isRunning ? new Date(Date.now() + this.remainingMs(entry)) : null;
  }

  /** How long ago a timer has ended. */
  endedMs(entry, now = performance.now()) {
    const clock = this.#clocks.read(entry.log, now);
    return Math.max(0, clock === null ? now - entry.endedAt : clock - entry.timer.ended_at_ms);
  }

  /** Takes a list in place of what was known. What events have told since the list was asked for is newer. */
  takeList(timers, hasMore, since, now = performance.now()) {
    const before = this.#entries;
    this.#entries = new Map();
    for (const timer of timers) {
      const known = before.get(timer.id);
      if (known !== undefined && known.timer.version >= timer.version && known.toldAt >= since) continue;
      this.#put(new Entry(timer, known?.log ?? null, null, now + timer.remaining_ms), now);
    }
    for (const [id, entry] of before) if (entry.toldAt >= since && !this.#entries.has(id)) this.#entries.set(id, entry);
    this.hasMore = hasMore;
    this.dispatchEvent(new Event("list"));
  }

  /** Takes the answer to a request about one timer. */
  takeAnswer(timer, now = performance.now()) {
    const known = this.#entries.get(timer.id);
    if (known !== undefined && known.timer.version >= timer.version) return;
    this.#put(new Entry(timer, known?.log ?? null, known?.seq ?? null, now + timer.remaining_ms), now);
    this.#tell(timer.id, null);
  }

  takeEvent(event, now = performance.now()) {
    const { timer, log, seq } = event;
    const known = this.#entries.get(timer.id);
    if (known !== undefined && !isNewer(event, known)) {
      if (known.timer.version === timer.version) Object.assign(known, { log, seq });
      return;
    }
    this.#put(new Entry(timer, log, seq, now + timer.remaining_ms), now);
    this.#bound();
    this.#tell(timer.id, event);
  }

  /** Leaves out the ended timers that have been shown long enough. */
  forgetEnded() {
    for (const [id, entry] of this.#entries) {
      if (!entry.hasEnded || this.endedMs(entry) < ENDED_SHOWN_MS) continue;
      this.#entries.delete(id);
      this.#tell(id, null);
    }
  }

  #put(entry, now) {
    entry.toldAt = now;
    if (entry.hasEnded) entry.endedAt = now;
    this.#entries.set(entry.timer.id, entry);
  }

  #tell(id, event) {
    this.dispatchEvent(new CustomEvent("change", { detail: { id, event } }));
  }

  /** Keeps no more than the page can bear: those that are due last go, and those that ended first. */
  #bound() {
    if (this.#entries.size <= MOST_RUNNING) return;
    const ended = this.all().filter((entry) => entry.hasEnded);
    ended.sort((a, b) => a.timer.ended_at_ms - b.timer.ended_at_ms);
    for (const entry of ended.slice(0, -MOST_ENDED)) this.#entries.delete(entry.timer.id);
    const running = this.all().filter((entry) => !entry.hasEnded);
    if (running.length <= MOST_RUNNING) return;
    running.sort((a, b) => this.remainingMs(a) - this.remainingMs(b));
    for (const entry of running.slice(MOST_RUNNING)) this.#entries.delete(entry.timer.id);
    this.hasMore = true;
    this.dispatchEvent(new Event("list"));
  }
}

/** Whether an event tells more than what is known. Within a log `seq` tells; a timer that was forgotten begins anew. */
function isNewer(event, known) {
  if (known.log === event.log && known.seq !== null) return event.seq > known.seq;
  if (event.timer.version > known.timer.version) return true;
  return event.kind === "started" && known.hasEnded && event.at_ms >= known.timer.ended_at_ms;
}
