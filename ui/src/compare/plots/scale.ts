// From values to places between 0 and 1, and back; with ticks that people read.
import type { Extent } from "../../charts/extent";
import { OUT_OF_SIGHT, robustLimits } from "../../charts/limits";
import { linearTicks, logTicks, timeStep, timeTicks } from "../../charts/ticks";
import { formatNumber } from "../../common/values";
import { visibleText } from "../../run/visible";
import { NO_CATEGORY, type ValueColumn } from "./values";

export interface Tick {
  at: number;
  text: string;
}

export interface Scale {
  column: ValueColumn;
  isLog: boolean;
  low: number;
  high: number;
  /** Where each run is, 0 to 1; NaN for runs that have no place. */
  places: Float32Array;
  /** How many runs have no place: no value, NaN, infinite, far from others, or not positive on a log axis. */
  apart: number;
  /** Why, in a word or two. */
  apartText: string;
  /** True for few different numbers, such as 2, 4 and 8 layers. */
  isDiscrete: boolean;
  ticks: (most: number) => Tick[];
}

/** So many different numbers are choices rather than measurements. */
const FEW_NUMBERS = 12;

const bestLog = new WeakMap<ValueColumn, boolean>();

/** Say whether a column is read best on a log axis: settings over two decades, most of them small. */
export function isBestLog(column: ValueColumn): boolean {
  let known = bestLog.get(column);
  if (known === undefined) bestLog.set(column, (known = isMostlySmall(column)));
  return known;
}

function isMostlySmall(column: ValueColumn): boolean {
  if (column.kind !== "number" || !column.name.startsWith("params")) return false;
  const values = (column.values as Float64Array).filter((value) => Number.isFinite(value)).sort();
  const low = values[0];
  const high = values.at(-1);
  if (low === undefined || high === undefined || low <= 0 || high / low < 100) return false;
  return values[(values.length - 1) >> 1]! <= 0.15 * high;
}

/** Say whether a column can have a log axis. */
export function canBeLog(column: ValueColumn): boolean {
  return column.kind === "number";
}

function numberAt(column: ValueColumn, place: number): number {
  return column.isMissing[place] ? NaN : column.values[place]!;
}

/** Spread what lies on top of each other; the same run always goes to the same side. */
function spread(id: number): number {
  let hash = Math.imul(id ^ (id >>> 16), 0x45d9f3b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0xffffffff - 0.5;
}

export interface ScaleOptions {
  isLog: boolean;
  /** Share of a category's room in which its runs are spread. */
  jitter: number;
  ids: Uint32Array;
}

export function scaleOf(column: ValueColumn, options: ScaleOptions): Scale {
  return column.kind === "category" ? categoryScale(column, options) : numberScale(column, options);
}

function categoryScale(column: ValueColumn, { jitter, ids }: ScaleOptions): Scale {
  const count = Math.max(1, column.categories.length);
  const places = new Float32Array(column.values.length);
  let apart = 0;
  column.values.forEach((value, place) => {
    if (value === NO_CATEGORY) {
      places[place] = NaN;
      apart++;
    } else {
      places[place] = (value + 0.5 + jitter * spread(ids[place]!)) / count;
    }
  });
  const ticks = (most: number): Tick[] => {
    const stride = Math.max(1, Math.ceil(column.categories.length / Math.max(1, most)));
    return column.categories
      .map((text, at) => ({ at: (at + 0.5) / count, text: visibleText(text) || "(empty)" }))
      .filter((_, at) => at % stride === 0);
  };
  return { column, isLog: false, low: 0, high: count, places, apart, apartText: "none", isDiscrete: false, ticks };
}

/** Return the limits of a metric's axis if runs that diverged would leave nothing of the others to see. */
function limitsOf(column: ValueColumn): Extent | null {
  if (column.kind !== "number" || !column.name.startsWith("metrics")) return null;
  const extents: Extent[] = [];
  for (let place = 0; place < column.values.length; place++) {
    const value = numberAt(column, place);
    if (Number.isFinite(value)) extents.push({ least: value, most: value });
  }
  return robustLimits(extents, OUT_OF_SIGHT);
}

function numberScale(column: ValueColumn, { isLog }: ScaleOptions): Scale {
  let low = Infinity;
  let high = -Infinity;
  const count = column.values.length;
  const distinct = new Set<number>();
  const reasons = new Set<string>();
  const limits = isLog ? null : limitsOf(column);
  const isFar = (value: number) => limits !== null && (value < limits.least || value > limits.most);
  for (let place = 0; place < count; place++) {
    const value = numberAt(column, place);
    if (!Number.isFinite(value) || (isLog && value <= 0)) {
      reasons.add(column.isMissing[place] ? "none" : Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : isLog && Number.isFinite(value) ? "≤ 0" : "−∞");
      continue;
    }
    if (isFar(value)) {
      reasons.add(value > 0 ? "far above" : "far below");
      continue;
    }
    if (value < low) low = value;
    if (value > high) high = value;
    if (distinct.size <= FEW_NUMBERS) distinct.add(value);
  }
  if (low > high) [low, high] = isLog ? [0.1, 10] : [0, 1];
  if (low === high) {
    const half = isLog ? low * 0.5 : Math.abs(low) * 0.1 || 0.5;
    [low, high] = [low - half, isLog ? high * 2 : high + half];
  }
  // A little air, so that the outermost runs do not lie on the edge.
  const from = isLog ? Math.log10(low) : low;
  const to = isLog ? Math.log10(high) : high;
  const air = (to - from) * 0.03;
  const begin = from - air;
  const size = to - from + 2 * air;
  const places = new Float32Array(count);
  let apart = 0;
  for (let place = 0; place < count; place++) {
    const value = numberAt(column, place);
    if (!Number.isFinite(value) || (isLog && value <= 0) || isFar(value)) {
      places[place] = NaN;
      apart++;
    } else {
      places[place] = ((isLog ? Math.log10(value) : value) - begin) / size;
    }
  }
  const edge = (at: number): number => (isLog ? 10 ** at : at);
  const isDiscrete = column.kind === "number" && distinct.size <= FEW_NUMBERS && count > distinct.size;
  const scale = { column, isLog, low: edge(begin), high: edge(begin + size), places, apart, apartText: [...reasons].join(", "), isDiscrete };
  const numbers = [...distinct].sort((one, other) => one - other);
  return { ...scale, ticks: (most) => (isDiscrete ? discreteTicks(scale, numbers, most) : numberTicks(scale, most)) };
}

/** Return where a value is on an axis. */
export function placeOf(scale: Pick<Scale, "isLog" | "low" | "high">, value: number): number {
  if (!scale.isLog) return (value - scale.low) / (scale.high - scale.low);
  return Math.log(value / scale.low) / Math.log(scale.high / scale.low);
}

/** Return which value is at a place of an axis. */
export function valueAt(scale: Pick<Scale, "isLog" | "low" | "high">, place: number): number {
  if (!scale.isLog) return scale.low + place * (scale.high - scale.low);
  return scale.low * (scale.high / scale.low) ** place;
}

/** Ticks at the very values, as far as they do not lie on each other. */
function discreteTicks(scale: Pick<Scale, "isLog" | "low" | "high">, numbers: number[], most: number): Tick[] {
  const ticks: Tick[] = [];
  for (const value of numbers) {
    const at = placeOf(scale, value);
    if (!ticks.length || at - ticks.at(-1)!.at >= 0.6 / Math.max(1, most)) ticks.push({ at, text: formatNumber(value) });
  }
  return ticks;
}

function numberTicks({ column, isLog, low, high }: Omit<Scale, "ticks">, most: number): Tick[] {
  const count = Math.max(1, most);
  const at = (value: number, text: string): Tick => ({ at: placeOf({ isLog, low, high }, value), text });
  if (column.kind === "time") {
    const step = Math.max(1, timeStep(low, high, count));
    return timeTicks(low, high, step).map((value) => at(value, formatMoment(value, step)));
  }
  const values = isLog ? logTicks(low, high, count) : linearTicks(low, high, count);
  return values.map((value) => at(value, formatNumber(value)));
}

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const year = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function formatMoment(value: number, step: number): string {
  const date = new Date(value * 1000);
  if (step >= 2592000) return year.format(date);
  if (step >= 86400) return day.format(date);
  return (step >= 60 ? minute : second).format(date);
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Write what a run has in a column. */
export function shownValue(column: ValueColumn, place: number): string {
  const value = column.values[place]!;
  if (column.isMissing[place]) return "no value";
  if (column.kind === "category") return visibleText(column.categories[value] ?? "no value");
  if (column.kind === "time") return exact.format(new Date(value * 1000));
  return formatNumber(value);
}
