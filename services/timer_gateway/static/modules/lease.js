// Which tab reads the stream where browsers have no locks: over plain http from another machine.

import { newName } from "./service.js";

const KEY = "reader";
const HELD_MS = 5000;

/** The right to read, as all tabs see it: whoever renews it each second has it, and with none it is anybody's. */
export class Lease {
  #name = newName();

  constructor() {
    addEventListener("pagehide", () => {
      if (this.#isMine(read())) localStorage.removeItem(KEY);
    });
  }

  /** Renews it, or takes it where nobody has it; whether this tab has it. To be called each second. */
  renew() {
    const now = Date.now();
    const kept = read();
    const until = Number(kept.split(" ")[1]);
    // Of two that take it at once the later one has it, which the other sees a second later.
    if (!this.#isMine(kept) && until > now && until <= now + HELD_MS) return false;
    try {
      localStorage.setItem(KEY, `${this.#name} ${now + HELD_MS}`);
    } catch {
      // a browser that keeps nothing: each tab reads for itself
    }
    return true;
  }

  #isMine(kept) {
    return kept.startsWith(`${this.#name} `);
  }
}

function read() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}
