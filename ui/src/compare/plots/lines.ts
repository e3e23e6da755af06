// Many lines over several axes: drawn, and found again under the pointer.
import type { Colouring, Rgb } from "./palette";
import { paste } from "./points";

export interface Lines {
  count: number;
  /** Where the axes are, from left to right. */
  x: number[];
  /** Of each axis: where each line crosses it. */
  y: Float32Array[];
}

/** More lines than these are summed up pixel by pixel: what is dense is then seen to be dense. */
const FEW = 3_000;

export function drawLines(
  context: CanvasRenderingContext2D,
  lines: Lines,
  paint: Colouring,
  mask: Uint8Array | null,
  ratio: number,
): void {
  if (lines.x.length < 2) return;
  if (lines.count > FEW) {
    drawDensity(context, lines, paint, mask, ratio);
    return;
  }
  const alpha = lines.count > 500 ? 0.35 : lines.count > 100 ? 0.55 : 0.85;
  if (mask) strokeAll(context, lines, (place) => (mask[place] ? null : paint.colours[paint.none]!), 0.12, 1);
  const width = lines.count > 100 ? 1 : 1.8;
  strokeAll(context, lines, (place) => (!mask || mask[place] ? paint.colours[paint.of[place]!]! : null), alpha, width);
}

function strokeAll(
  context: CanvasRenderingContext2D,
  { count, x, y }: Lines,
  colourOf: (place: number) => Rgb | null,
  alpha: number,
  width: number,
): void {
  context.lineWidth = width;
  context.lineJoin = "round";
  for (let place = 0; place < count; place++) {
    const colour = colourOf(place);
    if (!colour) continue;
    context.strokeStyle = `rgb(${colour[0]} ${colour[1]} ${colour[2]} / ${alpha})`;
    context.beginPath();
    x.forEach((px, at) => context.lineTo(px, y[at]![place]!));
    context.stroke();
  }
}

/** Lines whose ends are as near as this on both axes are one line, that counts as many. */
const SAME_PIXELS = 1;
/** Of each pixel, or each pair of ends: how many lines, and the sums of their colours. */
const PARTS = 4;

/** Count the lines through each pixel, with the mean of their colours; more lines are denser. */
function drawDensity(
  context: CanvasRenderingContext2D,
  lines: Lines,
  paint: Colouring,
  mask: Uint8Array | null,
  ratio: number,
): void {
  const { width, height } = context.canvas;
  const sums = new Float32Array(width * height * PARTS);
  const room = Math.round(SAME_PIXELS * ratio);
  const rows = Math.ceil(height / room) + 1;
  const ends = new Float32Array(rows * rows * PARTS);
  for (let axis = 1; axis < lines.x.length; axis++) {
    ends.fill(0);
    countEnds(ends, rows, lines, axis, paint, mask, ratio / room);
    const left = Math.round(lines.x[axis - 1]! * ratio);
    const right = Math.round(lines.x[axis]! * ratio);
    spreadEnds(sums, width, ends, rows, room, left, right);
  }
  paste(context, imageOf(sums, width, height));
}

function countEnds(
  ends: Float32Array,
  rows: number,
  { count, y }: Lines,
  axis: number,
  paint: Colouring,
  mask: Uint8Array | null,
  scale: number,
): void {
  const from = y[axis - 1]!;
  const to = y[axis]!;
  for (let place = 0; place < count; place++) {
    if (mask && !mask[place]) continue;
    const colour = paint.colours[paint.of[place]!]!;
    const at = (((from[place]! * scale) | 0) * rows + ((to[place]! * scale) | 0)) * PARTS;
    ends[at]!++;
    ends[at + 1]! += colour[0];
    ends[at + 2]! += colour[1];
    ends[at + 3]! += colour[2];
  }
}

/** Every second column of pixels is enough: the one beside it shows the same. */
const STRIDE = 2;
const FEW_PAIRS = 12_000;

function spreadEnds(
  sums: Float32Array,
  width: number,
  ends: Float32Array,
  rows: number,
  room: number,
  left: number,
  right: number,
): void {
  const steps = Math.max(1, Math.ceil((right - left) / STRIDE));
  let pairs = 0;
  for (let at = 0; at < ends.length; at += PARTS) if (ends[at]) pairs++;
  const areFew = pairs < FEW_PAIRS;
  for (let pair = 0; pair < rows * rows; pair++) {
    const lines = ends[pair * PARTS]!;
    if (!lines) continue;
    const red = ends[pair * PARTS + 1]!;
    const green = ends[pair * PARTS + 2]!;
    const blue = ends[pair * PARTS + 3]!;
    const from = Math.floor(pair / rows) * room + room / 2;
    const step = (((pair % rows) * room + room / 2) - from) / steps;
    for (let n = 0; n < steps; n++) {
      const row = (from + n * step) | 0;
      // A steep line fills its column, unless so many others do that nobody sees a gap.
      const last = areFew ? (from + (n + 1) * step) | 0 : row;
      for (let at = row; ; at += last > row ? 1 : -1) {
        const cell = (at * width + left + n * STRIDE) * PARTS;
        sums[cell]! += lines;
        sums[cell + 1]! += red;
        sums[cell + 2]! += green;
        sums[cell + 3]! += blue;
        if (at === last || Math.abs(last - at) === 1) break;
      }
    }
  }
}

function imageOf(sums: Float32Array, width: number, height: number): ImageData {
  let most = 1;
  for (let cell = 0; cell < sums.length; cell += PARTS) if (sums[cell]! > most) most = sums[cell]!;
  const image = new ImageData(width, height);
  const pixels = image.data;
  const scale = 1 / Math.log1p(Math.min(most, 400));
  for (let cell = 0; cell < sums.length; cell += PARTS) {
    const lines = sums[cell]!;
    if (!lines) continue;
    const alpha = 255 * Math.min(1, 0.12 + 0.88 * Math.log1p(lines) * scale);
    for (let copy = 0; copy < STRIDE; copy++) {
      const to = cell + 4 * copy;
      pixels[to] = sums[cell + 1]! / lines;
      pixels[to + 1] = sums[cell + 2]! / lines;
      pixels[to + 2] = sums[cell + 3]! / lines;
      pixels[to + 3] = alpha;
    }
  }
  return image;
}

const REACH = 7;

/** Return the place of the line nearest to a point; -1 if none is near. */
export function nearestLine({ count, x, y }: Lines, px: number, py: number, mask: Uint8Array | null): number {
  let axis = x.findIndex((one) => one > px);
  if (axis < 0) axis = x.length - 1;
  if (axis === 0) axis = 1;
  if (x.length < 2 || px < x[0]! - REACH || px > x.at(-1)! + REACH) return -1;
  const from = y[axis - 1]!;
  const to = y[axis]!;
  const share = (px - x[axis - 1]!) / (x[axis]! - x[axis - 1]!);
  let found = -1;
  let best = REACH;
  for (let place = 0; place < count; place++) {
    if (mask && !mask[place]) continue;
    const distance = Math.abs(from[place]! + (to[place]! - from[place]!) * share - py);
    if (distance < best) {
      best = distance;
      found = place;
    }
  }
  return found;
}
