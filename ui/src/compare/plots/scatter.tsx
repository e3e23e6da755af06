// One column against another, a point for each run.
import { useMemo, useRef, useState } from "preact/hooks";
import { EmptyMessage, ErrorMessage } from "../../common/message";
import { setQuery, word } from "../../state/address";
import { clearBrushes, placesOf, type Range, rangeBetween, setBrush } from "./brush";
import { Canvas, inkNow, type Size } from "./canvas";
import { Chosen } from "./chosen";
import { ColumnChoice, columnTitle } from "./column-choice";
import { useDefaults } from "./defaults";
import { isLogAxis, openRun, spotOf, toggleLog, useDrawing } from "./drawing";
import { Legend, RunLegend } from "./legend";
import { drawPoints, PointIndex, type Points } from "./points";
import { canBeLog, type Scale, scaleOf } from "./scale";
import { Tip } from "./tip";
import { useValues, type ValueColumn, type Values } from "./values";

const xWord = word("x");
const yWord = word("y");
const colourWord = word("colour");
function LogSwitch({ name, column }: { name: string; column: ValueColumn | undefined }) {
  return (
    <label class="check log-switch">
      <input
        type="checkbox"
        checked={isLogAxis(column)}
        disabled={!column || !canBeLog(column)}
        onChange={() => column && toggleLog(column)}
      />
      log<span class="visually-hidden"> axis of {columnTitle(name)}</span>
    </label>
  );
}

interface ScatterProps {
  filter: string;
  /** True if the runs were chosen one by one, so that each has its own colour. */
  areChosen: boolean;
}

export default function Scatter({ filter, areChosen }: ScatterProps) {
  const { defaults, error } = useDefaults(filter);
  if (error) return <ErrorMessage error={error} />;
  if (!defaults) return <div class="loading" role="status" aria-label="Loading" />;
  const x = xWord.value || defaults.labels[0] || "started";
  const y = yWord.value || defaults.metrics[0] || "duration";
  return <ScatterOf filter={filter} areChosen={areChosen} x={x} y={y} colour={colourWord.value} />;
}

interface ScatterOfProps extends ScatterProps {
  x: string;
  y: string;
  colour: string;
}

function ScatterOf({ filter, areChosen, x, y, colour }: ScatterOfProps) {
  const names = [x, y, colour].filter(Boolean);
  const { values, error, isWaiting, retry } = useValues(filter, names);
  const isReady = values !== null && names.every((name) => values.columns.has(name));
  return (
    <div class="plot">
      <div class="plot-tools bar">
        <ColumnChoice label="X" value={x} onChange={(name) => setQuery({ x: name })} />
        <LogSwitch name={x} column={values?.columns.get(x)} />
        <button type="button" class="button" title="Swap the axes" aria-label="Swap the axes" onClick={() => setQuery({ x: y, y: x })}>
          ⇄
        </button>
        <ColumnChoice label="Y" value={y} onChange={(name) => setQuery({ y: name })} />
        <LogSwitch name={y} column={values?.columns.get(y)} />
        <ColumnChoice
          label="Colour"
          value={colour}
          none={areChosen ? "by run" : "none"}
          onChange={(name) => setQuery({ colour: name })}
        />
      </div>
      {error ? (
        <ErrorMessage error={error} retry={retry} />
      ) : !isReady ? (
        <div class="loading" role="status" aria-label="Loading" />
      ) : values.count === 0 ? (
        <NoRuns />
      ) : (
        <Drawn values={values} x={x} y={y} colour={colour} areChosen={areChosen} isWaiting={isWaiting} />
      )}
    </div>
  );
}

export function NoRuns() {
  return (
    <EmptyMessage title="No run matches the filter">
      <p>Change the filter above, or remove it to see all runs.</p>
    </EmptyMessage>
  );
}

const LEFT = 76;
const BOTTOM = 48;
const TOP = 14;
const RIGHT = 18;
/** Room beside an axis for runs that have no place on it. */
const APART = 30;

interface Layout {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function layoutOf(size: Size, xs: Scale, ys: Scale): Layout {
  return {
    left: LEFT + (xs.apart ? APART : 0),
    right: size.width - RIGHT,
    top: TOP,
    bottom: size.height - BOTTOM - (ys.apart ? APART : 0),
  };
}

/** Say on the canvas where the axes are, and what they reach. */
function describe(canvas: HTMLCanvasElement, at: Layout, xs: Scale, ys: Scale): void {
  canvas.dataset.area = [at.left, at.top, at.right, at.bottom].join();
  canvas.dataset.x = [xs.low, xs.high].join();
  canvas.dataset.y = [ys.low, ys.high].join();
}

function pointsOf(values: Values, xs: Scale, ys: Scale, at: Layout): Points {
  const x = new Float32Array(values.count);
  const y = new Float32Array(values.count);
  for (let place = 0; place < values.count; place++) {
    const px = xs.places[place]!;
    const py = ys.places[place]!;
    x[place] = Number.isNaN(px) ? at.left - APART / 2 + wobble(place) : at.left + px * (at.right - at.left);
    y[place] = Number.isNaN(py) ? at.bottom + APART / 2 + wobble(place + 1) : at.bottom - py * (at.bottom - at.top);
    // Of a few numbers, many runs would lie on one line.
    if (xs.isDiscrete && !Number.isNaN(px)) x[place]! += wobble(place + 2);
    if (ys.isDiscrete && !Number.isNaN(py)) y[place]! += wobble(place + 3);
  }
  return { x, y };
}

function wobble(place: number): number {
  return ((Math.imul(place, 2654435761) >>> 0) / 0xffffffff - 0.5) * 10;
}

interface DrawnProps extends Omit<ScatterOfProps, "filter"> {
  values: Values;
  isWaiting: boolean;
}

function Drawn({ values, x, y, colour, areChosen, isWaiting }: DrawnProps) {
  const [hover, setHover] = useState(-1);
  const [drag, setDrag] = useState<[number, number, number, number] | null>(null);
  const index = useRef<{ points: Points; find: PointIndex; at: Layout } | null>(null);
  const logX = isLogAxis(values.columns.get(x));
  const logY = isLogAxis(values.columns.get(y));
  const { ids } = values;
  const xs = useMemo(() => scaleOf(values.columns.get(x)!, { isLog: logX, jitter: 0.5, ids }), [values, x, logX]);
  const ys = useMemo(() => scaleOf(values.columns.get(y)!, { isLog: logY, jitter: 0.5, ids }), [values, y, logY]);
  const { colours, uids, paint, ranges, mask } = useDrawing(values, [x, y], colour, areChosen);
  const xRange = ranges.find(([column]) => column.name === x)?.[1];
  const yRange = ranges.find(([column]) => column.name === y)?.[1];

  const draw = (context: CanvasRenderingContext2D, size: Size, ratio: number): void => {
    const at = layoutOf(size, xs, ys);
    const points = pointsOf(values, xs, ys, at);
    index.current = { points, find: new PointIndex(points, size.width, size.height), at };
    describe(context.canvas, at, xs, ys);
    drawAxes(context, size, at, xs, ys, x, y);
    const drawing = { points, colours: paint.colours };
    const alpha = values.count > 20_000 ? 0.35 : values.count > 2_000 ? 0.6 : 0.85;
    if (mask) {
      const faint = new Uint8Array(values.count).fill(paint.none);
      drawPoints(context, { ...drawing, colourOf: faint, mask: mask.map((one) => 1 - one), alpha: 0.18 }, ratio);
    }
    drawPoints(context, { ...drawing, colourOf: paint.of, mask, alpha }, ratio);
    const span = (scale: Scale, range: Range | undefined): [number, number] => (range ? placesOf(scale, range) : [0, 1]);
    if (xRange || yRange) {
      const [left, right] = span(xs, xRange);
      const [low, high] = span(ys, yRange);
      const width = at.right - at.left;
      const height = at.bottom - at.top;
      context.strokeStyle = inkNow().accent;
      context.setLineDash([5, 3]);
      context.strokeRect(at.left + left * width, at.bottom - high * height, (right - left) * width, (high - low) * height);
      context.setLineDash([]);
    }
  };

  const finish = (from: [number, number], to: [number, number]): void => {
    const { at } = index.current!;
    const along = (px: number): number => (px - at.left) / (at.right - at.left);
    const up = (py: number): number => (at.bottom - py) / (at.bottom - at.top);
    setBrush(x, rangeBetween(xs, along(from[0]), along(to[0])));
    setBrush(y, rangeBetween(ys, up(from[1]), up(to[1])));
  };
  const byX = useMemo(() => orderBy(xs), [xs]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step) {
      const now = hover < 0 ? (step > 0 ? -1 : 0) : byX.indexOf(hover);
      setHover(byX[(now + step + byX.length) % byX.length]!);
    } else if (event.key === "Enter" && hover >= 0) void openRun(ids[hover]!);
    else if (event.key === "Escape" && (mask || hover >= 0)) {
      setHover(-1);
      clearBrushes();
    } else return;
    event.preventDefault();
  };
  const label = `${columnTitle(y)} against ${columnTitle(x)}. Arrow keys go from run to run, Enter opens one.`;
  return (
    <>
      <div class="plot-line bar">
        <Chosen values={values} mask={mask} ranges={ranges} />
        {uids ? <RunLegend uids={uids} /> : <Legend scale={colours} />}
      </div>
      <Canvas
        label={label}
        draw={draw}
        on={[values, xs, ys, paint, mask, isWaiting]}
        handlers={{
          onKeyDown,
          onPointerMove: (event) => {
            const [px, py] = spotOf(event);
            if (drag) setDrag([drag[0], drag[1], px, py]);
            else setHover(index.current?.find.nearest(px, py) ?? -1);
          },
          onPointerLeave: () => {
            if (!drag) setHover(-1);
          },
          onPointerDown: (event) => {
            if (event.button !== 0) return;
            const [px, py] = spotOf(event);
            event.currentTarget.setPointerCapture(event.pointerId);
            setDrag([px, py, px, py]);
          },
          onPointerUp: (event) => {
            if (!drag) return;
            const [px, py] = spotOf(event);
            setDrag(null);
            if (Math.hypot(px - drag[0], py - drag[1]) > 5) finish([drag[0], drag[1]], [px, py]);
            else if (hover >= 0) void openRun(ids[hover]!);
            else if (mask) clearBrushes();
          },
          onPointerCancel: () => setDrag(null),
        }}
      >
        {(size) => (
          <>
            {drag && (
              <div
                class="plot-brush"
                style={{
                  left: `${Math.min(drag[0], drag[2])}px`,
                  top: `${Math.min(drag[1], drag[3])}px`,
                  width: `${Math.abs(drag[2] - drag[0])}px`,
                  height: `${Math.abs(drag[3] - drag[1])}px`,
                }}
              />
            )}
            {hover >= 0 && index.current && hover < values.count && (
              <>
                <div
                  class="plot-ring"
                  style={{ left: `${index.current.points.x[hover]!}px`, top: `${index.current.points.y[hover]!}px` }}
                />
                <Tip
                  values={values}
                  place={hover}
                  names={colour ? [x, y, colour] : [x, y]}
                  x={index.current.points.x[hover]!}
                  y={index.current.points.y[hover]!}
                  size={size}
                />
              </>
            )}
          </>
        )}
      </Canvas>
      <p class="plot-hint fine soft">Click a point to open its run; drag to choose a range.</p>
    </>
  );
}

/** Return the places of runs from left to right. */
function orderBy(scale: Scale): number[] {
  const places = Array.from(scale.places.keys());
  return places.sort((one, other) => (scale.places[one] || -1) - (scale.places[other] || -1));
}

function drawAxes(context: CanvasRenderingContext2D, size: Size, at: Layout, xs: Scale, ys: Scale, x: string, y: string): void {
  const ink = inkNow();
  context.font = `11px ${ink.font}`;
  context.lineWidth = 1;
  context.strokeStyle = ink.line;
  context.fillStyle = ink.soft;
  const width = at.right - at.left;
  const height = at.bottom - at.top;
  context.textAlign = "center";
  context.textBaseline = "top";
  const foot = size.height - BOTTOM + 6;
  for (const tick of xs.ticks(Math.floor(width / 90))) {
    const px = Math.round(at.left + tick.at * width) + 0.5;
    line(context, px, at.top, px, at.bottom);
    context.fillText(cut(tick.text, 16), px, foot);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of ys.ticks(Math.floor(height / 40))) {
    const py = Math.round(at.bottom - tick.at * height) + 0.5;
    line(context, at.left, py, at.right, py);
    context.fillText(cut(tick.text, 11), LEFT - 8, py);
  }
  if (xs.apart) {
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(xs.apartText, at.left - APART / 2, foot);
    line(context, at.left - APART, at.top, at.left - APART, at.bottom);
  }
  if (ys.apart) {
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(ys.apartText, LEFT - 8, at.bottom + APART / 2);
    line(context, at.left, at.bottom + APART, at.right, at.bottom + APART);
  }
  context.fillStyle = ink.text;
  context.font = `600 12px ${ink.font}`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.fillText(titleOf(x, xs), at.left + width / 2, size.height - 4);
  context.save();
  context.translate(14, at.top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText(titleOf(y, ys), 0, 0);
  context.restore();
}

function titleOf(name: string, scale: Scale): string {
  return columnTitle(name) + (scale.isLog ? ", log" : "");
}

function line(context: CanvasRenderingContext2D, fromX: number, fromY: number, toX: number, toY: number): void {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}

export function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
