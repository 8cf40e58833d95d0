// Asks the service: requests over /rpc, and the session.

const TRIES_MS = [0, 400, 1200, 3000];

/** A request that the service refuses, or that nobody answers. The message is a sentence for people. */
export class Refused extends Error {
  constructor(name, reason, isRetryable = false) {
    super(reason);
    this.name = name;
    this.isRetryable = isRetryable;
  }
}

/** A random name for a timer or a change, with which a request can be repeated without a second effect. */
export function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The result of a method. It is tried again while nobody answers, so params have an id or a key where that matters. */
export async function call(method, params = {}) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await triedAgain(() => fetchJson("/rpc", { method: "POST", headers: JSON_HEADERS, body }));
  if (answer.error) throw refusalOf(answer.error);
  return answer.result;
}

/** The running timers that are due first, those that are paused, and those that ended last of the first there are. */
export async function listTimers() {
  const omit = ["payload"];
  const [running, paused, ended] = await Promise.all([
    call("timer.list", { order: "due", limit: 500, omit }),
    call("timer.list", { state: "paused", limit: 200, omit }),
    call("timer.list", { states: ["fired", "cancelled"], limit: 500, omit }),
  ]);
  const lately = ended.timers.sort((a, b) => b.ended_at_ms - a.ended_at_ms).slice(0, 50);
  return {
    timers: [...running.timers, ...paused.timers, ...lately],
    hasMore: running.complete === false || paused.next !== null,
  };
}

/** As whom the page acts; null where a token is needed. */
export async function whoAmI() {
  return session("GET");
}

/** As whom a page with this token would act; null where nobody knows it. The session stays as it is. */
export async function whoHas(token) {
  return session("GET", { headers: { Authorization: `Bearer ${encodeURIComponent(token)}` } });
}

/** Gives a token for the session's cookie; null where nobody knows the token. */
export async function signIn(token) {
  return session("POST", { headers: JSON_HEADERS, body: JSON.stringify({ token }) });
}

export async function signOut() {
  await reach("/session", { method: "DELETE", headers: JSON_HEADERS });
}

/** What `ask` gives, which is asked again for as long as nobody can answer. */
export async function untilAnswered(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!error.isRetryable) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

const AGAIN_MS = 1000;
const JSON_HEADERS = { "Content-Type": "application/json" };

async function session(method, more = {}) {
  const answer = await reach("/session", { method, ...more });
  if (answer.status === 401) return null;
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

async function triedAgain(ask) {
  let refusal;
  for (const pause of TRIES_MS) {
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refused) || !error.isRetryable) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

async function fetchJson(path, options) {
  const answer = await reach(path, options);
  if (answer.ok) return answer.json();
  throw await problemOf(answer);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Refused("unreachable", "The service cannot be reached. Nothing is lost: timers go on without the page.", true);
  }
}

async function problemOf(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // something in between has answered
  }
  const isRetryable = [429, 502, 503, 504].includes(answer.status);
  const name = String(told.name ?? told.type ?? answer.status).split("#").pop();
  return new Refused(answer.status === 401 ? "unauthorized" : name, told.detail ?? `The service answers ${answer.status}.`, isRetryable);
}

function refusalOf(error) {
  return new Refused(error.data?.name ?? "error", error.data?.reason ?? error.message, error.data?.retryable === true);
}
