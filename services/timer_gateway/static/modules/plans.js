// <plan-list>: the plans, when each comes next, and what may be done with it.

import { moment, words } from "./amounts.js";
import { h, setText } from "./elements.js";
import { call, newName } from "./service.js";

export class PlanList extends HTMLElement {
  #notices;
  #rows = h("ul", { class: "records", "aria-label": "Plans" });
  #state = h("p", { class: "empty" }, "Reading the plans …");

  prepare(notices) {
    this.#notices = notices;
    this.append(h("h1", {}, "Plans"), h("p", { class: "lead" }, "Rules that start timers again and again."), this.#state, this.#rows);
  }

  async refresh() {
    try {
      const page = await call("plan.list", { limit: 200 });
      this.#rows.replaceChildren(...page.plans.map((plan) => this.#row(plan)));
      setText(this.#state, page.plans.length ? "" : "There are no plans. The command `timer plan put` makes one.");
      if (page.next !== null) setText(this.#state, "The first 200 plans:");
    } catch (error) {
      setText(this.#state, error.message);
    }
    this.#state.hidden = this.#state.textContent === "";
  }

  #row(plan) {
    const { counts } = plan;
    const isPaused = plan.state === "paused";
    const buttons = [
      isPaused ? this.#button("Resume", "plan.resume", plan, "change") : this.#button("Pause", "plan.pause", plan, "change"),
      this.#button("Skip next", "plan.skip", plan, "change", true),
      this.#button("Run now", "plan.run", plan, "start", true),
    ];
    return h(
      "li",
      { "data-state": plan.state },
      h("div", { class: "title" }, h("h2", {}, plan.plan), h("span", { class: "badge" }, plan.state)),
      h("p", { class: "rule" }, ruleOf(plan), plan.label ? ` · ${plan.label}` : ""),
      h("dl", {}, ...figure("next", nextOf(plan)), ...figure("fired", counts.fired), ...figure("cancelled", counts.cancelled), ...figure("skipped", counts.skipped), ...figure("missed", counts.missed)),
      h("div", { class: "controls" }, ...(plan.state === "finished" ? [] : buttons)),
    );
  }

  #button(text, method, { plan }, right, isKeyed = false) {
    const run = async () => {
      try {
        await call(method, isKeyed ? { plan, key: newName() } : { plan });
      } catch (error) {
        this.#notices.fault(error.message);
      }
      await this.refresh();
    };
    return h("button", { type: "button", class: "quiet", "data-needs": right, click: run }, text, h("span", { class: "unseen" }, ` ${plan}`));
  }
}

export function figure(name, value) {
  return [h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))];
}

function ruleOf(plan) {
  if (plan.cron !== null) return `${plan.cron} in ${plan.zone}`;
  if (plan.every !== null) return `every ${amountOf(plan.every)}`;
  return plan.steps.map((step) => `${step.label ? `${step.label} ` : ""}${amountOf(step)}`).join(", ");
}

function amountOf({ hours = 0, minutes = 0, seconds = 0 }) {
  return words(((hours * 60 + minutes) * 60 + seconds) * 1000);
}

function nextOf({ pending }) {
  if (pending === null) return "–";
  if (pending.state === "paused") return `${words(pending.remaining_ms)} left, paused`;
  return moment(new Date(Date.now() + pending.remaining_ms));
}

customElements.define("plan-list", PlanList);
