// Draws lines on the canvas: envelope, line, smoothed line, marks.
import type { Projection } from "./plot";
import { dotsOf, type Shape } from "./shape";

export interface Look {
  colour: string;
  dash: readonly number[];
  /** Picked runs are drawn thicker. */
  isPicked: boolean;
  /** Another line is looked at. */
  isFaint: boolean;
  isLookedAt: boolean;
}

const RAW_ALPHA = 0.3;
const FAINT_ALPHA = 0.25;

export function drawShape(
  context: CanvasRenderingContext2D,
  at: Projection,
  shape: Shape,
  look: Look,
): void {
  const { ratio } = at;
  const strength = look.isFaint ? FAINT_ALPHA : 1;
  context.strokeStyle = look.colour;
  context.fillStyle = look.colour;
  context.lineJoin = "round";
  context.lineCap = "butt";
  drawEnvelope(context, at, shape, strength * (shape.smooth ? 0.6 : 1));
  // A line with more points than pixels is a ribbon; a thin one leaves others to be seen.
  const isDense = !shape.smooth && pointsInSight(shape.xs, at) > at.width / ratio;
  const width = (look.isLookedAt ? 2.2 : look.isPicked ? 2.2 : isDense ? 1 : 1.5) * ratio;
  const dash = look.dash.map((part) => part * ratio);
  if (shape.smooth) {
    stroke(context, at, shape.xs, shape.ys, { alpha: strength * RAW_ALPHA, width: ratio, dash: [] });
    stroke(context, at, shape.xs, shape.smooth, { alpha: strength, width: width * 1.15, dash });
  } else {
    const alpha = strength * (isDense && !look.isLookedAt ? 0.75 : 1);
    stroke(context, at, shape.xs, shape.ys, { alpha, width, dash: isDense ? [] : dash });
  }
  drawDots(context, at, shape.xs, shape.ys, shape.dots, strength);
  drawInfinite(context, at, shape, strength);
  drawExits(context, at, shape.xs, shape.smooth ?? shape.ys, strength);
  context.globalAlpha = 1;
}

interface Pen {
  alpha: number;
  width: number;
  dash: number[];
}

function stroke(
  context: CanvasRenderingContext2D,
  at: Projection,
  xs: Float64Array,
  ys: Float64Array,
  pen: Pen,
): void {
  const first = Math.max(0, before(xs, at) - 1);
  const most = at.left + at.width + 2;
  context.beginPath();
  let isDown = false;
  for (let place = first; place < xs.length; place++) {
    const value = ys[place]!;
    if (!Number.isFinite(value)) {
      isDown = false; // a gap
      continue;
    }
    const x = at.x(xs[place]!);
    const y = at.y(value);
    if (isDown) context.lineTo(x, y);
    else context.moveTo(x, y);
    isDown = true;
    if (x > most) break;
  }
  context.globalAlpha = pen.alpha;
  context.lineWidth = pen.width;
  context.setLineDash(pen.dash);
  context.stroke();
  context.setLineDash([]);
}

function pointsInSight(xs: Float64Array, at: Projection): number {
  return before(xs, at, at.left + at.width) - before(xs, at);
}

/** Return the first place whose x is in sight, or at the right of `edge`. */
function before(xs: Float64Array, at: Projection, edge = at.left): number {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at.x(xs[middle]!) < edge) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Fill what lies between the extremes of the blocks, and draw its edges, so that one value among
 * a hundred thousand can be seen although its block is not a pixel wide.
 */
function drawEnvelope(context: CanvasRenderingContext2D, at: Projection, shape: Shape, strength: number): void {
  const { series } = shape;
  if (series.exact) return;
  const start = Math.max(0, before(series.x, at) - 1);
  const most = at.left + at.width + 2;
  const upper: number[] = [];
  const lower: number[] = [];
  const flush = () => {
    if (upper.length) {
      fillBetween(context, upper, lower, strength);
      context.globalAlpha = 0.5 * strength;
      context.lineWidth = at.ratio;
      for (const edge of [upper, lower]) {
        trace(context, edge);
        context.stroke();
      }
    }
    upper.length = lower.length = 0;
  };
  for (let place = start; place < series.x.length; place++) {
    const least = finite(series.min[place]!, series.first[place]!, series.last[place]!);
    const largest = finite(series.max[place]!, series.last[place]!, series.first[place]!);
    if (Number.isNaN(least) || Number.isNaN(largest)) {
      flush();
      continue;
    }
    const left = at.x(series.x[place]!);
    const right = Math.max(left + at.ratio, at.x(series.xLast[place]!));
    const top = at.y(largest);
    const bottom = at.y(least);
    upper.push(left, top, right, top);
    lower.push(left, bottom, right, bottom);
    if (left > most) break;
  }
  flush();
}

function trace(context: CanvasRenderingContext2D, points: number[]): void {
  context.beginPath();
  context.moveTo(points[0]!, points[1]!);
  for (let place = 2; place < points.length; place += 2) context.lineTo(points[place]!, points[place + 1]!);
}

/** Fill what lies between two edges. */
function fillBetween(context: CanvasRenderingContext2D, upper: number[], lower: number[], strength: number): void {
  trace(context, upper);
  for (let place = lower.length - 2; place >= 0; place -= 2) context.lineTo(lower[place]!, lower[place + 1]!);
  context.closePath();
  context.globalAlpha = 0.2 * strength;
  context.fill();
}

/** Return the first of these that is finite, or NaN. */
function finite(...values: number[]): number {
  return values.find(Number.isFinite) ?? Number.NaN;
}

function drawDots(
  context: CanvasRenderingContext2D,
  at: Projection,
  xs: Float64Array,
  ys: Float64Array,
  places: number[],
  strength: number,
): void {
  context.globalAlpha = strength;
  const radius = (xs.length === 1 ? 4 : 2.5) * at.ratio;
  for (const place of places) {
    context.beginPath();
    context.arc(at.x(xs[place]!), at.y(ys[place]!), radius, 0, Math.PI * 2);
    context.fill();
  }
}

const TRIANGLE = 4.5;

/** Triangles at the edges, where values are infinite. */
function drawInfinite(context: CanvasRenderingContext2D, at: Projection, shape: Shape, strength: number): void {
  context.globalAlpha = strength;
  let drawn = -Infinity;
  for (const { x, isAbove } of shape.infinite) {
    const left = at.x(x);
    if (left - drawn < 1) continue; // on the one before
    drawn = left;
    drawTriangle(context, at, left, isAbove);
  }
}

/** Triangles at the edges, where a line leaves an axis that is drawn over others. */
function drawExits(
  context: CanvasRenderingContext2D,
  at: Projection,
  xs: Float64Array,
  ys: Float64Array,
  strength: number,
): void {
  context.globalAlpha = strength;
  let side = 0;
  let drawn = -Infinity;
  for (let place = 0; place < xs.length; place++) {
    if (!Number.isFinite(ys[place])) continue;
    const left = at.x(xs[place]!);
    const y = at.y(ys[place]!);
    const now = y < at.top - 1 ? 1 : y > at.top + at.height + 1 ? -1 : 0;
    if (now !== 0 && now !== side && left - drawn >= 1) {
      const before = place > 0 && side === 0 && Number.isFinite(ys[place - 1]) ? place - 1 : place;
      drawn = crossing(at, left, y, at.x(xs[before]!), at.y(ys[before]!), now > 0);
      drawTriangle(context, at, drawn, now > 0);
    }
    side = now;
  }
}

/** Return where a line from the point before crosses an edge of the area. */
function crossing(at: Projection, x: number, y: number, xBefore: number, yBefore: number, isAbove: boolean): number {
  const edge = isAbove ? at.top : at.top + at.height;
  return y === yBefore ? x : xBefore + ((edge - yBefore) / (y - yBefore)) * (x - xBefore);
}

function drawTriangle(context: CanvasRenderingContext2D, at: Projection, x: number, isAbove: boolean): void {
  const size = TRIANGLE * at.ratio;
  if (x < at.left - size || x > at.left + at.width + size) return;
  const edge = isAbove ? at.top + at.ratio : at.top + at.height - at.ratio;
  const base = edge + (isAbove ? 1 : -1) * size * 1.6;
  context.beginPath();
  context.moveTo(x, edge);
  context.lineTo(x - size, base);
  context.lineTo(x + size, base);
  context.closePath();
  context.fill();
}

/** A mean and the interval around it. */
export interface MeanShape {
  x: Float64Array;
  mean: Float64Array;
  low: Float64Array;
  high: Float64Array;
}

export function drawMean(
  context: CanvasRenderingContext2D,
  at: Projection,
  shape: MeanShape,
  look: Look,
): void {
  const strength = look.isFaint ? FAINT_ALPHA : 1;
  context.fillStyle = look.colour;
  context.strokeStyle = look.colour;
  const upper: number[] = [];
  const lower: number[] = [];
  const flush = () => {
    if (upper.length > 2) {
      fillBetween(context, upper, lower, strength);
    } else if (upper.length) {
      context.globalAlpha = 0.6 * strength;
      context.fillRect(upper[0]! - at.ratio, upper[1]!, 2 * at.ratio, lower[1]! - upper[1]!);
    }
    upper.length = lower.length = 0;
  };
  shape.x.forEach((x, place) => {
    const low = shape.low[place]!;
    const high = shape.high[place]!;
    if (!Number.isFinite(low) || !Number.isFinite(high)) {
      flush();
      return;
    }
    upper.push(at.x(x), at.y(high));
    lower.push(at.x(x), at.y(low));
  });
  flush();
  const pen = {
    alpha: strength,
    width: (look.isLookedAt ? 2.6 : 2) * at.ratio,
    dash: look.dash.map((part) => part * at.ratio),
  };
  stroke(context, at, shape.x, shape.mean, pen);
  drawExits(context, at, shape.x, shape.mean, strength);
  drawDots(context, at, shape.x, shape.mean, dotsOf(shape.mean), strength);
  context.globalAlpha = 1;
}
