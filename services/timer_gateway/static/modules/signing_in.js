// As whom the page acts: the session's cookie, a token from the link it was opened with, or a token that is asked for.

import { means } from "./asking.js";
import { decoded, h, setText } from "./elements.js";
import { signIn, untilAnswered, whoHas } from "./service.js";

const UNKNOWN = "This gateway does not know the token, or no longer.";

/** Who the page acts as from now on, {name, prefix, rights, signed_in}: by the token of the link, or one that is asked for. */
export async function becomeKnown(token) {
  if (token === null) return askForToken();
  return (await untilAnswered(() => signIn(token))) ?? askForToken(UNKNOWN);
}

/** Asks whether the token of a link is to take the place of who the page acts as: whoever wrote the link may be
 * somebody else. Returns a sentence where the token is of no use. */
export async function offerToken(token, who) {
  const other = await untilAnswered(() => whoHas(token));
  if (other === null) return `The link has a token. ${UNKNOWN}`;
  if (who.signed_in && other.name === who.name && other.prefix === who.prefix) return null;
  const is = who.signed_in ? `You are signed in as ${who.name}` : "You need no token here";
  const below = other.prefix ? `, for timers below ${other.prefix}` : "";
  const consequence = `${is}, and the link has a token of ${other.name}${below}. Take it if you know who gave you the link.`;
  if (!(await means(`Sign in as ${other.name}?`, consequence, "Sign in"))) return null;
  await untilAnswered(() => signIn(token));
  location.reload();
  return null;
}

/** The token behind #, which is taken out of the address so that nobody reads or bookmarks it. */
export function tokenOfLink() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return decoded(match[1]);
}

function askForToken(fault = null) {
  return new Promise((resolve) => {
    const token = h("input", { type: "password", id: "token", autocomplete: "off", required: true, maxlength: 200 });
    const hint = h("p", { class: "hint" }, fault ?? "The gateway's operator makes one with timer-gateway token.");
    hint.classList.toggle("fault", fault !== null);
    const form = h("form", {}, h("h2", { id: "token-title" }, "A token is needed"), h("label", { for: "token" }, "Token"), token, hint, h("button", { class: "primary" }, "Sign in"));
    const dialog = h("dialog", { class: "sheet", "aria-labelledby": "token-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    const takeLink = () => location.reload(); // which may have a token
    addEventListener("hashchange", takeLink);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const who = await signIn(token.value.trim());
        if (who === null) throw new Error(UNKNOWN);
        removeEventListener("hashchange", takeLink);
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
