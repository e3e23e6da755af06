// Ranges that are chosen on axes: in the address, as a mask of runs, and as a filter.
import { joinNames, splitNames } from "../../api/client";
import { address, setQuery } from "../../state/address";
import { conditionsOf, literal, orderOf, withOrder } from "../../state/query-text";
import { placeOf, type Scale } from "./scale";
import type { ValueColumn } from "./values";

/** Words of the query such as `in.params.lr=0.01..0.1`, or `in.params.optimizer=adam,sgd`. */
const WORD = "in.";

export type Range = { low: number; high: number } | { categories: string[] };

export function brushesOf(names: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of names) {
    const text = address.value.query[WORD + name];
    if (text) found.set(name, text);
  }
  return found;
}

export function setBrush(name: string, range: Range | null): void {
  setQuery({ [WORD + name]: range && textOf(range) }, { replace: true });
}

export function clearBrushes(): void {
  const words = Object.keys(address.value.query).filter((word) => word.startsWith(WORD));
  setQuery(Object.fromEntries(words.map((word) => [word, null])), { replace: true });
}

function textOf(range: Range): string {
  if ("categories" in range) return joinNames(range.categories);
  return `${rounded(range.low)}..${rounded(range.high)}`;
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(9)));
}

/** Read a range of a column from the address; null if it is none. */
export function rangeOf(column: ValueColumn, text: string): Range | null {
  if (column.kind === "category") return { categories: splitNames(text) };
  const [low, high] = text.split("..").map((part) => (part === "" ? NaN : Number(part)));
  if (low === undefined || high === undefined || Number.isNaN(low) || Number.isNaN(high)) return null;
  return { low, high };
}

/** Return the places between which a range lies on its axis. */
export function placesOf(scale: Scale, range: Range): [number, number] {
  if ("low" in range) return [placeOf(scale, range.low), placeOf(scale, range.high)];
  const found = range.categories.map((one) => scale.column.categories.indexOf(one)).filter((at) => at >= 0);
  if (!found.length) return [0, 0];
  const count = scale.column.categories.length;
  return [Math.min(...found) / count, (Math.max(...found) + 1) / count];
}

/** Return the range between two places of an axis. */
export function rangeBetween(scale: Scale, from: number, to: number): Range | null {
  const low = Math.max(0, Math.min(from, to));
  const high = Math.min(1, Math.max(from, to));
  if (scale.column.kind === "category") {
    const count = scale.column.categories.length;
    const categories = scale.column.categories.filter((_, at) => (at + 0.5) / count >= low && (at + 0.5) / count <= high);
    return categories.length ? { categories } : null;
  }
  const span = scale.high - scale.low;
  if (!scale.isLog) return { low: scale.low + low * span, high: scale.low + high * span };
  const ratio = scale.high / scale.low;
  return { low: scale.low * ratio ** low, high: scale.low * ratio ** high };
}

/** Return 1 for each run within all ranges; null without any. */
export function maskOf(count: number, ranges: [ValueColumn, Range][]): Uint8Array | null {
  if (!ranges.length) return null;
  const mask = new Uint8Array(count).fill(1);
  for (const [column, range] of ranges) {
    const chosen = "categories" in range ? new Set(range.categories.map((one) => column.categories.indexOf(one))) : null;
    for (let place = 0; place < count; place++) {
      const value = column.values[place]!;
      const isIn =
        "low" in range ? !column.isMissing[place] && value >= range.low && value <= range.high : chosen!.has(value);
      if (!isIn) mask[place] = 0;
    }
  }
  return mask;
}

/** Return a filter for the runs within the ranges, among those of another filter. */
export function filterOf(filter: string, ranges: [ValueColumn, Range][]): string {
  const parts = ranges.map(([column, range]) => condition(column, range));
  const before = conditionsOf(filter);
  if (before) parts.unshift(/\bor\b/i.test(before) ? `(${before})` : before);
  return withOrder(parts.join(" and "), orderOf(filter));
}

function condition(column: ValueColumn, range: Range): string {
  const { name } = column;
  if ("low" in range) {
    const [low, high] = [range.low, range.high].map((one) =>
      column.kind === "time" ? `'${new Date(one * 1000).toISOString()}'` : rounded(one),
    );
    return `${name} >= ${low} and ${name} <= ${high}`;
  }
  const options = range.categories.map((one) => (one === "true" || one === "false" ? one : literal(one)));
  return options.length === 1 ? `${name} = ${options[0]}` : `${name} in (${options.join(", ")})`;
}
