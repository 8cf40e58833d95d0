// The clocks of the service's logs, told by the browser's monotonic one.

export class Clocks {
  #offsets = new Map();

  /** Takes the clocks anew, as a beat tells them. `now` is when it came. */
  note(logs, now = performance.now()) {
    for (const [log, standing] of Object.entries(logs)) this.#offsets.set(log, standing.now_ms - now);
    for (const log of this.#offsets.keys()) if (!(log in logs)) this.#offsets.delete(log);
  }

  /** What a log's clock shows; null while that is not known. A timer of an unknown log is in the only one there is. */
  read(log, now = performance.now()) {
    const offset = log === null && this.#offsets.size === 1 ? [...this.#offsets.values()][0] : this.#offsets.get(log);
    return offset === undefined ? null : now + offset;
  }
}
