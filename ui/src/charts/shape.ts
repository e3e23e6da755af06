// What is drawn of a series: the line, its envelope, its smoothed line, and marks.
import { placeOf, type Series } from "./decode";
import type { Extent } from "./extent";

export interface Shape {
  series: Series;
  /** The line: points of the series, NaN between two that are not joined. */
  xs: Float64Array;
  ys: Float64Array;
  /** The smoothed line over the same x; null without smoothing. */
  smooth: Float64Array | null;
  /** Values that are infinite: where, and whether they are above. */
  infinite: { x: number; isAbove: boolean }[];
  /** Points without neighbours, which a line does not show. */
  dots: number[];
  /** Whether no value can be drawn. */
  isEmpty: boolean;
}

const shapes = new WeakMap<Series, Shape>();

/** Return the shape of a series; it is made once for each amount of smoothing. */
export function shapeOf(series: Series, smoothing: number): Shape {
  let found = shapes.get(series);
  if (!found) {
    found = made(series);
    shapes.set(series, found);
  }
  if (smoothing <= 0) return found.smooth ? { ...found, smooth: null } : found;
  return { ...found, smooth: smoothed(found.xs, found.ys, smoothing) };
}

function made(series: Series): Shape {
  const { xs, ys } = vertices(series);
  const infinite: Shape["infinite"] = [];
  series.x.forEach((x, at) => {
    if (series.max[at] === Infinity) infinite.push({ x, isAbove: true });
    if (series.min[at] === -Infinity) infinite.push({ x, isAbove: false });
  });
  const isEmpty = !ys.some(Number.isFinite) && !infinite.length && !hasFinite(series);
  return { series, xs, ys, smooth: null, infinite, dots: dotsOf(ys), isEmpty };
}

/** Return the places of values without neighbours. */
export function dotsOf(ys: Float64Array): number[] {
  const isThere = (at: number) => Number.isFinite(ys[at]);
  return [...ys.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
}

function hasFinite(series: Series): boolean {
  return series.min.some(Number.isFinite) || series.max.some(Number.isFinite);
}

/** Return the points that are known: each one, or the first and the last of each block. */
function vertices(series: Series): { xs: Float64Array; ys: Float64Array } {
  if (series.exact) return { xs: series.x, ys: series.first };
  const xs = new Float64Array(series.x.length * 2);
  const ys = new Float64Array(series.x.length * 2);
  let at = 0;
  for (let place = 0; place < series.x.length; place++) {
    xs[at] = series.x[place]!;
    ys[at++] = series.first[place]!;
    if (series.xLast[place]! <= series.x[place]!) continue; // one point
    xs[at] = series.xLast[place]!;
    ys[at++] = series.last[place]!;
  }
  return { xs: xs.subarray(0, at), ys: ys.subarray(0, at) };
}

/** Distances are measured in thousandths of the series, so that all its metrics are smoothed alike. */
const PARTS = 1000;

/**
 * Return an exponential moving average weighted by the distance in x, so that it is the same
 * however fine the series is there, and depends on nothing but the series.
 *
 * The square root spreads the strong values, which are the useful ones, over more of the slider,
 * as other pages do.
 */
export function smoothed(xs: Float64Array, ys: Float64Array, smoothing: number): Float64Array {
  const made = new Float64Array(ys.length).fill(Number.NaN);
  const unit = ((xs.at(-1) ?? 0) - (xs[0] ?? 0)) / PARTS;
  const kept = Math.sqrt(smoothing);
  let sum = 0;
  let weight = 0;
  let before = xs[0] ?? 0;
  for (let at = 0; at < ys.length; at++) {
    const y = ys[at]!;
    if (!Number.isFinite(y)) continue;
    const x = xs[at]!;
    const isFirst = weight === 0;
    const distance = isFirst ? unit : Math.max(0, x - before);
    const stays = unit > 0 ? kept ** (distance / unit) : kept;
    sum = sum * stays + y * (1 - stays);
    weight = weight * stays + (1 - stays);
    made[at] = weight > 0 ? sum / weight : y;
    before = x;
  }
  return made;
}

/** Return the smallest and largest finite value within a window of x; positive ones only on a log axis. */
export function extentY(series: Series, from: number, to: number, isLog: boolean): Extent | null {
  let least = Infinity;
  let most = -Infinity;
  const take = (value: number) => {
    if (!Number.isFinite(value) || (isLog && value <= 0)) return;
    if (value < least) least = value;
    if (value > most) most = value;
  };
  let start = placeOf(series.x, from);
  while (start > 0 && series.xLast[start - 1]! >= from) start--;
  const end = placeOf(series.x, to, true);
  for (let at = start; at < end; at++) {
    take(series.min[at]!);
    take(series.max[at]!);
    if (series.exact) continue;
    take(series.first[at]!);
    take(series.last[at]!);
  }
  if (start >= end && series.x.length) {
    // Between two points the line still crosses the window.
    if (start > 0) take(series.last[start - 1]!);
    if (end < series.x.length) take(series.first[end]!);
  }
  return least <= most ? { least, most } : null;
}

export function extentX(series: Series): Extent | null {
  if (!series.x.length) return null;
  return { least: series.x[0]!, most: Math.max(series.xLast.at(-1)!, series.x.at(-1)!) };
}

/** How many of the values a log axis cannot show. */
export function countOfNonPositive(values: Float64Array): number {
  return values.filter((value) => value <= 0).length;
}

/** Return the place of the vertex nearest to `x`, or -1. */
export function nearest(xs: Float64Array, x: number): number {
  if (!xs.length) return -1;
  const after = placeOf(xs, x);
  if (after === 0) return 0;
  if (after === xs.length) return xs.length - 1;
  return xs[after]! - x < x - xs[after - 1]! ? after : after - 1;
}

/** Return the value of the drawn line at `x`, between two vertices too; NaN where it has none. */
export function valueAt(xs: Float64Array, ys: Float64Array, x: number): number {
  const after = placeOf(xs, x);
  if (xs[after] === x) return ys[after]!;
  if (after === 0 || after === xs.length) return Number.NaN;
  const share = (x - xs[after - 1]!) / (xs[after]! - xs[after - 1]!);
  return ys[after - 1]! + share * (ys[after]! - ys[after - 1]!);
}

/** Return the block that holds the vertex at `place`. */
export function blockAt(shape: Shape, place: number): number {
  if (shape.series.exact) return place;
  return Math.max(0, placeOf(shape.series.x, shape.xs[place]!, true) - 1);
}
