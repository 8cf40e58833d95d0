// Rules of plans: what people write, and how they are shown.

import { readTime, words } from "./amounts.js";

const AMOUNT = /^(?:\d+(?:[.,]\d+)?\s*(?:d|h|min|m|sec|s)?\s*)+(?=\s|$)|^\d+:\d{2}(?::\d{2})?(?=\s|$)/i;

/**
 * The members of a plan that a text asks for: "30m" an interval, "25m work, 5m rest" steps, and anything else a cron
 * rule in the zone of this machine, which the service judges.
 */
export function readRule(text) {
  const given = text.trim().replace(/^every\s+/i, "");
  if (given === "") return null;
  const steps = given.split(",").map((part) => readStep(part.trim()));
  if (steps.includes(null)) return { cron: text.trim(), zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
  if (steps.length > 1 || steps[0].label !== "") return { steps };
  return { every: { seconds: steps[0].seconds } };
}

/** A plan's rule in words. */
export function ruleOf({ cron, zone, every, steps }) {
  if (cron !== null) return `${cron} in ${zone}`;
  if (every !== null) return `every ${amountOf(every)}`;
  return steps.map((step) => `${amountOf(step)}${step.label ? ` ${step.label}` : ""}`).join(", ");
}

function readStep(part) {
  const amount = AMOUNT.exec(part)?.[0];
  if (amount === undefined) return null;
  const label = part.slice(amount.length).trim();
  const time = readTime(amount);
  // "0 9 * * 1" is a cron rule, although it begins with a number.
  return time.seconds === undefined || /^[*\d/-]/.test(label) ? null : { seconds: time.seconds, label };
}

function amountOf({ hours = 0, minutes = 0, seconds = 0 }) {
  return words(((hours * 60 + minutes) * 60 + seconds) * 1000);
}
