// Parallel coordinates: an axis for each column, a line for each run.
import { useMemo, useRef, useState } from "preact/hooks";
import { joinNames } from "../../api/client";
import { ErrorMessage } from "../../common/message";
import { MenuButton, MenuItem } from "../../common/popover";
import { list, setQuery, toggled, word } from "../../state/address";
import { clearBrushes, placesOf, type Range, rangeBetween, setBrush } from "./brush";
import { Canvas, inkNow, type Size } from "./canvas";
import { Chosen } from "./chosen";
import { ColumnChoice, columnTitle } from "./column-choice";
import { useDefaults } from "./defaults";
import { isLogAxis, openRun, spotOf, toggleLog, useDrawing } from "./drawing";
import { Legend, RunLegend } from "./legend";
import { drawLines, type Lines, nearestLine } from "./lines";
import { canBeLog, type Scale, scaleOf } from "./scale";
import { cut, NoRuns } from "./scatter";
import { Tip } from "./tip";
import { useValues, type ValueColumn, type Values } from "./values";

const MOST_DEFAULTS = 6;
const axesList = list("axes");
const colourWord = word("colour");

interface ParallelProps {
  filter: string;
  areChosen: boolean;
}

export default function Parallel({ filter, areChosen }: ParallelProps) {
  const { defaults, error } = useDefaults(filter);
  if (error) return <ErrorMessage error={error} />;
  if (!defaults) return <div class="loading" role="status" aria-label="Loading" />;
  const metric = defaults.metrics[0];
  const usual = [...defaults.labels.slice(0, MOST_DEFAULTS - 1), ...(metric ? [metric] : [])];
  const axes = axesList.value.length ? axesList.value : usual.length ? usual : ["started", "duration"];
  const colour = colourWord.value === "none" ? "" : colourWord.value || (areChosen ? "" : axes.at(-1)!);
  return <ParallelOf filter={filter} areChosen={areChosen} axes={axes} colour={colour} />;
}

interface ParallelOfProps extends ParallelProps {
  axes: string[];
  colour: string;
}

function showAxes(axes: string[]): void {
  setQuery({ axes: joinNames(axes) });
}

function ParallelOf({ filter, areChosen, axes, colour }: ParallelOfProps) {
  const names = [...axes, colour].filter(Boolean);
  const { values, error, isWaiting, retry } = useValues(filter, names);
  const isReady = values !== null && names.every((name) => values.columns.has(name));
  return (
    <div class="plot">
      <div class="plot-tools bar">
        <ColumnChoice
          label="Add an axis"
          value=""
          none=""
          onChange={(name) => name && !axes.includes(name) && showAxes([...axes, name])}
        />
        <ColumnChoice
          label="Colour"
          value={colour}
          none={areChosen ? "by run" : "none"}
          onChange={(name) => setQuery({ colour: name ?? "none" })}
        />
      </div>
      {error ? (
        <ErrorMessage error={error} retry={retry} />
      ) : !isReady ? (
        <div class="loading" role="status" aria-label="Loading" />
      ) : values.count === 0 ? (
        <NoRuns />
      ) : (
        <Drawn values={values} axes={axes} colour={colour} areChosen={areChosen} isWaiting={isWaiting} />
      )}
    </div>
  );
}

const SIDE = 70;
const HEAD = 40;
/** Below the axes, with or without room for runs that have no place on one of them. */
const FOOT = 40;
const SMALL_FOOT = 16;

function footOf(scales: Scale[]): number {
  return scales.some((scale) => scale.apart) ? FOOT : SMALL_FOOT;
}

const NARROWEST = 110;

interface DrawnProps extends Omit<ParallelOfProps, "filter"> {
  values: Values;
  isWaiting: boolean;
}

function axisX(size: Size, count: number, at: number): number {
  return count === 1 ? size.width / 2 : SIDE + (at * (size.width - 2 * SIDE)) / (count - 1);
}

function Drawn({ values, axes, colour, areChosen, isWaiting }: DrawnProps) {
  const [hover, setHover] = useState<{ place: number; x: number; y: number } | null>(null);
  const [drag, setDrag] = useState<{ axis: number; from: number; to: number } | null>(null);
  const drawn = useRef<{ lines: Lines; size: Size } | null>(null);
  const { ids } = values;
  const isLog = (name: string): boolean => isLogAxis(values.columns.get(name));
  const key = joinNames(axes) + axes.map(isLog).join();
  const scales = useMemo(
    () => axes.map((name) => scaleOf(values.columns.get(name)!, { isLog: isLog(name), jitter: 0.3, ids })),
    [values, key],
  );
  const foot = footOf(scales);
  const { colours, uids, paint, ranges, mask } = useDrawing(values, axes, colour, areChosen);

  const draw = (context: CanvasRenderingContext2D, size: Size, ratio: number): void => {
    const bottom = size.height - foot;
    const height = bottom - HEAD;
    const lines: Lines = {
      count: values.count,
      x: axes.map((_, at) => axisX(size, axes.length, at)),
      y: scales.map((scale) =>
        scale.places.map((place) => (Number.isNaN(place) ? bottom + 20 : bottom - place * height)),
      ),
    };
    drawn.current = { lines, size };
    context.canvas.dataset.axes = lines.x.join();
    context.canvas.dataset.area = [0, HEAD, size.width, bottom].join();
    drawLines(context, lines, paint, mask, ratio);
    drawScales(context, bottom, lines.x, scales, ranges);
  };

  const axisAt = (px: number, py: number): number => {
    const now = drawn.current;
    if (!now || py < HEAD - 6) return -1;
    return now.lines.x.findIndex((x) => Math.abs(x - px) <= 12);
  };
  const move = (event: PointerEvent): void => {
    const [px, py] = spotOf(event);
    if (drag) {
      setDrag({ ...drag, to: py });
      return;
    }
    const now = drawn.current;
    if (!now) return;
    const place = nearestLine(now.lines, px, py, mask);
    setHover(place < 0 ? null : { place, x: px, y: py });
  };
  const finish = (axis: number, from: number, to: number, height: number): void => {
    const bottom = height - foot;
    const up = (py: number): number => (bottom - py) / (bottom - HEAD);
    const isClick = Math.abs(from - to) < 4;
    setBrush(axes[axis]!, isClick ? null : rangeBetween(scales[axis]!, up(from), up(to)));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const now = drawn.current;
    if (step && now) {
      const order = orderOf(scales.at(-1)!, mask);
      if (!order.length) return;
      const at = hover ? order.indexOf(hover.place) : step > 0 ? -1 : 0;
      const place = order[(at + step + order.length) % order.length]!;
      setHover({ place, x: now.lines.x.at(-1)!, y: now.lines.y.at(-1)![place]! });
    } else if (event.key === "Enter" && hover) void openRun(ids[hover.place]!);
    else if (event.key === "Escape" && (mask || hover)) {
      setHover(null);
      clearBrushes();
    } else return;
    event.preventDefault();
  };
  return (
    <>
      <div class="plot-line bar">
        <Chosen values={values} mask={mask} ranges={ranges} />
        {uids ? <RunLegend uids={uids} /> : <Legend scale={colours} />}
      </div>
      <div class="plot-scroll">
        <div class="plot-wide" style={{ minWidth: `${Math.max(320, axes.length * NARROWEST)}px` }}>
          <Canvas
            label={`Parallel coordinates of ${axes.map(columnTitle).join(", ")}. Arrow keys go from run to run, Enter opens one.`}
            draw={draw}
            on={[values, scales, paint, mask, ranges, isWaiting]}
            handlers={{
              onKeyDown: (event) => {
                if (event.target === event.currentTarget) onKeyDown(event);
              },
              onPointerMove: move,
              onPointerLeave: () => {
                if (!drag) setHover(null);
              },
              onPointerDown: (event) => {
                const [px, py] = spotOf(event);
                const axis = event.button === 0 ? axisAt(px, py) : -1;
                if (axis < 0 || (event.target as Element).closest("button")) return;
                event.currentTarget.setPointerCapture(event.pointerId);
                setHover(null);
                setDrag({ axis, from: py, to: py });
              },
              onPointerUp: (event) => {
                if (drag) {
                  setDrag(null);
                  finish(drag.axis, drag.from, spotOf(event)[1], drawn.current!.size.height);
                } else if (hover && !(event.target as Element).closest("button")) void openRun(ids[hover.place]!);
              },
              onPointerCancel: () => setDrag(null),
            }}
          >
            {(size) => (
              <>
                {axes.map((name, at) => (
                  <AxisHead
                    key={name}
                    axes={axes}
                    at={at}
                    x={axisX(size, axes.length, at)}
                    room={axes.length > 1 ? (size.width - 2 * SIDE) / (axes.length - 1) : 200}
                    scale={scales[at]!}
                    range={ranges.find(([column]) => column.name === name)?.[1]}
                  />
                ))}
                {drag && (
                  <div
                    class="plot-brush"
                    style={{
                      left: `${axisX(size, axes.length, drag.axis) - 8}px`,
                      width: "16px",
                      top: `${Math.min(drag.from, drag.to)}px`,
                      height: `${Math.abs(drag.to - drag.from)}px`,
                    }}
                  />
                )}
                {hover && drawn.current && hover.place < values.count && (
                  <>
                    <HoveredLine lines={drawn.current.lines} place={hover.place} size={size} />
                    <Tip values={values} place={hover.place} names={colour ? [...axes, colour] : axes} x={hover.x} y={hover.y} size={size} />
                  </>
                )}
              </>
            )}
          </Canvas>
        </div>
      </div>
      <p class="plot-hint fine soft">Drag along an axis to keep the runs within a range; click a line to open its run.</p>
    </>
  );
}

/** Return the places of runs from the top of an axis to its bottom. */
function orderOf(scale: Scale, mask: Uint8Array | null): number[] {
  const places = Array.from(scale.places.keys()).filter((place) => !mask || mask[place]);
  return places.sort((one, other) => (scale.places[other] || -1) - (scale.places[one] || -1));
}

function HoveredLine({ lines, place, size }: { lines: Lines; place: number; size: Size }) {
  const points = lines.x.map((x, at) => `${x},${lines.y[at]![place]!}`).join(" ");
  return (
    <svg class="plot-over" width={size.width} height={size.height} aria-hidden="true">
      <polyline class="plot-halo" points={points} />
      <polyline class="plot-hovered" points={points} />
    </svg>
  );
}

interface AxisHeadProps {
  axes: string[];
  at: number;
  x: number;
  room: number;
  scale: Scale;
  range: Range | undefined;
}

function AxisHead({ axes, at, x, room, scale, range }: AxisHeadProps) {
  const name = axes[at]!;
  const width = Math.min(180, Math.max(84, room - 8));
  const swap = (other: number): void => {
    const next = [...axes];
    [next[at], next[other]] = [next[other]!, next[at]!];
    showAxes(next);
  };
  return (
    <div class="axis-head" style={{ left: `${x - width / 2}px`, width: `${width}px` }}>
      <MenuButton
        label={`Axis ${columnTitle(name)}`}
        class={range ? "button small on" : "button small quiet"}
        menu={() => (
          <div class="menu">
            <div class="menu-title fine soft cut">{name}</div>
            {canBeLog(scale.column) && (
              <MenuItem checked={scale.isLog} onClick={() => toggleLog(scale.column)}>
                Logarithmic
              </MenuItem>
            )}
            <MenuItem disabled={at === 0} onClick={() => swap(at - 1)}>
              Move left
            </MenuItem>
            <MenuItem disabled={at === axes.length - 1} onClick={() => swap(at + 1)}>
              Move right
            </MenuItem>
            <MenuItem disabled={axes.length < 2} onClick={() => showAxes(axes.filter((one) => one !== name))}>
              Remove
            </MenuItem>
            <MenuItem onClick={() => setQuery({ colour: name })}>Colour by this</MenuItem>
            <hr />
            <RangeForm name={name} scale={scale} range={range} />
          </div>
        )}
      >
        <span class="cut">{columnTitle(name)}</span>
        {scale.isLog && <small>log</small>}
      </MenuButton>
    </div>
  );
}

/** The same as dragging along the axis, for the keyboard. */
function RangeForm({ name, scale, range }: { name: string; scale: Scale; range: Range | undefined }) {
  const { column } = scale;
  if (column.kind === "category") {
    const chosen = range && "categories" in range ? range.categories : [];
    return (
      <fieldset class="axis-range">
        <legend>Keep</legend>
        {column.categories.slice(0, 40).map((text) => (
          <label key={text} class="check">
            <input
              type="checkbox"
              checked={chosen.includes(text)}
              onChange={() => {
                const next = toggled(chosen, text);
                setBrush(name, next.length ? { categories: next } : null);
              }}
            />
            {cut(text || "(empty)", 40)}
          </label>
        ))}
      </fieldset>
    );
  }
  if (column.kind === "time") return <p class="axis-range">Drag along the axis to choose a range of times.</p>;
  const now = range && "low" in range ? range : null;
  const change = (form: HTMLFormElement): void => {
    const [low, high] = ["low", "high"].map((word) => {
      const text = (form.elements.namedItem(word) as HTMLInputElement).value;
      return text === "" ? null : Number(text);
    });
    const isOpen = low === null && high === null;
    setBrush(name, isOpen ? null : { low: low ?? scale.low, high: high ?? scale.high });
  };
  return (
    <form class="axis-range" onSubmit={(event) => event.preventDefault()} onChange={(event) => change(event.currentTarget)}>
      <label>
        At least
        <input class="input" name="low" type="number" step="any" defaultValue={now ? String(now.low) : ""} />
      </label>
      <label>
        At most
        <input class="input" name="high" type="number" step="any" defaultValue={now ? String(now.high) : ""} />
      </label>
    </form>
  );
}

function drawScales(
  context: CanvasRenderingContext2D,
  bottom: number,
  xs: number[],
  scales: Scale[],
  ranges: [ValueColumn, Range][],
): void {
  const ink = inkNow();
  const height = bottom - HEAD;
  context.lineWidth = 1;
  xs.forEach((x, at) => {
    const scale = scales[at]!;
    context.strokeStyle = ink.soft;
    context.beginPath();
    context.moveTo(x, HEAD);
    context.lineTo(x, bottom);
    context.stroke();
    for (const tick of scale.ticks(Math.floor(height / 34))) {
      mark(context, ink, x, bottom - tick.at * height, cut(tick.text, 14));
    }
    if (scale.apart) mark(context, ink, x, bottom + 20, scale.apartText);
    const range = ranges.find(([column]) => column.name === scale.column.name)?.[1];
    if (range) {
      const [low, high] = placesOf(scale, range);
      context.fillStyle = ink.accent;
      context.globalAlpha = 0.3;
      context.fillRect(x - 7, bottom - high * height, 14, (high - low) * height);
      context.globalAlpha = 1;
      context.strokeStyle = ink.accent;
      context.strokeRect(x - 7, bottom - high * height, 14, (high - low) * height);
    }
  });
}

/** Write beside an axis, on a ground that keeps lines away. */
function mark(context: CanvasRenderingContext2D, ink: ReturnType<typeof inkNow>, x: number, y: number, text: string): void {
  context.font = `11px ${ink.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const width = context.measureText(text).width;
  context.globalAlpha = 0.78;
  context.fillStyle = ink.surface;
  context.fillRect(x + 5, y - 7, width + 6, 14);
  context.globalAlpha = 1;
  context.fillStyle = ink.text;
  context.fillText(text, x + 8, y);
  context.strokeStyle = ink.soft;
  context.beginPath();
  context.moveTo(x - 3, y);
  context.lineTo(x + 3, y);
  context.stroke();
}
