// One chart: loads what it shows, draws it, and answers the pointer and the keyboard.
import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { isAbort } from "../api/client";
import { DASHES, distinguish } from "../common/colour";
import { hovered, selected } from "../state/selection";
import { theme } from "../state/theme";
import { cursor } from "./cursor";
import { type Extent, wider } from "./extent";
import { robustLimits } from "./limits";
import { loadMeans, meansError, meansOf } from "./means";
import { type Line, meanLine, seriesLine } from "./lines";
import { Plot, type Projection, type Range } from "./plot";
import { type Board, markId, openRun, pick } from "./runs";
import { causeOf, errorOf, loadDetail, loadSeries, seriesOf, versionOf, watch, type XAxis } from "./series";
import { isGrouped, logX, logY, smoothing, wholeY, xAxis, zoom, zoomTo } from "./settings";

const PADDING = 0.06;
const DETAIL_MS = 90;
/** Means take the server longer, and are asked for when the zoom rests. */
const REST_MS = 300;
/** A line this near to the pointer is meant, in CSS pixels. */
const NEAR = 28;

export class ChartView {
  readonly size = signal<{ width: number; height: number } | null>(null);
  /** Whether the chart is, or is about to come, in sight. */
  readonly isNear = signal(false);
  readonly lines: ReadonlySignal<Line[]>;
  readonly isLoading: ReadonlySignal<boolean>;
  readonly error: ReadonlySignal<unknown>;
  /** The line that the pointer or the keyboard is at. */
  readonly nearLine = signal<string | null>(null);
  /** Grows with each drawing. */
  readonly drawn = signal(0);
  /** Lines that leave an axis drawn over most lines, with the value that is farthest away. */
  readonly leaving = signal<{ line: Line; far: number }[]>([]);
  /** The part of x that is dragged over, in shares of the area. */
  readonly dragged = signal<{ from: number; to: number } | null>(null);
  plot: Plot | null = null;

  private readonly stops: (() => void)[] = [];
  private host: HTMLElement | null = null;
  private isInside = false;
  /** What the shown ranges were made for. */
  private rangedFor = "";

  constructor(
    readonly metric: string,
    readonly board: Board,
  ) {
    const version = versionOf(metric);
    this.lines = computed(() => {
      void version.value;
      return isGrouped.value ? this.means() : this.series();
    });
    this.isLoading = computed(() => {
      void version.value;
      if (isGrouped.value) {
        const uids = board.considered.value;
        return meansOf(xAxis.value, metric, uids, null) === null && !meansError(xAxis.value, metric, uids);
      }
      return board.drawn.value.some((uid) => !seriesOf(xAxis.value, metric, uid, null));
    });
    this.error = computed(() => {
      void version.value;
      return isGrouped.value
        ? meansError(xAxis.value, metric, board.considered.value)
        : errorOf(xAxis.value, metric, board.drawn.value);
    });
  }

  private series(): Line[] {
    const uids = [...this.board.drawn.value].sort(); // so that lines cross in the same way
    const all = uids.flatMap((uid) => seriesOf(xAxis.value, this.metric, uid, zoom.value) ?? []);
    distinguish(this, all.map(markId));
    return all
      .map((series) => seriesLine(series, smoothing.value))
      .filter((line) => !line.isEmpty || line.summary().points > 0);
  }

  private means(): Line[] {
    const shown = new Set(this.board.drawn.value);
    const means = meansOf(xAxis.value, this.metric, this.board.considered.value, zoom.value) ?? [];
    distinguish(this, means.map((mean) => mean.id));
    return means.filter((mean) => mean.uids.some((uid) => shown.has(uid))).map(meanLine);
  }

  /** Draw into `host` until the function that is returned is called. */
  mount(host: HTMLElement): () => void {
    this.host = host;
    const resized = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = host;
      const before = this.size.peek();
      if (width > 0 && (width !== before?.width || height !== before.height)) this.size.value = { width, height };
    });
    resized.observe(host);
    const seen = new IntersectionObserver(
      (entries) => {
        this.isNear.value = entries.at(-1)!.isIntersecting;
      },
      { rootMargin: "300px" },
    );
    seen.observe(host);
    this.stops.push(
      () => resized.disconnect(),
      () => seen.disconnect(),
      this.followFrame(),
      this.followLoads(),
      this.followDetail(),
      this.followRanges(),
      this.followLooks(),
    );
    return () => this.unmount();
  }

  private unmount(): void {
    for (const stop of this.stops.splice(0)) stop();
    watch(this, null);
    this.plot?.destroy();
    this.plot = null;
    if (cursor.peek()?.chart === this) cursor.value = null;
    this.host = null;
  }

  /** Blocks worth asking for: about one for each pixel. */
  private readonly points = computed(() => {
    const width = this.size.value?.width ?? 0;
    return Math.min(2000, Math.max(200, Math.ceil(width / 50) * 50));
  });

  // What is loaded

  private followLoads(): () => void {
    return effect(() => {
      if (!this.isNear.value || !this.size.value) return;
      void versionOf(this.metric).value; // what was forgotten or has failed is asked for again
      const x = xAxis.value;
      if (isGrouped.value) {
        watch(this, null);
        void loadMeans(x, this.metric, this.board.considered.value, this.points.value, null);
        return;
      }
      const uids = this.board.drawn.value;
      watch(this, { x, key: this.metric, uids });
      if (!errorOf(x, this.metric, uids)) void loadSeries(x, this.metric, uids, this.points.value);
    });
  }

  /** Ask for a finer level of what is zoomed to, once the zoom rests or the answer before is there. */
  private followDetail(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running: { abort: AbortController; for: string; window: Range } | null = null;
    let wanted: { x: XAxis; uids: string[]; window: Range; points: number } | null = null;
    const start = async (): Promise<void> => {
      if (!wanted) return;
      const { x, uids, window, points } = wanted;
      const of = JSON.stringify([x, uids]);
      if (running) {
        // What is on its way is of use when it holds what is looked at now.
        const isUseful = running.for === of && running.window.from <= window.from && running.window.to >= window.to;
        if (isUseful) return;
        running.abort.abort();
      }
      const mine = (running = { abort: new AbortController(), for: of, window });
      try {
        await loadDetail(x, this.metric, uids, window, points, mine.abort.signal);
      } catch (error) {
        if (!isAbort(error)) console.warn(error);
        return;
      } finally {
        if (running === mine) running = null;
      }
      if (wanted && wanted.window !== window) void start();
    };
    const stop = effect(() => {
      clearTimeout(timer);
      const window = zoom.value;
      const uids = this.board.drawn.value;
      void versionOf(this.metric).value; // a run that goes on grows within the window, too
      wanted = null;
      if (!window || !this.isNear.value || !this.size.value || this.isLoading.value) {
        running?.abort.abort();
        return;
      }
      if (isGrouped.value) {
        const all = this.board.considered.value;
        const asked = [xAxis.value, this.metric, all, this.points.value, window] as const;
        timer = setTimeout(() => void loadMeans(...asked), REST_MS);
        return;
      }
      wanted = { x: xAxis.value, uids, window, points: this.points.value };
      timer = setTimeout(() => void start(), DETAIL_MS);
    });
    return () => {
      stop();
      wanted = null;
      clearTimeout(timer);
      running?.abort.abort();
    };
  }

  // What is drawn

  private followFrame(): () => void {
    return effect(() => {
      const size = this.size.value;
      if (!this.isNear.value || !size || !this.host) return;
      const frame = { xAxis: xAxis.value, logX: logX.value, logY: logY.value };
      const now = JSON.stringify(frame);
      if (this.plot && this.framedFor === now) {
        this.plot.resize(size.width, size.height);
        return;
      }
      this.framedFor = now;
      this.plot?.destroy();
      const style = getComputedStyle(document.documentElement);
      this.plot = new Plot({
        host: this.host,
        ...size,
        ...frame,
        colour: (name) => style.getPropertyValue(name).trim(),
        draw: (context, at) => this.draw(context, at),
      });
      this.rangedFor = "";
      this.frames.value = this.frames.peek() + 1;
    });
  }

  private framedFor = "";
  private readonly frames = signal(0);

  private followRanges(): () => void {
    return effect(() => {
      void this.frames.value;
      const lines = this.lines.value;
      const window = zoom.value;
      void wholeY.value;
      const isLive = causeOf(this.metric) === "live";
      if (!this.plot) return;
      const target = JSON.stringify([lines.map((line) => line.id), window, smoothing.value, wholeY.value]);
      // Nothing moves under the pointer because a run goes on.
      if (this.isInside && isLive && this.rangedFor === target) {
        this.plot.show(this.plot.x, this.plot.y, window === null);
        return;
      }
      this.rangedFor = target;
      this.range(lines, window);
    });
  }

  private range(lines: Line[], window: Range | null): void {
    // A window without positive values is none on a logarithmic axis.
    const isUsable = window && !(logX.peek() && window.to <= 0);
    const x = isUsable ? window : wholeX(lines, logX.peek());
    const extents = lines.map((line) => line.extentY(x.from, x.to, logY.peek()));
    const known = extents.filter((one) => one !== null);
    const limits = logY.peek() ? null : robustLimits(known);
    this.leaving.value = lines.flatMap((line, place) => {
      const extent = extents[place];
      if (!limits || !extent || (extent.least >= limits.least && extent.most <= limits.most)) return [];
      return [{ line, far: extent.most > limits.most ? extent.most : extent.least }];
    });
    const extent = (!wholeY.peek() && limits) || known.reduce<Extent | null>(wider, null);
    const isBelow = logX.peek() && (x.from <= 0 || lines.some((line) => (line.extentX()?.least ?? 1) <= 0));
    const shown = logX.peek() && x.from <= 0 ? { from: x.to / 1e6, to: x.to } : x;
    this.plot!.show(shown, padded(extent, logY.peek()), window === null && !isBelow);
  }

  /** Draw again when another line is looked at, and in the colours of another theme. */
  private followLooks(): () => void {
    return effect(() => {
      void [this.lookedAt.value, selected.value, theme.value];
      this.plot?.redraw();
    });
  }

  /** The line that is drawn in front of the others, which fade. */
  readonly lookedAt = computed(() => {
    const uid = hovered.value;
    if (!uid) return null;
    const lines = this.lines.value.filter((line) => line.uids.includes(uid));
    return (lines.find((line) => line.id === this.nearLine.value) ?? lines[0])?.id ?? null;
  });

  private draw(context: CanvasRenderingContext2D, at: Projection): void {
    const lines = this.lines.peek();
    const looked = this.lookedAt.peek();
    const picked = selected.peek();
    const style = getComputedStyle(document.documentElement);
    const isSome = lines.some((line) => line.uids.some((uid) => picked.has(uid)));
    const isAll = lines.every((line) => line.uids.some((uid) => picked.has(uid)));
    const drawOne = (line: Line) =>
      line.draw(context, at, {
        colour: style.getPropertyValue(`--run-${line.mark.colour}`).trim(),
        dash: DASHES[line.mark.dash]!,
        isPicked: isSome && !isAll && line.uids.some((uid) => picked.has(uid)),
        isFaint: looked !== null && looked !== line.id,
        isLookedAt: looked === line.id,
      });
    for (const line of lines) if (line.id !== looked) drawOne(line);
    const front = lines.find((line) => line.id === looked);
    if (front) drawOne(front);
    this.describe(lines);
    queueMicrotask(() => {
      this.drawn.value = this.drawn.peek() + 1;
    });
  }

  /** Write down beside the canvas what it shows now. */
  private describe(lines: Line[]): void {
    const { plot, host } = this;
    if (!plot || !host) return;
    host.dataset.lines = lines.map((line) => line.uids.join("+")).join(",");
    host.dataset.points = lines.map((line) => line.summary().points).join(",");
    host.dataset.x = `${plot.x.from},${plot.x.to}`;
    host.dataset.y = `${plot.y.from},${plot.y.to}`;
    host.dataset.leaving = this.leaving.peek().map(({ line }) => line.uids.join("+")).join(",");
    host.dataset.state = this.isLoading.peek() ? "loading" : "drawn";
  }

  // The pointer

  /** Return the place of an event in the area, in shares of its width and height. */
  shareOf(event: { clientX: number; clientY: number }): { x: number; y: number } {
    const box = this.host!.getBoundingClientRect();
    const area = this.plot!.area;
    return {
      x: (event.clientX - box.left - area.left) / area.width,
      y: (event.clientY - box.top - area.top) / area.height,
    };
  }

  enter(): void {
    this.isInside = true;
  }

  /** Show what there is at the pointer. */
  moveTo(event: { clientX: number; clientY: number }): void {
    if (!this.plot) return;
    const share = this.shareOf(event);
    if (share.x < 0 || share.x > 1 || share.y < -0.05 || share.y > 1.1) {
      this.leaveArea();
      return;
    }
    const x = this.plot.valueAt(share.x);
    const near = this.lineNear(x, share.y);
    batch(() => {
      cursor.value = { chart: this, x, pointer: { x: event.clientX, y: event.clientY } };
      this.lookAt(near);
    });
  }

  private lookAt(line: Line | null): void {
    this.nearLine.value = line?.id ?? null;
    // Of a mean every run is as good as another.
    hovered.value = line?.uids[0] ?? null;
  }

  private lineNear(x: number, y: number): Line | null {
    const plot = this.plot!;
    const at = plot.projection();
    const wanted = at.top + y * at.height;
    let found: Line | null = null;
    let least = NEAR * at.ratio;
    for (const line of this.lines.peek()) {
      let value = line.valueAt(x);
      if (!Number.isFinite(value)) value = line.reading(x, this.reach)?.value ?? Number.NaN;
      // A line that leaves the axis is met at its edge.
      const y = Math.max(at.top, Math.min(at.top + at.height, at.y(value)));
      const distance = Math.abs(y - wanted);
      if (distance < least) {
        least = distance;
        found = line;
      }
    }
    return found;
  }

  /** How far beside the cursor a point may be, in values of x. */
  get reach(): number {
    const plot = this.plot;
    if (!plot) return 0;
    return ((plot.x.to - plot.x.from) * 12) / plot.area.width;
  }

  private leaveArea(): void {
    batch(() => {
      if (cursor.peek()?.chart === this) cursor.value = null;
      if (this.nearLine.peek()) this.lookAt(null);
    });
  }

  leave(): void {
    this.isInside = false;
    this.leaveArea();
    // What was held still under the pointer takes its place now.
    if (this.plot) this.range(this.lines.peek(), zoom.peek());
  }

  /** The run whose line is looked at: selected, or opened with a modifier. */
  choose(how: { isOpening: boolean; isApart: boolean }): void {
    const line = this.lines.peek().find((one) => one.id === this.nearLine.peek());
    if (!line) return;
    if (how.isOpening) openRun(line.uids[0]!, how.isApart);
    else for (const uid of line.uids) pick(uid);
  }

  zoomBetween(one: number, other: number): void {
    const plot = this.plot;
    if (!plot) return;
    const ends = [one, other].map((share) => plot.valueAt(Math.min(1, Math.max(0, share))));
    const [from, to] = ends.sort((a, b) => a - b) as [number, number];
    if (to > from) zoomTo({ from, to });
  }

  /** Zoom by a factor around a place of the area; a factor above 1 shows more. */
  zoomBy(factor: number, around: number): void {
    const plot = this.plot;
    if (!plot) return;
    const whole = wholeX(this.lines.peek(), logX.peek());
    const from = Math.max(whole.from, plot.valueAt(around - around * factor));
    const to = Math.min(whole.to, plot.valueAt(around + (1 - around) * factor));
    if (factor > 1 && from <= whole.from && to >= whole.to) {
      zoomTo(null, { isMoving: true });
    } else if (to - from > smallestSpan(whole)) {
      zoomTo({ from, to }, { isMoving: true });
    }
  }

  /** Move the window by a part of its width. */
  pan(share: number): void {
    const plot = this.plot;
    if (!plot || !zoom.peek()) return;
    const whole = wholeX(this.lines.peek(), logX.peek());
    let from = plot.valueAt(share);
    let to = plot.valueAt(1 + share);
    if (!logX.peek()) {
      const shift = Math.max(whole.from - from, 0) + Math.min(whole.to - to, 0);
      from += shift;
      to += shift;
    } else if (from < whole.from || to > whole.to) {
      return;
    }
    zoomTo({ from, to }, { isMoving: true });
  }

  /** Move the cursor by a part of the width, by the keyboard. */
  moveCursor(share: number): void {
    const plot = this.plot;
    if (!plot) return;
    const now = cursor.peek();
    const at = now?.chart === this ? plot.shareOf(now.x) : share > 0 ? 0 : 1;
    const next = Math.min(1, Math.max(0, at + share));
    cursor.value = { chart: this, x: plot.valueAt(next), pointer: null };
  }

  /** Look at the next line above or below, at the cursor. */
  moveLook(direction: 1 | -1): void {
    const now = cursor.peek();
    if (!this.plot) return;
    if (now?.chart !== this) this.moveCursor(1);
    const x = cursor.peek()!.x;
    const order = this.readings(x).map(({ line }) => line);
    if (!order.length) return;
    const place = order.findIndex((line) => line.id === this.nearLine.peek());
    const next = place < 0 ? (direction > 0 ? 0 : order.length - 1) : place + direction;
    this.lookAt(order[(next + order.length) % order.length]!);
  }

  /** What the lines show at x, the largest value first. */
  readings(x: number): { line: Line; reading: NonNullable<ReturnType<Line["reading"]>> }[] {
    return this.lines.value
      .flatMap((line) => {
        const reading = line.reading(x, this.reach);
        return reading ? [{ line, reading }] : [];
      })
      .sort((one, other) => orderOf(other.reading.value) - orderOf(one.reading.value));
  }
}

function orderOf(value: number): number {
  return Number.isNaN(value) ? -Infinity : value;
}

/** The smallest window: steps are whole numbers, seconds have parts. */
function smallestSpan(whole: Range): number {
  return Math.max((whole.to - whole.from) / 1e7, xAxis.peek() === "step" ? 1 : 1e-3);
}

/** Return the part of x that holds all lines. */
function wholeX(lines: Line[], isLog: boolean): Range {
  let extent: Extent | null = null;
  for (const line of lines) extent = wider(extent, line.extentX());
  if (!extent) return isLog ? { from: 1, to: 10 } : { from: 0, to: 1 };
  let { least } = extent;
  const { most } = extent;
  if (isLog && least <= 0) least = Math.min(1, most > 0 ? most / 10 : 1);
  if (least >= most) return isLog ? { from: least / 2, to: Math.max(least * 2, most) } : { from: least - 1, to: most + 1 };
  return { from: least, to: most };
}

/** Return a range with some room around its ends. */
function padded(extent: Extent | null, isLog: boolean): Range {
  if (!extent) return isLog ? { from: 0.1, to: 10 } : { from: 0, to: 1 };
  const { least, most } = extent;
  if (isLog) {
    const factor = least === most ? 2 : Math.exp(Math.log(most / least) * PADDING);
    return { from: Math.max(Number.MIN_VALUE, least / factor), to: Math.min(Number.MAX_VALUE, most * factor) };
  }
  const span = most - least;
  if (!Number.isFinite(span)) return { from: -Number.MAX_VALUE, to: Number.MAX_VALUE };
  const room = span > 0 ? span * PADDING : Math.abs(most) * 0.1 || 1;
  return { from: least - room, to: most + room };
}
