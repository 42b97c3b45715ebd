/** Times in words. Pure: the clock is an argument. */
export type Tone = "calm" | "amber" | "red";
/** What ends: a grant of minutes to days, or a provider's consent of months. */
export type Lifetime = "grant" | "consent";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export function relative(at: string, now: number): string {
  const past = now - Date.parse(at);
  if (past < -5 * second) return `in ${span(-past)}`;
  if (past < 2 * second) return "just now";
  if (past < 7 * day) return `${span(past)} ago`;
  return on(at, now);
}

export function left(at: string, now: number): string {
  const rest = Date.parse(at) - now;
  return rest <= 0 ? "expired" : `${span(rest)} left`;
}

/** "3 May", and the year where it is another one. */
export function on(at: string, now: number): string {
  const date = new Date(at);
  const format: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };
  if (date.getFullYear() !== new Date(now).getFullYear()) format.year = "numeric";
  return new Intl.DateTimeFormat("en-GB", format).format(date);
}

export function exact(at: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  }).format(new Date(at));
}

/** The heading above a day of entries. */
export function dayOf(at: string, now: number): string {
  const date = new Date(at);
  const away = Math.round((midnight(new Date(now)) - midnight(date)) / day);
  if (away <= 0) return "Today";
  if (away === 1) return "Yesterday";
  const format: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" };
  if (date.getFullYear() !== new Date(now).getFullYear()) format.year = "numeric";
  return new Intl.DateTimeFormat("en-GB", format).format(date);
}

/** Amber before red: a consent by the month, week and day of its reminders, a grant by the share of its life. */
export function expiryTone(kind: Lifetime, expires: string, now: number, created?: string): Tone {
  const rest = Date.parse(expires) - now;
  if (kind === "consent") return rest <= 7 * day ? "red" : rest <= 30 * day ? "amber" : "calm";
  const life = created === undefined ? hour : Date.parse(expires) - Date.parse(created);
  return rest <= life * 0.1 ? "red" : rest <= life * 0.25 ? "amber" : "calm";
}

function span(milliseconds: number): string {
  if (milliseconds < minute) return `${Math.max(1, Math.floor(milliseconds / second))} s`;
  if (milliseconds < hour) return `${Math.floor(milliseconds / minute)} min`;
  if (milliseconds < day) return `${Math.floor(milliseconds / hour)} h`;
  const days = Math.floor(milliseconds / day);
  if (days < 60) return days === 1 ? "1 day" : `${days} days`;
  return `${Math.floor(days / 30)} months`;
}

function midnight(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
