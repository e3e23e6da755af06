// What lies over a plot: the cursor, the part that is dragged over, and the values at the cursor.
import { useLayoutEffect, useRef } from "preact/hooks";
import { DASHES } from "../common/colour";
import { formatNumber } from "../common/values";
import { axisText } from "./axis-text";
import { cursor } from "./cursor";
import type { Line, Reading } from "./lines";
import type { ChartView } from "./view";

export function Overlay({ view }: { view: ChartView }) {
  void view.drawn.value;
  const { plot } = view;
  if (!plot) return null;
  const area = plot.area;
  const box = {
    left: `${area.left}px`,
    top: `${area.top}px`,
    width: `${area.width}px`,
    height: `${area.height}px`,
  };
  return (
    <>
      <div class="chart-area" style={box} aria-hidden="true">
        <Dragged view={view} />
        <Cross view={view} />
      </div>
      <Tip view={view} />
    </>
  );
}

function Dragged({ view }: { view: ChartView }) {
  const now = view.dragged.value;
  if (!now) return null;
  const left = Math.min(now.from, now.to);
  const width = Math.abs(now.to - now.from);
  return <div class="chart-dragged" style={{ left: `${left * 100}%`, width: `${width * 100}%` }} />;
}

/** The line at the cursor, and a point on the line that is looked at. */
function Cross({ view }: { view: ChartView }) {
  const now = cursor.value;
  const { plot } = view;
  if (!now || !plot || view.dragged.value) return null;
  const share = plot.shareOf(now.x);
  if (!(share >= 0 && share <= 1)) return null;
  const looked = view.lines.value.find((line) => line.id === view.lookedAt.value);
  const reading = looked?.reading(now.x, view.reach);
  return (
    <>
      <div class="chart-cross" style={{ left: `${share * 100}%` }} />
      {looked && reading && <Point view={view} line={looked} reading={reading} />}
    </>
  );
}

function Point({ view, line, reading }: { view: ChartView; line: Line; reading: Reading }) {
  const plot = view.plot!;
  const at = plot.projection();
  const y = (at.y(reading.value) - at.top) / at.height;
  const x = plot.shareOf(reading.x);
  if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) return null;
  const style = { left: `${x * 100}%`, top: `${y * 100}%`, background: `var(--run-${line.mark.colour})` };
  return <div class="chart-point" style={style} />;
}

/** A short piece of a line, with its dashes. */
export function LineMark({ line }: { line: Pick<Line, "mark"> }) {
  return (
    <svg class="line-mark" width="24" height="8" viewBox="0 0 24 8" aria-hidden="true">
      <path
        d="M0 4h24"
        style={{ stroke: `var(--run-${line.mark.colour})` }}
        stroke-dasharray={DASHES[line.mark.dash]!.join(" ") || undefined}
      />
    </svg>
  );
}

const MOST_LINES = 12;

/** The values at the cursor, the largest first, with the nearest line marked. */
function Tip({ view }: { view: ChartView }) {
  const panel = useRef<HTMLDivElement>(null);
  const now = cursor.value;
  const isHere = now?.chart === view && !view.dragged.value;
  const readings = isHere ? view.readings(now.x) : [];
  useLayoutEffect(() => {
    if (panel.current && now) place(panel.current, view, now);
  });
  if (!isHere || !readings.length) return null;
  const near = view.nearLine.value;
  const shown = around(readings, readings.findIndex(({ line }) => line.id === near));
  const left = readings.length - shown.length;
  return (
    <div ref={panel} class="chart-tip tip" role="status" aria-live="polite">
      <div class="soft">{axisText(now.x)}</div>
      <table>
        <tbody>
          {shown.map(({ line, reading }) => (
            <tr key={line.id} class={line.id === near ? "near" : undefined}>
              <td>
                <LineMark line={line} />
              </td>
              <th scope="row">{line.name()}</th>
              <td class="number">{formatNumber(reading.value)}</td>
              <td class="number soft">{rangeText(reading)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && <div class="soft">and {left} more</div>}
    </div>
  );
}

function rangeText({ low, high, raw }: Reading): string {
  if (low !== high && !(Number.isNaN(low) && Number.isNaN(high))) {
    return `${formatNumber(low)} … ${formatNumber(high)}`;
  }
  return raw === null ? "" : formatNumber(raw);
}

/** Return so many as fit, with the nearest among them. */
function around<T>(all: T[], near: number): T[] {
  if (all.length <= MOST_LINES) return all;
  const start = Math.min(all.length - MOST_LINES, Math.max(0, near - MOST_LINES / 2));
  return all.slice(start, start + MOST_LINES);
}

/** Put the panel beside the cursor, within the window. */
function place(panel: HTMLElement, view: ChartView, now: NonNullable<typeof cursor.value>): void {
  const frame = panel.parentElement!.getBoundingClientRect();
  const plot = view.plot!;
  const x = now.pointer?.x ?? frame.left + plot.area.left + plot.shareOf(now.x) * plot.area.width;
  const y = now.pointer?.y ?? frame.top + plot.area.top + 8;
  const { offsetWidth: width, offsetHeight: height } = panel;
  const right = x + 18 + width < innerWidth - 8;
  const left = right ? x + 18 : Math.max(8, x - 18 - width);
  panel.style.left = `${left}px`;
  panel.style.top = `${Math.max(8, Math.min(y - 12, innerHeight - height - 8))}px`;
}
