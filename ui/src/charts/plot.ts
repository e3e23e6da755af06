// The frame of a chart: canvas, scales and axes. The only module that knows uPlot.
import uPlot from "uplot";
import type { XAxis } from "./series";
import { durationTexts, durationTicks, linearTicks, logTexts, logTicks, tickTexts, timeTexts } from "./ticks";

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

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export class Plot {
  private readonly u: uPlot;
  private rangeX: Range = { from: 0, to: 1 };
  private rangeY: Range = { from: 0, to: 1 };
  private isWhole = true;

  constructor(private readonly options: PlotOptions) {
    const { host, width, height, logX, logY, xAxis } = options;
    const distribution = (isLog: boolean): uPlot.Scale => ({ distr: isLog ? 3 : 1 });
    this.u = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 14, 0, 0],
        scales: {
          x: { ...distribution(logX), time: xAxis === "time" && !logX, range: () => [this.rangeX.from, this.rangeX.to] },
          y: { ...distribution(logY), range: () => [this.rangeY.from, this.rangeY.to] },
        },
        series: [{}],
        axes: [this.axisX(), this.axisY()],
        hooks: { draw: [() => this.drawInside()] },
      },
      [[0, 1]],
      host,
    );
  }

  private axis(): uPlot.Axis {
    const { colour } = this.options;
    return {
      font: FONT,
      stroke: () => colour("--text-soft"),
      grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
  }

  private axisX(): uPlot.Axis {
    const { xAxis, logX } = this.options;
    const isTime = xAxis === "time";
    const axis: uPlot.Axis = { ...this.axis(), size: isTime ? 36 : 24, gap: 6, space: 76 };
    if (isTime) {
      axis.values = (_u, splits, _axis, _space, step) => timeTexts(splits, step);
      return axis;
    }
    axis.incrs = ANY_STEP;
    axis.filter = (_u, splits) => splits;
    const count = (u: uPlot) => u.bbox.width / uPlot.pxRatio / 70;
    if (logX) {
      axis.splits = (u, _axis, least, most) => logTicks(least, most, count(u));
      axis.values = (_u, splits) =>
        xAxis === "relative" ? durationTexts(splits) : logTexts(splits, this.rangeX.from, this.rangeX.to);
    } else if (xAxis === "relative") {
      axis.splits = (u, _axis, least, most) => durationTicks(least, most, count(u));
      axis.values = (_u, splits) => durationTexts(splits);
    } else {
      axis.splits = (u, _axis, least, most) => {
        const marks = linearTicks(least, most, count(u));
        return marks.some(Number.isInteger) ? marks.filter(Number.isInteger) : marks;
      };
      axis.values = (_u, splits) => tickTexts(splits);
    }
    return axis;
  }

  private axisY(): uPlot.Axis {
    const { logY } = this.options;
    const count = (u: uPlot) => Math.max(2, u.bbox.height / uPlot.pxRatio / 36);
    return {
      ...this.axis(),
      gap: 6,
      size: (u, texts) => this.widthOf(u, texts),
      incrs: ANY_STEP,
      filter: (_u, splits) => splits,
      splits: (u, _axis, least, most) => (logY ? logTicks : linearTicks)(least, most, count(u)),
      values: (_u, splits) => (logY ? logTexts(splits, this.rangeY.from, this.rangeY.to) : tickTexts(splits)),
    };
  }

  /** Charts below each other have the same left edge, unless their texts are long. */
  private widthOf(u: uPlot, texts: string[] | null): number {
    const longest = Math.max(0, ...(texts ?? []).map((text) => text.length));
    return Math.max(46, Math.ceil((longest * 6.6 + 14) * (u.width < 260 ? 0.95 : 1)));
  }

  private drawInside(): void {
    const { ctx } = this.u;
    const at = this.projection();
    ctx.save();
    ctx.beginPath();
    // A point at an end of its axis is drawn whole.
    const room = this.isWhole ? 5 * at.ratio : 0;
    ctx.rect(at.left - room, at.top, at.width + 2 * room, at.height);
    ctx.clip();
    this.options.draw(ctx, at);
    ctx.restore();
  }

  /** Return how values are drawn on the canvas now. */
  projection(): Projection {
    const { left, top, width, height } = this.u.bbox;
    return {
      x: mapped(this.rangeX, this.options.logX, left, left + width),
      y: mapped(this.rangeY, this.options.logY, top + height, top),
      left, top, width, height,
      ratio: uPlot.pxRatio,
    };
  }

  /** The area between the axes, in CSS pixels from the corner of the host. */
  get area(): { left: number; top: number; width: number; height: number } {
    const { left, top, width, height } = this.u.bbox;
    const ratio = uPlot.pxRatio;
    return { left: left / ratio, top: top / ratio, width: width / ratio, height: height / ratio };
  }

  get canvas(): HTMLCanvasElement {
    return this.u.ctx.canvas;
  }

  get x(): Range {
    return this.rangeX;
  }

  get y(): Range {
    return this.rangeY;
  }

  /** Return the value of x at a place of the area, 0 at its left and 1 at its right. */
  valueAt(share: number): number {
    const { from, to } = this.rangeX;
    if (!this.options.logX) return from + share * (to - from);
    return from * (to / from) ** share;
  }

  /** Return the place of a value of x in the area. */
  shareOf(value: number): number {
    const { from, to } = this.rangeX;
    if (!this.options.logX) return (value - from) / (to - from);
    return Math.log(value / from) / Math.log(to / from);
  }

  /** Show these ranges, drawing all; `isWhole` says that the lines end where the axis does. */
  show(x: Range, y: Range, isWhole: boolean): void {
    this.isWhole = isWhole;
    this.rangeX = x;
    this.rangeY = y;
    this.u.setData([[x.from, x.to]], true);
  }

  resize(width: number, height: number): void {
    if (width !== this.u.width || height !== this.u.height) this.u.setSize({ width, height });
  }

  /** Draw all again at once, e.g. in other colours. */
  redraw(): void {
    this.u.redraw(false, true);
  }

  destroy(): void {
    this.u.destroy();
  }
}

/** The marks are ours; uPlot hides an axis for which it knows no step. */
const ANY_STEP = [1e300];

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
