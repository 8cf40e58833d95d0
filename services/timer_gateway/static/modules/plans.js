// <plan-list>: the plans, when each comes next, and what may be done with them.

import { moment, words } from "./amounts.js";
import { means } from "./asking.js";
import { h, setText } from "./elements.js";
import { act, arrange, figure, maker } from "./records.js";
import { readRule, ruleOf } from "./rules.js";
import { call, newName } from "./service.js";

const PREVIEW_AFTER_MS = 250;
const WAYS = "every 30m · 25m work, 5m rest · 0 9 * * 1-5";

export class PlanList extends HTMLElement {
  #notices;
  #prefix;
  #known = new Set();
  #rows = h("ul", { class: "records", "aria-label": "Plans" });
  #state = h("p", { class: "empty" }, "Reading the plans …");
  #rule = h("input", { id: "plan-rule", required: true, placeholder: "0 9 * * 1-5", maxlength: 256, spellcheck: "false", "aria-describedby": "plan-hint" });
  #name = h("input", { id: "plan-name", required: true, placeholder: "standup", maxlength: 96, pattern: "[A-Za-z0-9._:\\/\\-]+", title: "letters, digits and . _ : / -", spellcheck: "false" });
  #label = h("input", { id: "plan-label", placeholder: "Stand-up", maxlength: 256 });
  #hint = h("p", { class: "hint", id: "plan-hint", role: "status" }, WAYS);
  #previewing = null;

  prepare(notices, prefix) {
    this.#notices = notices;
    this.#prefix = prefix;
    this.#rule.addEventListener("input", () => {
      clearTimeout(this.#previewing);
      this.#previewing = setTimeout(() => this.#preview(), PREVIEW_AFTER_MS);
    });
    const fields = [["Rule", this.#rule], ["Name", this.#name], ["Label of its timers", this.#label]];
    this.append(
      h("div", { class: "headline" }, h("h1", {}, "Plans"), h("p", { class: "lead" }, "Rules that start timers again and again.")),
      maker("New plan", fields, this.#hint, () => this.#make()),
      this.#state,
      this.#rows,
    );
  }

  async refresh() {
    try {
      const page = await call("plan.list", { limit: 200 });
      this.#known = new Set(page.plans.map(({ plan }) => plan));
      arrange(this.#rows, page.plans.map((plan) => this.#row(plan)));
      setText(this.#state, page.plans.length ? "" : "There are no plans yet. A plan starts timers by a rule: every half hour, each weekday at nine, work and rest in turn.");
      if (page.next !== null) setText(this.#state, "The first 200 plans:");
    } catch (error) {
      setText(this.#state, error.message);
    }
    this.#state.hidden = this.#state.textContent === "";
  }

  #row(plan) {
    const { plan: name, counts, pending, state } = plan;
    const toggle = state === "paused" ? ["Resume", "plan.resume"] : ["Pause", "plan.pause"];
    const changes = [
      act(toggle[0], name, "change", () => this.#change(toggle[1], { plan: name })),
      act("Skip next", name, "change", () => this.#change("plan.skip", { plan: name, key: newName() })),
      act("Run now", name, "start", () => this.#change("plan.run", { plan: name, key: newName() })),
    ];
    const next = pending === null ? "–" : h("a", { href: `#/timer/${encodeURIComponent(pending.id)}` }, nextOf(pending));
    const others = ["cancelled", "skipped", "missed"].filter((each) => counts[each]);
    const told = ["fired", ...others].map((each) => figure(each, counts[each], counts[each] ? null : "none"));
    return h(
      "li",
      { "data-record": name, "data-state": state },
      h("div", { class: "title" }, h("h2", {}, name), h("span", { class: "badge" }, state)),
      h("p", { class: "rule" }, ruleOf(plan), plan.label ? ` · ${plan.label}` : ""),
      h("dl", {}, figure("next", next), ...told),
      h("div", { class: "controls" }, ...(state === "finished" ? [] : changes), act("Delete", name, "admin", () => this.#remove(name), { class: "quiet last" })),
    );
  }

  /** Says when a rule would come next, or what is wrong with it. */
  async #preview() {
    const given = this.#rule.value;
    const rule = readRule(given);
    let text = WAYS;
    let isFault = false;
    try {
      if (rule !== null) {
        const { next } = await call("plan.preview", { ...rule, count: 3 });
        text = `comes ${next.map(({ at_ms }) => moment(new Date(at_ms))).join(", ")} …`;
      }
    } catch (error) {
      [text, isFault] = [error.message, true];
    }
    if (given !== this.#rule.value) return;
    setText(this.#hint, text);
    this.#hint.classList.toggle("fault", isFault);
  }

  async #make() {
    const typed = this.#name.value.trim();
    const plan = typed.startsWith(this.#prefix) ? typed : this.#prefix + typed;
    if (this.#known.has(plan)) {
      this.#notices.fault(`There is a plan ${plan} already.`);
      return false;
    }
    const isMade = await this.#change("plan.put", { plan, ...readRule(this.#rule.value), label: this.#label.value.trim() });
    if (isMade) setText(this.#hint, WAYS);
    return isMade;
  }

  async #remove(plan) {
    const isMeant = await means(`Delete the plan ${plan}?`, "The timer that it waits for is cancelled. What it started before goes on.", "Delete");
    if (isMeant) await this.#change("plan.delete", { plan });
  }

  /** Whether it was done; a refusal is told. */
  async #change(method, params) {
    try {
      await call(method, params);
      return true;
    } catch (error) {
      this.#notices.fault(error.message);
      return false;
    } finally {
      await this.refresh();
    }
  }
}

function nextOf(pending) {
  if (pending.state === "paused") return `${words(pending.remaining_ms)} left, paused`;
  return moment(new Date(Date.now() + pending.remaining_ms));
}

customElements.define("plan-list", PlanList);
