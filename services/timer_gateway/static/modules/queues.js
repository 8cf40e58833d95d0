// <queue-list>: the queues, how full they are, and their dead letters, which can be revived or dropped.

import { words } from "./amounts.js";
import { means } from "./asking.js";
import { h, setText } from "./elements.js";
import { nameOf } from "./names.js";
import { act, arrange, figure, maker } from "./records.js";
import { call } from "./service.js";

const LETTERS = 50;
const FIGURES = ["ready", "leased", "delayed", "dead"];
const ALARMING = ["dead", "dropped"];

export class QueueList extends HTMLElement {
  #notices;
  #scope;
  #known = new Set();
  #opened = new Set();
  #rows = h("ul", { class: "records", "aria-label": "Queues" });
  #state = h("p", { class: "empty" }, "Reading the queues …");
  #name = h("input", { id: "queue-name", required: true, placeholder: "mail", maxlength: 128, pattern: "[A-Za-z0-9._:\\/\\-]+", title: "letters, digits and . _ : / -", spellcheck: "false" });
  #prefix = h("input", { id: "queue-prefix", placeholder: "order/", maxlength: 128, spellcheck: "false", "aria-describedby": "queue-hint" });

  prepare(notices, scope) {
    this.#notices = notices;
    this.#scope = scope;
    const hint = h("p", { class: "hint", id: "queue-hint" }, "It gets the ends of all timers whose ids begin so. Workers take them: timer work mail.");
    this.append(
      h("div", { class: "headline" }, h("h1", {}, "Queues"), h("p", { class: "lead" }, "Ends of timers, shared among workers.")),
      maker("New queue", [["Name", this.#name], ["Ids that begin with", this.#prefix]], hint, () => this.#make()),
      this.#state,
      this.#rows,
    );
  }

  async refresh() {
    try {
      const { queues, next } = await call("queue.list", { limit: 200 });
      this.#known = new Set(queues.map(({ queue }) => queue));
      arrange(this.#rows, await Promise.all(queues.map((queue) => this.#row(queue))));
      setText(this.#state, queues.length ? "" : "There are no queues yet. A queue hands each end to one of its workers, and again until it is acknowledged.");
      if (next !== null) setText(this.#state, "The first 200 queues:");
    } catch (error) {
      setText(this.#state, error.message);
    }
    this.#state.hidden = this.#state.textContent === "";
  }

  async #row(queue) {
    const { queue: name, dead, prefix } = queue;
    const isOpen = this.#opened.has(name) && dead > 0;
    const letters = isOpen ? await this.#letters(name) : null;
    const told = [...FIGURES, ...(queue.dropped ? ["dropped"] : [])].map((each) => figure(each, queue[each], kindOf(each, queue[each])));
    if (queue.oldest_ready_ms !== null) told.push(figure("oldest ready", words(queue.oldest_ready_ms)));
    const forDead = [
      act(isOpen ? "Hide dead letters" : "Dead letters", `of ${name}`, "take", () => this.#toggle(name), { "aria-expanded": String(isOpen) }),
      act("Revive all", `of ${name}`, "take", () => this.#move("queue.revive", name, null)),
    ];
    return h(
      "li",
      { "data-record": name, "data-state": dead ? "dead" : "well", class: isOpen ? "wide" : null },
      h("div", { class: "title" }, h("h2", {}, name), h("span", { class: "badge" }, prefix === "" ? "all timers" : `${prefix}…`)),
      h("dl", {}, ...told),
      h("div", { class: "controls" }, ...(dead ? forDead : []), act("Delete", name, "admin", () => this.#remove(queue), { class: "quiet last" })),
      letters,
    );
  }

  async #letters(name) {
    const { dead } = await call("queue.dead", { queue: name, limit: LETTERS });
    const rows = dead.map(({ receipt, attempts, reason, event: { timer } }) =>
      h(
        "li",
        {},
        h("span", { class: "name", title: timer.id }, nameOf(timer)),
        h("span", { class: "when" }, `${reason ?? "no reason given"}, ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`),
        act("Revive", timer.id, "take", () => this.#move("queue.revive", name, [receipt])),
        act("Drop", timer.id, "take", () => this.#drop(name, receipt, timer)),
      ),
    );
    return h("ul", { class: "ended", "aria-label": `Dead letters of ${name}` }, ...rows);
  }

  #toggle(name) {
    if (!this.#opened.delete(name)) this.#opened.add(name);
    return this.refresh();
  }

  async #make() {
    const typed = this.#name.value.trim();
    const queue = typed.startsWith(this.#scope) ? typed : this.#scope + typed;
    const given = this.#prefix.value.trim();
    const prefix = given.startsWith(this.#scope) ? given : this.#scope + given;
    if (this.#known.has(queue)) {
      this.#notices.fault(`There is a queue ${queue} already.`);
      return false;
    }
    return this.#try(async () => call("queue.put", { queue, prefix }));
  }

  async #remove({ queue, ready, leased, delayed, dead }) {
    const held = ready + leased + delayed + dead;
    const consequence = held ? `${held} ${held === 1 ? "end" : "ends"} in it will be lost.` : "It holds nothing.";
    if (await means(`Delete the queue ${queue}?`, consequence, "Delete")) await this.#try(() => call("queue.delete", { queue }));
  }

  async #drop(queue, receipt, timer) {
    const isMeant = await means(`Drop the letter of ${nameOf(timer)}?`, "No worker will get it.", "Drop");
    if (isMeant) await this.#move("queue.drop", queue, [receipt]);
  }

  /** Moves dead letters, all where there are no receipts, and tells how many. */
  async #move(method, queue, receipts) {
    await this.#try(async () => {
      let count = 0;
      let page = { next: null };
      do {
        page = await call(method, receipts ? { queue, receipts } : { queue, ...(page.next ? { after: page.next } : {}) });
        count += page.done.length;
      } while (!receipts && page.next !== null);
      const done = method === "queue.revive" ? "ready again" : "dropped";
      this.#notices.show(`${count} ${count === 1 ? "letter is" : "letters are"} ${done}.`);
    });
  }

  /** Whether it was done; a refusal is told. */
  async #try(run) {
    try {
      await run();
      return true;
    } catch (error) {
      this.#notices.fault(error.message);
      return false;
    } finally {
      await this.refresh();
    }
  }
}

function kindOf(name, count) {
  if (count === 0) return "none";
  return ALARMING.includes(name) ? "alarming" : null;
}

customElements.define("queue-list", QueueList);
