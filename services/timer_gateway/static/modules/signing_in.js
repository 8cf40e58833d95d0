// As whom the page acts: a token from the link it was opened with, the session's cookie, or a token that is asked for.

import { decoded, h, setText } from "./elements.js";
import { signIn, untilAnswered, whoAmI } from "./service.js";

/** Who the page acts as, {name, prefix, rights, signed_in}; asks until somebody is known. */
export async function becomeKnown() {
  const token = tokenOfLink();
  if (token !== null) {
    const who = await untilAnswered(() => signIn(token));
    if (who !== null) return who;
  }
  return (await untilAnswered(whoAmI)) ?? askForToken();
}

/** The token behind #, which is taken out of the address so that nobody reads or bookmarks it. */
function tokenOfLink() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return decoded(match[1]);
}

function askForToken() {
  return new Promise((resolve) => {
    const token = h("input", { type: "password", id: "token", autocomplete: "off", required: true, maxlength: 200 });
    const hint = h("p", { class: "hint" }, "The gateway's operator makes one with timer-gateway token.");
    const form = h("form", {}, h("h2", { id: "token-title" }, "A token is needed"), h("label", { for: "token" }, "Token"), token, hint, h("button", { class: "primary" }, "Sign in"));
    const dialog = h("dialog", { class: "sheet", "aria-labelledby": "token-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const who = await signIn(token.value.trim());
        if (who === null) throw new Error("This gateway does not know the token, or no longer.");
        dialog.remove();
        resolve(who);
      } catch (error) {
        setText(hint, error.message);
        hint.classList.add("fault");
        token.select();
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
