// <queue-list>: the queues, how full they are, and their dead letters, which can be revived.

import { words } from "./amounts.js";
import { h, setText } from "./elements.js";
import { figure } from "./plans.js";
import { call } from "./service.js";

const LETTERS = 50;

export class QueueList extends HTMLElement {
  #notices;
  #opened = new Set();
  #rows = h("ul", { class: "records", "aria-label": "Queues" });
  #state = h("p", { class: "empty" }, "Reading the queues …");

  prepare(notices) {
    this.#notices = notices;
    this.append(h("h1", {}, "Queues"), h("p", { class: "lead" }, "Ends of timers, shared among workers."), this.#state, this.#rows);
  }

  async refresh() {
    try {
      const { queues } = await call("queue.list", { limit: 200 });
      const rows = await Promise.all(queues.map((queue) => this.#row(queue)));
      this.#rows.replaceChildren(...rows);
      setText(this.#state, queues.length ? "" : "There are no queues. The command `timer queue put` makes one.");
    } catch (error) {
      setText(this.#state, error.message);
    }
    this.#state.hidden = this.#state.textContent === "";
  }

  async #row(queue) {
    const { queue: name, dead } = queue;
    const isOpen = this.#opened.has(name) && dead > 0;
    const letters = isOpen ? await this.#letters(name) : null;
    const open = h("button", { type: "button", class: "quiet", "data-needs": "take", "aria-expanded": String(isOpen), click: () => this.#toggle(name) }, "Dead letters", h("span", { class: "unseen" }, ` of ${name}`));
    const revive = h("button", { type: "button", class: "quiet", "data-needs": "take", click: () => this.#revive(name, null) }, "Revive all", h("span", { class: "unseen" }, ` of ${name}`));
    return h(
      "li",
      { "data-state": dead ? "dead" : "well" },
      h("div", { class: "title" }, h("h2", {}, name), h("span", { class: "badge" }, queue.prefix === "" ? "all timers" : queue.prefix)),
      h("dl", {}, ...["ready", "leased", "delayed", "dead", "dropped"].flatMap((each) => figure(each, queue[each])), ...figure("oldest ready", queue.oldest_ready_ms === null ? "–" : words(queue.oldest_ready_ms))),
      dead ? h("div", { class: "controls" }, open, revive) : null,
      letters,
    );
  }

  async #letters(name) {
    const { dead } = await call("queue.dead", { queue: name, limit: LETTERS });
    const rows = dead.map(({ receipt, attempts, reason, event }) =>
      h(
        "li",
        {},
        h("span", { class: "name", title: event.timer.id }, event.timer.label || event.timer.id),
        h("span", { class: "when" }, `${reason ?? "no reason given"}, ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`),
        h("button", { type: "button", class: "quiet", "data-needs": "take", click: () => this.#revive(name, [receipt]) }, "Revive", h("span", { class: "unseen" }, ` ${event.timer.id}`)),
      ),
    );
    return h("ul", { class: "ended", "aria-label": `Dead letters of ${name}` }, ...rows);
  }

  #toggle(name) {
    if (!this.#opened.delete(name)) this.#opened.add(name);
    return this.refresh();
  }

  async #revive(queue, receipts) {
    try {
      let revived = 0;
      let page = { next: null };
      do {
        page = await call("queue.revive", receipts ? { queue, receipts } : { queue, ...(page.next ? { after: page.next } : {}) });
        revived += page.done.length;
      } while (!receipts && page.next !== null);
      this.#notices.show(`${revived} ${revived === 1 ? "letter is" : "letters are"} ready again.`);
    } catch (error) {
      this.#notices.fault(error.message);
    }
    await this.refresh();
  }
}

customElements.define("queue-list", QueueList);
