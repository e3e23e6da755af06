// What a chart draws: the series of one run, or the mean of several.
import { markOf } from "../common/colour";
import { type MeanShape, drawMean, drawShape, type Look } from "./draw";
import type { Series } from "./decode";
import type { Extent } from "./extent";
import type { Projection } from "./plot";
import { markId, nameOf } from "./runs";
import {
  blockAt, countOfNonPositive, extentX, extentY, nearest, type Shape, shapeOf, valueAt,
} from "./shape";

/** What a line shows near the cursor. */
export interface Reading {
  x: number;
  value: number;
  /** What the value was before smoothing. */
  raw: number | null;
  low: number;
  high: number;
}

export interface Summary {
  points: number;
  first: number;
  last: number;
  least: number;
  most: number;
}

export interface Line {
  id: string;
  /** The runs behind it. */
  uids: string[];
  name: () => string;
  mark: { colour: number; dash: number };
  isEmpty: boolean;
  /** How many values a log axis leaves out. */
  nonPositive: () => number;
  extentX: () => Extent | null;
  extentY: (from: number, to: number, isLog: boolean) => Extent | null;
  /** The drawn value at x, NaN where there is none. */
  valueAt: (x: number) => number;
  /** What there is at x or, within `reach` of it, beside it. */
  reading: (x: number, reach: number) => Reading | null;
  draw: (context: CanvasRenderingContext2D, at: Projection, look: Look) => void;
  summary: () => Summary;
  /** Columns and rows of all that is known, for a file. */
  rows: () => { head: string[]; rows: number[][] };
}

export function seriesLine(series: Series, smoothing: number): Line {
  const shape = shapeOf(series, smoothing);
  return {
    id: `${series.uid}/${series.setName ?? ""}`,
    uids: [series.uid],
    name: () => nameOf(series.uid, series.setName),
    mark: markOf(markId(series)),
    isEmpty: shape.isEmpty,
    nonPositive: () => countOfNonPositive(series.min),
    extentX: () => extentX(series),
    extentY: (from, to, isLog) => extentY(series, from, to, isLog),
    valueAt: (x) => valueAt(shape.xs, shape.smooth ?? shape.ys, x),
    reading: (x, reach) => readingOf(shape, x, reach),
    draw: (context, at, look) => drawShape(context, at, shape, look),
    summary: () => summaryOf(series),
    rows: () => rowsOf(series),
  };
}

function readingOf(shape: Shape, x: number, reach: number): Reading | null {
  const { series } = shape;
  const place = nearest(shape.xs, x);
  if (place < 0) return null;
  const block = blockAt(shape, place);
  const isWithin = x >= series.x[0]! && x <= extentX(series)!.most;
  if (!isWithin && Math.abs(shape.xs[place]! - x) > reach) return null;
  const raw = shape.ys[place]!;
  return {
    x: shape.xs[place]!,
    value: shape.smooth ? shape.smooth[place]! : raw,
    raw: shape.smooth ? raw : null,
    low: series.min[block]!,
    high: series.max[block]!,
  };
}

function summaryOf(series: Series): Summary {
  let least = Number.NaN;
  let most = Number.NaN;
  for (let place = 0; place < series.min.length; place++) {
    const low = series.min[place]!;
    const high = series.max[place]!;
    if (!(low >= least)) least = Number.isNaN(low) ? least : low;
    if (!(high <= most)) most = Number.isNaN(high) ? most : high;
  }
  return {
    points: series.count,
    first: series.first[0] ?? Number.NaN,
    last: series.last.at(-1) ?? Number.NaN,
    least,
    most,
  };
}

function rowsOf(series: Series): { head: string[]; rows: number[][] } {
  const { x, first, min, max, last, xLast } = series;
  if (series.exact) return { head: ["x", "value"], rows: Array.from(x, (at, place) => [at, first[place]!]) };
  return {
    head: ["x", "first", "min", "max", "last", "x_last"],
    rows: Array.from(x, (at, place) => [
      at, first[place]!, min[place]!, max[place]!, last[place]!, xLast[place]!,
    ]),
  };
}

/** The mean of runs that are equal but for their seed. */
export interface Mean extends MeanShape {
  id: string;
  uids: string[];
  label: string;
}

export function meanLine(mean: Mean): Line {
  const { x, low, high } = mean;
  const isEmpty = !mean.mean.some(Number.isFinite);
  return {
    id: mean.id,
    uids: mean.uids,
    name: () => mean.label,
    mark: markOf(mean.id),
    isEmpty,
    nonPositive: () => countOfNonPositive(mean.mean),
    extentX: () => (x.length ? { least: x[0]!, most: x.at(-1)! } : null),
    extentY: (from, to, isLog) => meanExtent(mean, from, to, isLog),
    valueAt: (at) => valueAt(x, mean.mean, at),
    reading: (at, reach) => {
      const place = nearest(x, at);
      if (place < 0) return null;
      const isWithin = at >= x[0]! && at <= x.at(-1)!;
      if (!isWithin && Math.abs(x[place]! - at) > reach) return null;
      return { x: x[place]!, value: mean.mean[place]!, raw: null, low: low[place]!, high: high[place]! };
    },
    draw: (context, at, look) => drawMean(context, at, mean, look),
    summary: () => {
      const finite = [...mean.mean].filter(Number.isFinite);
      return {
        points: x.length,
        first: mean.mean[0] ?? Number.NaN,
        last: mean.mean.at(-1) ?? Number.NaN,
        least: finite.length ? Math.min(...finite) : Number.NaN,
        most: finite.length ? Math.max(...finite) : Number.NaN,
      };
    },
    rows: () => ({
      head: ["x", "mean", "low", "high"],
      rows: Array.from(x, (at, place) => [at, mean.mean[place]!, low[place]!, high[place]!]),
    }),
  };
}

function meanExtent(mean: Mean, from: number, to: number, isLog: boolean): Extent | null {
  let least = Infinity;
  let most = -Infinity;
  mean.x.forEach((x, place) => {
    if (x < from || x > to) return;
    for (const value of [mean.mean[place]!, mean.low[place]!, mean.high[place]!]) {
      if (!Number.isFinite(value) || (isLog && value <= 0)) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  });
  return least <= most ? { least, most } : null;
}
