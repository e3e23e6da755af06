// Many points at once: drawn into pixels, and found again under the pointer.
import type { Rgb } from "./palette";

export interface Points {
  /** Pixels from the left and the top of the canvas; NaN for what is not drawn. */
  x: Float32Array;
  y: Float32Array;
}

/** More points than these are put into pixels by hand, which is ten times as fast. */
const FEW = 4_000;

interface Drawing {
  points: Points;
  colourOf: Uint8Array;
  colours: readonly Rgb[];
  /** 1 for points that are drawn; null for all. */
  mask: Uint8Array | null;
  alpha: number;
}

export function drawPoints(context: CanvasRenderingContext2D, drawing: Drawing, ratio: number): void {
  if (drawing.points.x.length <= FEW) drawCircles(context, drawing);
  else drawPixels(context, drawing, ratio);
}

function drawCircles(context: CanvasRenderingContext2D, { points, colourOf, colours, mask, alpha }: Drawing): void {
  const radius = points.x.length > 800 ? 3 : 4.5;
  for (let place = 0; place < points.x.length; place++) {
    if ((mask && !mask[place]) || Number.isNaN(points.x[place]!)) continue;
    const [red, green, blue] = colours[colourOf[place]!]!;
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${alpha})`;
    context.beginPath();
    context.arc(points.x[place]!, points.y[place]!, radius, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawPixels(context: CanvasRenderingContext2D, { points, colourOf, colours, mask, alpha }: Drawing, ratio: number): void {
  const { width, height } = context.canvas;
  const image = new ImageData(width, height);
  const pixels = image.data;
  const size = Math.max(2, Math.round((points.x.length > 30_000 ? 2 : 3) * ratio));
  const half = size >> 1;
  for (let place = 0; place < points.x.length; place++) {
    const px = points.x[place]!;
    if ((mask && !mask[place]) || Number.isNaN(px)) continue;
    const [red, green, blue] = colours[colourOf[place]!]!;
    const left = Math.round(px * ratio) - half;
    const top = Math.round(points.y[place]! * ratio) - half;
    for (let y = Math.max(0, top); y < Math.min(height, top + size); y++) {
      for (let x = Math.max(0, left); x < Math.min(width, left + size); x++) {
        const at = (y * width + x) * 4;
        const below = pixels[at + 3]! / 255;
        const share = alpha / (alpha + below * (1 - alpha));
        pixels[at] = pixels[at]! + (red - pixels[at]!) * share;
        pixels[at + 1] = pixels[at + 1]! + (green - pixels[at + 1]!) * share;
        pixels[at + 2] = pixels[at + 2]! + (blue - pixels[at + 2]!) * share;
        pixels[at + 3] = 255 * (alpha + below * (1 - alpha));
      }
    }
  }
  paste(context, image);
}

/** Put pixels over what is drawn already. */
export function paste(context: CanvasRenderingContext2D, image: ImageData): void {
  const layer = new OffscreenCanvas(image.width, image.height);
  layer.getContext("2d")!.putImageData(image, 0, 0);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(layer, 0, 0);
  context.restore();
}

const CELL = 16;

/** Finds the nearest point quickly: points are kept by squares of a few pixels. */
export class PointIndex {
  private readonly columns: number;
  private readonly first: Int32Array;
  private readonly next: Int32Array;

  constructor(
    private readonly points: Points,
    width: number,
    height: number,
  ) {
    this.columns = Math.ceil(width / CELL) + 1;
    this.first = new Int32Array(this.columns * (Math.ceil(height / CELL) + 1)).fill(-1);
    this.next = new Int32Array(points.x.length).fill(-1);
    for (let place = 0; place < points.x.length; place++) {
      if (Number.isNaN(points.x[place]!)) continue;
      const cell = this.cellAt(points.x[place]!, points.y[place]!);
      this.next[place] = this.first[cell]!;
      this.first[cell] = place;
    }
  }

  private cellAt(x: number, y: number): number {
    const cell = Math.floor(y / CELL) * this.columns + Math.floor(x / CELL);
    return Math.max(0, Math.min(this.first.length - 1, cell));
  }

  /** Return the place of the nearest point within a cell's width; -1 without one. */
  nearest(x: number, y: number): number {
    let found = -1;
    let best = CELL * CELL;
    for (let down = -1; down <= 1; down++) {
      for (let right = -1; right <= 1; right++) {
        for (let at = this.first[this.cellAt(x + right * CELL, y + down * CELL)]!; at >= 0; at = this.next[at]!) {
          const distance = (this.points.x[at]! - x) ** 2 + (this.points.y[at]! - y) ** 2;
          if (distance < best) {
            best = distance;
            found = at;
          }
        }
      }
    }
    return found;
  }
}
