// Records under each other: what the pages of plans and queues are made of.

import { h } from "./elements.js";

/** Puts records in place of those in a list. One that says the same as before stays as it is, and the focus where it is. */
export function arrange(list, items) {
  const before = new Map([...list.children].map((item) => [item.dataset.record, item]));
  for (const [place, fresh] of items.entries()) {
    const known = before.get(fresh.dataset.record);
    before.delete(fresh.dataset.record);
    const item = known?.isEqualNode(fresh) ? known : fresh;
    const focused = known && known !== item ? focusedIn(known) : -1;
    if (known && known !== item) known.replaceWith(item);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    if (focused >= 0) buttonsOf(item)[focused]?.focus();
  }
  for (const item of before.values()) item.remove();
}

/** A figure with its name, for a list of them. */
export function figure(name, value, kind = null) {
  return h("div", { "data-kind": kind }, h("dt", {}, name), h("dd", {}, value));
}

/** A small button that says of what it acts to those who do not see where it stands. */
export function act(text, ofWhat, right, run, more = {}) {
  return h("button", { type: "button", class: "quiet", "data-needs": right, click: run, ...more }, text, h("span", { class: "unseen" }, ` ${ofWhat}`));
}

/** A form of labelled fields, folded away until somebody wants it. */
export function maker(title, fields, hint, submit) {
  const button = h("button", { class: "primary" }, "Make");
  const form = h(
    "form",
    { autocomplete: "off" },
    ...fields.map(([label, input]) => h("div", { class: "field" }, h("label", { for: input.id }, label), input)),
    button,
  );
  const details = h("details", { class: "maker", "data-needs": "admin" }, h("summary", {}, title), form, hint);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      if (await submit()) {
        form.reset();
        details.open = false;
      }
    } finally {
      button.disabled = false;
    }
  });
  return details;
}

function focusedIn(item) {
  return buttonsOf(item).indexOf(document.activeElement);
}

function buttonsOf(item) {
  return [...item.querySelectorAll("button, a")];
}
