// Asks a person whether they mean it, where something cannot be taken back.

import { h } from "./elements.js";

/** Whether the answer is yes. The sheet stands on its other button, so that Enter alone does nothing. */
export function means(question, consequence, yes) {
  return new Promise((resolve) => {
    const no = h("button", { class: "quiet", value: "no", autofocus: true }, "Keep");
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "question" }, question),
      h("p", { class: "hint" }, consequence),
      h("div", { class: "answers" }, no, h("button", { class: "primary danger", value: "yes" }, yes)),
    );
    const sheet = h("dialog", { class: "sheet", "aria-labelledby": "question" }, form);
    sheet.addEventListener("close", () => {
      sheet.remove();
      resolve(sheet.returnValue === "yes");
    });
    document.body.append(sheet);
    sheet.showModal();
  });
}
