// Values as people read them.
import type { Cell } from "../api/types";

const counts = new Intl.NumberFormat("en-US");
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export function formatCount(count: number): string {
  return counts.format(count);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Write a number with up to five digits, and a true minus sign. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  let text: string;
  const size = Math.abs(value);
  if (Object.is(value, -0)) text = "-0";
  else if (Number.isInteger(value) && size < 1e9) text = String(value);
  else if (size !== 0 && (size < 1e-4 || size >= 1e9)) text = value.toExponential(3).replace(/\.?0+e/, "e");
  else text = String(Number(value.toPrecision(5)));
  return text.replace("-", "−").replace("e+", "e");
}

/** Return a cell as a number, NaN and infinities included, or null. */
export function numberOf(value: Cell | undefined): number | null {
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  return null;
}

export function formatCell(value: Cell | undefined): string {
  if (value === null || value === undefined) return "";
  const number = numberOf(value);
  if (number !== null) return formatNumber(number);
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

/** Of a tag without a value. */
export const TAGGED = "✓";

/** Return a value that runs are grouped by; an empty text is not a missing one, and "1" is not 1. */
export function formatGroup(name: string, value: Cell | undefined): string {
  if (value === "") return name.startsWith("tags.") ? TAGGED : "(empty)";
  return name.startsWith("params.") && readsAsAnother(value) ? `'${value}'` : formatCell(value);
}

/** Check whether a text looks like a number or a truth value. */
function readsAsAnother(value: Cell | undefined): boolean {
  if (typeof value !== "string" || numberOf(value) !== null) return false;
  return value === "true" || value === "false" || (value.trim() !== "" && !Number.isNaN(Number(value)));
}

/** Write a difference with its sign, in few digits: the values beside it have all of them. */
export function formatDifference(difference: number): string {
  return (difference > 0 ? "+" : "") + formatNumber(Number(difference.toPrecision(3)));
}

const UNITS: [string, number][] = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

/** Write a duration like `duration_text`: "0.3 s", "5 min 3 s", "2 h 10 min", "3 d 4 h". */
export function formatDuration(seconds: number | null): string {
  if (seconds === null) return "";
  if (seconds < 10) return `${(Math.round(Math.max(0, seconds) * 10) / 10).toFixed(1)} s`;
  let rest = Math.round(seconds);
  const parts: [number, string][] = [];
  for (const [unit, size] of UNITS) {
    if (rest >= size || parts.length) parts.push([Math.floor(rest / size), unit]);
    rest %= size;
  }
  return parts.slice(0, 2).filter(([count]) => count).map((part) => part.join(" ")).join(" ");
}

export function formatBytes(size: number): string {
  if (size < 1000) return `${size} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let place = -1;
  let value = size;
  while (value >= 1000 && place < units.length - 1) {
    value /= 1000;
    place++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
}

export function formatExact(iso: string): string {
  return exact.format(new Date(iso));
}

/** Write a time as near as people want it: "5 min ago", "yesterday", "3 Nov". */
export function formatRelative(iso: string | null, now: number): string {
  if (!iso) return "";
  const time = new Date(iso);
  const seconds = (now - time.getTime()) / 1000;
  if (seconds < -60) return dayOfYear.format(time);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  const days = Math.round(seconds / 86400);
  if (days === 1) return "yesterday";
  if (days < 8) return `${days} days ago`;
  const sameYear = time.getFullYear() === new Date(now).getFullYear();
  return (sameYear ? day : dayOfYear).format(time);
}
