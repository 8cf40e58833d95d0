// Puts the page together: who it is for, what it shows, and what keeps it right.

import { Actions } from "./actions.js";
import { Alerts } from "./alerts.js";
import "./board.js";
import { Book } from "./book.js";
import "./card.js";
import { Clocks } from "./clocks.js";
import "./connection.js";
import { decoded, h, icon } from "./elements.js";
import { Keys } from "./keys.js";
import "./notices.js";
import "./plans.js";
import "./queues.js";
import "./ring.js";
import { listTimers, signOut, untilAnswered, whoAmI } from "./service.js";
import { choose } from "./settings.js";
import { becomeKnown, offerToken, tokenOfLink } from "./signing_in.js";
import "./stage.js";
import "./start.js";
import { SharedStream } from "./stream.js";

const DRAW_MS = 200;
const SECOND_MS = 1000;
const REFRESH_S = 5;
const JUMP_MS = 5000;
const AGAIN_MS = 3000;

const content = document.getElementById("content");
const notices = document.querySelector("notice-stack");
const connection = document.querySelector("connection-state");
const tools = Object.fromEntries([...document.querySelectorAll("[data-tool]")].map((each) => [each.dataset.tool, each]));

const clocks = new Clocks();
const book = new Book(clocks);
const stream = new SharedStream();
const actions = new Actions(book, notices);
const alerts = new Alerts(book, document.getElementById("announcements"));

const form = document.createElement("start-form");
const board = document.createElement("timer-board");
let shown = null;

// --- what is shown

function show() {
  const [, page = "", id] = /^#\/([a-z]*)(?:\/(.+))?$/.exec(location.hash) ?? [];
  const name = page === "timer" && id ? "stage" : ["plans", "queues"].includes(page) ? page : "timers";
  document.body.dataset.page = name;
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  shown = MAKERS[name](id === undefined ? null : decoded(id));
  content.replaceChildren(...shown);
}

const MAKERS = {
  timers: () => [h("h1", { class: "unseen" }, "Timers"), form, board],
  stage: (id) => prepared("timer-stage", id, book, actions),
  plans: () => refreshed(prepared("plan-list", notices, actions.prefix)),
  queues: () => refreshed(prepared("queue-list", notices, actions.prefix)),
};

function prepared(name, ...given) {
  const element = document.createElement(name);
  element.prepare(...given);
  return [element];
}

function refreshed(elements) {
  for (const element of elements) element.refresh();
  return elements;
}

// --- what keeps it right

let isListing = false;
let isListingAgain = false;

/** Reads the list. The stream is read already, so that nothing is missed; what it tells meanwhile is newer. */
async function list() {
  if (isListing) {
    isListingAgain = true;
    return;
  }
  isListing = true;
  const since = performance.now();
  try {
    const { timers, hasMore } = await listTimers();
    book.takeList(timers, hasMore, since);
  } catch (error) {
    if (error.name === "unauthorized") location.reload();
    setTimeout(list, AGAIN_MS);
  } finally {
    isListing = false;
  }
  if (!isListingAgain) return;
  isListingAgain = false;
  await list();
}

function follow() {
  stream.addEventListener("timer", ({ detail }) => book.takeEvent(detail));
  stream.addEventListener("beat", ({ detail }) => clocks.note(detail.logs));
  stream.addEventListener("beat", list, { once: true });
  stream.addEventListener("truncated", list);
  stream.addEventListener("refused", async () => {
    try {
      if ((await whoAmI()) === null) location.reload();
    } catch {
      // it cannot be reached, which the page says already
    }
  });
  stream.addEventListener("state", ({ detail }) => tellState(detail.before));
  for (const event of ["online", "offline"]) addEventListener(event, () => stream.tryAgain());
  stream.start();
}

function tellState(before) {
  connection.draw(stream, performance.now());
  const { state } = stream;
  if (state === "live" && before !== "opening") alerts.announce("The page is live again");
  if (state === "cut" || state === "away") alerts.announce("The service is not heard. Timers go on; the page will catch up");
}

function draw() {
  const now = performance.now();
  for (const element of shown) element.draw?.(now);
}

let seconds = 0;
let last = { wall: Date.now(), passed: performance.now() };

function tick() {
  const now = performance.now();
  connection.draw(stream, now);
  alerts.tick(now);
  stream.check();
  board.drawEnded();
  book.forgetEnded();
  if (book.isRunningDry) list();
  seconds += 1;
  if (seconds % REFRESH_S === 0 && !document.hidden) for (const element of shown) element.refresh?.();
  noticeSleep(now);
}

/** A machine that slept, or a tab that was frozen, may have missed what other tabs were told. */
function noticeSleep(now) {
  const wall = Date.now();
  const isLate = now - last.passed > 60 * SECOND_MS;
  const hasJumped = Math.abs(wall - last.wall - (now - last.passed)) > JUMP_MS;
  last = { wall, passed: now };
  if (isLate || hasJumped) list();
}

// --- tools and keys

function toggleTheme() {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  choose("theme", document.documentElement.dataset.theme);
}

function toggleSound() {
  alerts.setLoud(!alerts.isLoud);
  labelTools();
}

async function toggleNotifications() {
  const fault = await alerts.toggleNotifications();
  if (fault) notices.fault(fault);
  labelTools();
}

function labelTools() {
  label(tools.sound, alerts.isLoud ? "sound" : "muted", "Sound");
  tools.sound.setAttribute("aria-pressed", String(alerts.isLoud));
  label(tools.notify, "bell", "Notifications");
  tools.notify.setAttribute("aria-pressed", String(alerts.notifies));
  label(tools.theme, "moon", "Dark or light");
  label(tools.help, "keys", "Keys");
}

function label(button, drawing, name) {
  button.replaceChildren(icon(drawing), h("span", { class: "unseen" }, name));
}

function current() {
  return shown[0]?.timerId ?? (shown.includes(board) ? board.current?.timerId : undefined);
}

function onCurrent(run) {
  return () => {
    const id = current();
    if (id !== undefined) run(id);
  };
}

const keys = new Keys({
  n: () => go("#/", () => form.focusTime()),
  "/": () => go("#/", () => board.focusFilter()),
  ArrowLeft: () => board.move(-1),
  ArrowRight: () => board.move(1),
  ArrowUp: () => board.move(-1),
  ArrowDown: () => board.move(1),
  " ": onCurrent((id) => actions.toggle(id)),
  1: onCurrent((id) => actions.extend(id, 1)),
  "+": onCurrent((id) => actions.extend(id, 1)),
  5: onCurrent((id) => actions.extend(id, 5)),
  r: onCurrent((id) => actions.restart(id)),
  x: onCurrent((id) => actions.cancel(id)),
  Delete: onCurrent((id) => actions.cancel(id)),
  u: () => actions.undo(),
  s: onCurrent((id) => go(`#/timer/${encodeURIComponent(id)}`)),
  Enter: onCurrent((id) => go(`#/timer/${encodeURIComponent(id)}`)),
  f: () => shown[0]?.toggleFullScreen?.(),
  m: toggleSound,
  d: toggleTheme,
  Escape: () => go("#/"),
});

function go(hash, then = null) {
  if (location.hash !== hash && !(hash === "#/" && location.hash === "")) {
    location.hash = hash;
    show();
  }
  then?.();
}

// --- begin

function takeWho(who) {
  actions.prefix = who.prefix;
  document.body.dataset.may = who.rights.join(" ");
  if (who.signed_in) {
    document.querySelector(".who").textContent = `Signed in as ${who.name}${who.prefix ? `, for timers below ${who.prefix}` : ""}`;
    tools["sign-out"].hidden = false;
  }
}

async function takeToken(token, who) {
  if (token === null) return;
  try {
    const fault = await offerToken(token, who);
    if (fault) notices.fault(fault);
  } catch (error) {
    notices.fault(error.message);
  }
}

function takeLink() {
  const given = new URLSearchParams(location.search);
  if (!given.has("start")) return;
  form.fill(given.get("start").slice(0, 64), (given.get("label") ?? "").slice(0, 256));
  history.replaceState(null, "", location.pathname + location.hash);
}

async function begin() {
  const token = tokenOfLink();
  labelTools();
  tools.sound.addEventListener("click", toggleSound);
  tools.notify.addEventListener("click", toggleNotifications);
  tools.theme.addEventListener("click", toggleTheme);
  tools.help.addEventListener("click", () => keys.toggleSheet());
  tools["sign-out"].addEventListener("click", async () => {
    try {
      await signOut();
      location.reload();
    } catch (error) {
      notices.fault(error.message);
    }
  });
  let known, who;
  try {
    known = await untilAnswered(whoAmI);
    who = known ?? (await becomeKnown(token));
  } catch (error) {
    notices.fault(error.message);
    return;
  }
  takeWho(who);
  form.prepare(actions);
  board.prepare(book, actions);
  show();
  takeLink();
  addEventListener("hashchange", () => {
    takeToken(tokenOfLink(), who);
    show();
  });
  follow();
  setInterval(draw, DRAW_MS);
  setInterval(tick, SECOND_MS);
  if (known !== null) takeToken(token, who);
}

begin();
