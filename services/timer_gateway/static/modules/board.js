// <timer-board>: the timers as rings by due time, a filter, and what has ended lately.

import { words } from "./amounts.js";
import { h, icon, setText } from "./elements.js";

const PAGE = 60;
const ENDED = 8;

export class TimerBoard extends HTMLElement {
  #book;
  #actions;
  #cards = new Map();
  #shown = PAGE;
  #isArranging = false;
  #grid = h("ul", { class: "rings", "aria-label": "Timers by due time" });
  #count = h("h2", {});
  #filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter timers by name or id", title: "Filter (/)", spellcheck: "false" });
  #more = h("button", { type: "button", class: "quiet", click: () => this.#showMore() });
  #beyond = h("p", { class: "beyond" });
  #toolbar = h("div", { class: "toolbar" });
  #emptyTitle = h("strong", {});
  #emptyText = h("span", {});
  #empty = h("div", { class: "empty" }, this.#emptyTitle, this.#emptyText);
  #ended = h("ul", { class: "ended", "aria-label": "Ended lately" });
  #endedPart = h("section", { hidden: true }, h("h2", {}, "Ended lately"), this.#ended);
  #arrange = () => this.arrange();

  /** To be called once, before it is shown. */
  prepare(book, actions) {
    this.#book = book;
    this.#actions = actions;
    this.#filter.addEventListener("input", this.#arrange);
    const search = h("label", { class: "search" }, icon("search"), this.#filter);
    this.#toolbar.append(this.#count, search);
    this.append(
      h("section", {}, this.#toolbar, this.#empty, this.#grid, this.#more, this.#beyond),
      this.#endedPart,
    );
    for (const event of ["change", "list"]) book.addEventListener(event, () => this.#arrangeSoon());
    this.arrange();
  }

  /** Also where there is nothing to filter yet: what is typed then must not be taken for keys. */
  focusFilter() {
    this.#toolbar.hidden = false;
    this.#filter.focus();
    this.#filter.select();
  }

  /** The card that keys act on: the one with the focus, or else the first. */
  get current() {
    return document.activeElement?.closest?.("timer-card") ?? this.#grid.querySelector("timer-card");
  }

  /** Moves the focus by so many cards. */
  move(by) {
    const cards = [...this.#grid.querySelectorAll("timer-card")];
    const at = cards.indexOf(document.activeElement?.closest?.("timer-card"));
    const next = cards[at < 0 ? 0 : Math.min(Math.max(at + by, 0), cards.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  draw(now) {
    for (const card of this.#cards.values()) card.draw(now);
  }

  /** Tells how long ago the ended ones ended. */
  drawEnded() {
    for (const row of this.#ended.children) {
      const entry = this.#book.get(row.dataset.timer);
      if (entry?.hasEnded) setText(row.querySelector(".when"), endedText(entry, this.#book));
    }
  }

  /** Puts every timer in its place. */
  arrange() {
    this.#isArranging = false;
    const wanted = this.#filter.value.trim().toLowerCase();
    const fitting = this.#book.all().filter((entry) => wanted === "" || fits(entry, wanted));
    const now = performance.now();
    const active = fitting.filter((entry) => !entry.hasEnded);
    active.sort((a, b) => b.isRunning - a.isRunning || this.#book.remainingMs(a, now) - this.#book.remainingMs(b, now) || (a.timer.id < b.timer.id ? -1 : 1));
    this.#arrangeCards(active.slice(0, this.#shown));
    this.#tellCounts(active, wanted);
    this.#arrangeEnded(fitting.filter((entry) => entry.hasEnded));
  }

  #arrangeSoon() {
    if (this.#isArranging) return;
    this.#isArranging = true;
    setTimeout(this.#arrange, 0); // one change may come with a hundred others
  }

  #arrangeCards(entries) {
    const focused = document.activeElement;
    const before = new Map(this.#cards);
    let place = this.#grid.firstElementChild;
    for (const entry of entries) {
      const { id } = entry.timer;
      const card = before.get(id) ?? this.#newCard(id);
      before.delete(id);
      card.update(entry);
      const item = card.parentElement;
      if (item === place) place = place.nextElementSibling;
      else this.#grid.insertBefore(item, place);
    }
    for (const [id, card] of before) this.#remove(id, card);
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  #newCard(id) {
    const card = document.createElement("timer-card");
    card.prepare(id, this.#book, this.#actions);
    h("li", {}, card);
    this.#cards.set(id, card);
    return card;
  }

  #remove(id, card) {
    const item = card.parentElement;
    const hadFocus = item.contains(document.activeElement);
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    this.#cards.delete(id);
    if (hadFocus) neighbour?.querySelector("timer-card").focus();
  }

  #tellCounts(active, wanted) {
    const running = active.filter((entry) => entry.isRunning).length;
    const paused = active.length - running;
    setText(this.#count, `${running}${this.#book.hasMore ? "+" : ""} running${paused ? `, ${paused} paused` : ""}`);
    const hidden = active.length - this.#shown;
    this.#more.hidden = hidden <= 0;
    setText(this.#more, `Show ${Math.min(hidden, PAGE)} more`);
    this.#beyond.hidden = !this.#book.hasMore;
    setText(this.#beyond, "There are more timers, which are due later.");
    this.#empty.hidden = active.length > 0;
    this.#toolbar.hidden = active.length === 0 && !wanted && document.activeElement !== this.#filter;
    setText(this.#emptyTitle, wanted ? `No timer fits “${wanted}”` : "Nothing is running");
    setText(this.#emptyText, wanted ? "The filter looks at names and ids." : "Write a time above, such as 25m, or start a timer anywhere: it is here at once.");
  }

  #arrangeEnded(entries) {
    entries.sort((a, b) => this.#book.endedMs(a) - this.#book.endedMs(b));
    const rows = entries.slice(0, ENDED).map((entry) => this.#endedRow(entry));
    this.#ended.replaceChildren(...rows);
    this.#endedPart.hidden = rows.length === 0;
  }

  #endedRow(entry) {
    const { id, state } = entry.timer;
    return h(
      "li",
      { "data-timer": id, "data-state": state },
      h("span", { class: "mark", "aria-hidden": "true" }),
      h("a", { class: "name", href: `#/timer/${encodeURIComponent(id)}`, title: id }, entry.name),
      h("span", { class: "when" }, endedText(entry, this.#book)),
      h("button", { type: "button", class: "quiet", "data-needs": "change", click: () => this.#actions.restart(id) }, "Restart", h("span", { class: "unseen" }, ` ${entry.name}`)),
    );
  }

  #showMore() {
    this.#shown += PAGE;
    this.arrange();
  }
}

function fits(entry, wanted) {
  return entry.name.toLowerCase().includes(wanted) || entry.timer.id.toLowerCase().includes(wanted);
}

function endedText(entry, book) {
  const what = entry.timer.state === "fired" ? "ended" : "cancelled";
  const passed = book.endedMs(entry);
  return passed < 5000 ? `${what} just now` : `${what} ${words(passed < 60_000 ? passed : passed - (passed % 60_000))} ago`;
}

customElements.define("timer-board", TimerBoard);
