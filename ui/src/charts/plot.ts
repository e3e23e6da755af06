// The frame of a chart: canvas, scales and axes.
import type { XAxis } from "./series";
import {
  durationTexts, durationTicks, linearTicks, logTexts, logTicks, tickTexts, timeStep, timeTexts, timeTicks,
} from "./ticks";

export interface Range {
  from: number;
  to: number;
}

/** Turns values into pixels of the canvas. */
export interface Projection {
  x: (value: number) => number;
  y: (value: number) => number;
  left: number;
  top: number;
  width: number;
  height: number;
  /** Pixels of the canvas in a CSS pixel. */
  ratio: number;
}

export interface PlotOptions {
  host: HTMLElement;
  width: number;
  height: number;
  xAxis: XAxis;
  logX: boolean;
  logY: boolean;
  /** Reads a CSS variable of the theme that is shown. */
  colour: (name: string) => string;
  draw: (context: CanvasRenderingContext2D, at: Projection) => void;
}

/** The marks of an axis, and what stands beside them. */
interface Marks {
  values: number[];
  texts: string[];
}

const FONT = 'px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const FONT_SIZE = 11;
const LINE_HEIGHT = 15;
const ABOVE = 8;
const AT_RIGHT = 14;
/** Between the area and the texts of an axis. */
const GAP = 6;

export class Plot {
  readonly canvas = document.createElement("canvas");
  /** The area between the axes, in CSS pixels from the corner of the host. */
  area = { left: 0, top: ABOVE, width: 1, height: 1 };
  // Until there is something to show; a logarithmic axis has no zero.
  x: Range = { from: 1, to: 2 };
  y: Range = { from: 1, to: 2 };
  private readonly context = this.canvas.getContext("2d")!;
  private marksX: Marks = { values: [], texts: [] };
  private marksY: Marks = { values: [], texts: [] };
  private ratio = devicePixelRatio;
  private isWhole = true;
  private isQueued = false;

  constructor(private readonly options: PlotOptions) {
    options.host.append(this.canvas);
    this.lay();
  }

  /** Find the marks, and the room that their texts leave. */
  private lay(): void {
    const { width, height, xAxis } = this.options;
    const below = xAxis === "time" ? 36 : 24;
    this.area.height = Math.max(1, height - ABOVE - below);
    this.marksY = this.findMarksY();
    // Charts below each other have the same left edge, unless their texts are long.
    const longest = Math.max(0, ...this.marksY.texts.map((text) => text.length));
    this.area.left = Math.max(46, Math.ceil((longest * 6.6 + 14) * (width < 260 ? 0.95 : 1)));
    this.area.width = Math.max(1, width - this.area.left - AT_RIGHT);
    this.marksX = this.findMarksX();
    this.redraw();
  }

  private findMarksY(): Marks {
    const { from, to } = this.y;
    const count = Math.max(2, this.area.height / 36);
    const isLog = this.options.logY;
    const values = (isLog ? logTicks : linearTicks)(from, to, count);
    return { values, texts: isLog ? logTexts(values, from, to) : tickTexts(values) };
  }

  private findMarksX(): Marks {
    const { from, to } = this.x;
    const { xAxis, logX } = this.options;
    const count = this.area.width / (xAxis === "time" ? 76 : 70);
    if (xAxis === "time") {
      const step = timeStep(from, to, count);
      const values = timeTicks(from, to, step);
      return { values, texts: timeTexts(values, step) };
    }
    const isRelative = xAxis === "relative";
    let values = (logX ? logTicks : isRelative ? durationTicks : linearTicks)(from, to, count);
    if (isRelative) return { values, texts: durationTexts(values) };
    if (logX) return { values, texts: logTexts(values, from, to) };
    if (values.some(Number.isInteger)) values = values.filter(Number.isInteger);
    return { values, texts: tickTexts(values) };
  }

  private draw(): void {
    const { width, height } = this.options;
    const { canvas, context, ratio } = this;
    // This clears it, too.
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const at = this.projection();
    this.drawAxes(at);
    context.save();
    context.beginPath();
    // A point at an end of its axis is drawn whole.
    const room = this.isWhole ? 5 * ratio : 0;
    context.rect(at.left - room, at.top, at.width + 2 * room, at.height);
    context.clip();
    this.options.draw(context, at);
    context.restore();
  }

  private drawAxes(at: Projection): void {
    const { context, ratio, marksX, marksY } = this;
    const { colour } = this.options;
    const thick = Math.max(1, Math.round(ratio));
    const xs = marksX.values.map((value) => Math.round(at.x(value)));
    const ys = marksY.values.map((value) => Math.round(at.y(value)));
    context.fillStyle = colour("--line");
    for (const x of xs) context.fillRect(x, at.top, thick, at.height);
    for (const y of ys) context.fillRect(at.left, y, at.width, thick);
    context.fillStyle = colour("--text-soft");
    context.font = FONT_SIZE * ratio + FONT;
    context.textAlign = "center";
    context.textBaseline = "top";
    marksX.texts.forEach((text, place) => {
      text.split("\n").forEach((line, below) => {
        context.fillText(line, xs[place]!, at.top + at.height + (GAP + below * LINE_HEIGHT) * ratio);
      });
    });
    context.textAlign = "right";
    context.textBaseline = "middle";
    marksY.texts.forEach((text, place) => context.fillText(text, at.left - GAP * ratio, ys[place]!));
  }

  /** Return how values are drawn on the canvas now. */
  projection(): Projection {
    const { ratio } = this;
    const { logX, logY } = this.options;
    const [left, top, width, height] = [this.area.left, this.area.top, this.area.width, this.area.height].map(
      (length) => Math.round(length * ratio),
    ) as [number, number, number, number];
    return {
      x: mapped(this.x, logX, left, left + width),
      y: within(mapped(this.y, logY, top + height, top)),
      left, top, width, height, ratio,
    };
  }

  /** Return the value of x at a place of the area, 0 at its left and 1 at its right. */
  valueAt(share: number): number {
    const { from, to } = this.x;
    if (!this.options.logX) return from + share * (to - from);
    return from * (to / from) ** share;
  }

  /** Return the place of a value of x in the area. */
  shareOf(value: number): number {
    const { from, to } = this.x;
    if (!this.options.logX) return (value - from) / (to - from);
    return Math.log(value / from) / Math.log(to / from);
  }

  /** Show these ranges, drawing all; `isWhole` says that the lines end where the axis does. */
  show(x: Range, y: Range, isWhole: boolean): void {
    this.isWhole = isWhole;
    this.x = x;
    this.y = y;
    this.lay();
  }

  resize(width: number, height: number): void {
    if (width === this.options.width && height === this.options.height && this.ratio === devicePixelRatio) return;
    Object.assign(this.options, { width, height });
    this.lay();
  }

  /** Draw all again, e.g. in other colours; several changes at once are drawn once. */
  redraw(): void {
    if (this.isQueued) return;
    this.isQueued = true;
    queueMicrotask(() => {
      this.isQueued = false;
      this.ratio = devicePixelRatio;
      if (this.canvas.isConnected) this.draw();
    });
  }

  destroy(): void {
    this.canvas.remove();
  }
}

/** Canvases draw nothing of a line that ends at a place beyond their numbers. */
const FARTHEST = 1e6;

function within(map: (value: number) => number): (value: number) => number {
  return (value) => Math.max(-FARTHEST, Math.min(FARTHEST, map(value)));
}

function mapped(range: Range, isLog: boolean, start: number, end: number): (value: number) => number {
  if (!isLog) {
    // Halves: the distance of two numbers may be no number.
    const half = range.from / 2;
    const factor = (end - start) / (range.to / 2 - half);
    return (value) => start + (value / 2 - half) * factor;
  }
  const least = Math.log(range.from);
  const factor = (end - start) / (Math.log(range.to) - least);
  // Values that a log axis lacks lie far below it.
  return (value) => (value > 0 ? start + (Math.log(value) - least) * factor : start - (end - start) * 1e3);
}
