// Amounts of time: what people write, and how they are shown.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const UNITS_MS = { d: DAY_MS, h: HOUR_MS, m: MINUTE_MS, min: MINUTE_MS, s: SECOND_MS, sec: SECOND_MS };

const HINT = "Write 25m, 1h 30m, 1:30:00, or a time of day such as @14:30.";

/**
 * What a text asks for: {seconds}, {at, zone} with the day that comes next, or {fault}, a sentence.
 * A bare number is minutes.
 */
export function readTime(text, now = new Date()) {
  const given = text.trim().toLowerCase();
  if (given === "") return { fault: HINT };
  if (given.startsWith("@")) return readMoment(given.slice(1).trim(), now);
  const ms = readColons(given) ?? readUnits(given);
  if (ms === null) return { fault: `“${text.trim()}” is no time. ${HINT}` };
  if (ms < 1) return { fault: "A timer needs more than no time." };
  return { seconds: ms / SECOND_MS };
}

/** Digits as on a clock, rounded up, so that 00:00 is seen at the end alone. */
export function digits(ms) {
  const whole = Math.max(0, Math.ceil(ms / SECOND_MS));
  const seconds = pad(whole % 60);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600) % 24;
  const days = Math.floor(whole / 86400);
  if (days) return `${days}d ${pad(hours)}:${pad(minutes)}:${seconds}`;
  return hours ? `${hours}:${pad(minutes)}:${seconds}` : `${pad(minutes)}:${seconds}`;
}

/** An amount in words, of its two largest parts: "1 h 30 min". */
export function words(ms) {
  const whole = Math.max(0, Math.round(ms / SECOND_MS));
  const parts = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const told = parts.filter(([count]) => count).slice(0, 2);
  return told.length ? told.map(([count, unit]) => `${count} ${unit}`).join(" ") : "0 s";
}

/** A moment as the clock on the wall will show it, with its day where that is another than today. */
export function moment(exact, now = new Date()) {
  const date = new Date(Math.round(exact / SECOND_MS) * SECOND_MS); // 7:59:59.9 is a clock that differs from 8:00
  const isToday = date.toDateString() === now.toDateString();
  const day = isToday ? {} : { weekday: "short", day: "numeric", month: "short" };
  return date.toLocaleString(undefined, { hour: "2-digit", minute: "2-digit", ...day });
}

function readColons(text) {
  const match = /^(?:(\d{1,4}):)?(\d{1,4}):(\d{2})$/.exec(text);
  if (!match) return null;
  const [, hours = "0", minutes, seconds] = match;
  if (Number(seconds) > 59 || (match[1] && Number(minutes) > 59)) return null;
  return Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * SECOND_MS;
}

function readUnits(text) {
  if (/^\d+([.,]\d+)?$/.test(text)) return Math.round(number(text) * MINUTE_MS);
  if (!/^(\d+([.,]\d+)?\s*(d|h|min|m|sec|s)\s*)+(\d+)?$/.test(text)) return null;
  let ms = 0;
  let smaller = null;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:[.,]\d+)?)\s*(d|h|min|m|sec|s)?/g)) {
    ms += number(amount) * (unit ? UNITS_MS[unit] : smaller);
    smaller = { d: HOUR_MS, h: MINUTE_MS, m: SECOND_MS, min: SECOND_MS }[unit] ?? NaN;
  }
  return Number.isNaN(ms) ? null : Math.round(ms);
}

function readMoment(text, now) {
  const match = /^(?:(\d{4}-\d{2}-\d{2})[t ])?(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  if (!match || Number(match[2]) > 23 || Number(match[3]) > 59 || Number(match[4] ?? 0) > 59) {
    return { fault: `“@${text}” is no time of day. Write @14:30, or @2030-12-01 09:00.` };
  }
  const [, day, hour, minute, second = "00"] = match;
  const clock = `${pad(Number(hour))}:${minute}:${second}`;
  const date = day ? new Date(`${day}T${clock}`) : new Date(now);
  if (Number.isNaN(date.getTime())) return { fault: `“${day}” is no day.` };
  if (!day) {
    date.setHours(Number(hour), Number(minute), Number(second), 0);
    if (date <= now) date.setDate(date.getDate() + 1);
  }
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${clock}`;
  return { at: local, zone, date };
}

function number(text) {
  return Number(text.replace(",", "."));
}

function pad(count) {
  return String(count).padStart(2, "0");
}
