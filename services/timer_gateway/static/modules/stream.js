// The stream of events, shared by all tabs: one of them reads it and passes each message on.
//
// Browsers have six connections to a host over HTTP/1.1, so a stream for each tab would block the seventh. The tab that
// holds the lock reads; when it is closed the browser gives the lock to another, which goes on after the last message
// that all have seen. A tab in the background may be stopped with the lock in its hands: one that is looked at takes it
// away then. Where there are no locks (a plain http address that is not this machine) a lease stands in their place.

import { Lease } from "./lease.js";

const NAME = "timer-events";
const SILENT_MS = 7000;
const DEAD_MS = 12000;
const NAMED = ["beat", "away", "truncated", "full"];
const LONGEST_PAUSE_MS = 30000;

/** Tells "timer", "beat", "truncated" with the data in `detail`, "state", and "refused" where a token may be needed. */
export class SharedStream extends EventTarget {
  #channel = new BroadcastChannel(NAME);
  #source = null;
  #cursor = "now";
  #pause = 1000;
  #isCut = false;
  #isAway = false;
  #heardAt = null;
  #saidAt = null;
  #lastBeat = null;
  #reopening = null;
  #lease = navigator.locks ? null : new Lease();

  /** When anything was heard last, on the monotonic clock; null before. */
  get heardAt() {
    return this.#heardAt;
  }

  /** "live", "away" (the gateway answers, the server does not), "cut", or "opening" before the first message. */
  get state() {
    if (this.#isCut) return "cut";
    if (this.#isAway) return "away";
    if (this.#heardAt === null) return "opening";
    return performance.now() - this.#heardAt > SILENT_MS ? "cut" : "live";
  }

  /** Listens to what another tab reads, and reads itself once this one is to. The first beat says that no event is missed from then on. */
  start() {
    this.#channel.addEventListener("message", ({ data }) => this.#take(data));
    this.#saidAt = performance.now();
    if (this.#lease === null) this.#readInTurn();
    else this.#readByLease();
    this.#channel.postMessage({ kind: "hello" });
  }

  /** Opens the stream anew where it has been silent for too long, as after a sleep, or takes it over from a tab that is. */
  check() {
    if (this.#lease !== null) this.#readByLease();
    if (performance.now() - this.#saidAt <= DEAD_MS) return;
    if (this.#source !== null) this.tryAgain();
    else if (this.#lease === null && !document.hidden) this.#readInTurn({ steal: true });
  }

  /** Opens the stream anew, which shows whether the service can be reached: a network has gone or come. */
  tryAgain() {
    if (this.#source !== null && this.#reopening === null) this.#reopen(0);
  }

  /** Reads once it holds the lock, which it does until it is closed or another tab takes it away. */
  async #readInTurn(options = {}) {
    this.#saidAt = performance.now();
    try {
      await navigator.locks.request(NAME, options, () => {
        this.#open();
        return new Promise(() => {});
      });
    } catch {
      this.#stop();
      this.#readInTurn();
    }
  }

  #readByLease() {
    if (!this.#lease.renew()) this.#stop();
    else if (this.#source === null) this.#open();
  }

  #stop() {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#reopening);
    this.#reopening = null;
  }

  #open() {
    this.#source?.close();
    this.#reopening = null;
    this.#saidAt = performance.now();
    this.#source = new EventSource(`/events?after=${encodeURIComponent(this.#cursor)}`);
    this.#source.onmessage = (message) => this.#pass("timer", message);
    for (const kind of NAMED) this.#source.addEventListener(kind, (message) => this.#pass(kind, message));
    this.#source.onerror = () => {
      const { readyState } = this.#source;
      this.#send({ kind: "cut" });
      if (readyState === EventSource.CLOSED) this.#reopen(this.#nextPause());
    };
  }

  #reopen(pause) {
    this.#source.close();
    if (this.#reopening !== null) clearTimeout(this.#reopening);
    this.#reopening = setTimeout(() => {
      this.dispatchEvent(new Event("refused"));
      this.#open();
    }, pause);
  }

  #nextPause() {
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    return this.#pause;
  }

  #pass(kind, message) {
    this.#pause = 1000;
    this.#saidAt = performance.now();
    this.#send({ kind, cursor: message.lastEventId, data: JSON.parse(message.data) });
  }

  #send(told) {
    this.#channel.postMessage(told);
    this.#take(told);
  }

  #take({ kind, cursor, data }) {
    if (kind === "hello") {
      // A new tab shall not wait for the next beat to know that all is well.
      if (this.#source !== null && this.#lastBeat) this.#channel.postMessage(this.#currentBeat());
      return;
    }
    if (this.#source === null) this.#saidAt = performance.now();
    const before = this.state;
    if (cursor) this.#cursor = cursor;
    this.#isCut = kind === "cut";
    if (kind !== "cut") {
      this.#isAway = kind === "away" || (this.#isAway && kind === "full");
      if (kind !== "away" && kind !== "full") this.#heardAt = performance.now();
    }
    if (kind === "beat") this.#lastBeat = { at: performance.now(), data };
    if (["timer", "beat", "truncated"].includes(kind)) this.dispatchEvent(new CustomEvent(kind, { detail: data }));
    if (before !== this.state) this.dispatchEvent(new CustomEvent("state", { detail: { before } }));
  }

  #currentBeat() {
    const { at, data } = this.#lastBeat;
    const passed = Math.round(performance.now() - at);
    const logs = Object.fromEntries(
      Object.entries(data.logs).map(([log, standing]) => [log, { ...standing, now_ms: standing.now_ms + passed }]),
    );
    return this.state === "live" ? { kind: "beat", cursor: this.#cursor, data: { logs } } : { kind: "cut" };
  }
}
