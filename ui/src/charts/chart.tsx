// One chart: its title, its plot, what the cursor is at, and what can be done with it.
import { useComputed } from "@preact/signals";
import { useId, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Icon, IconButton } from "../common/icons";
import { ErrorMessage } from "../common/message";
import { MenuButton, MenuItem } from "../common/popover";
import { formatNumber, plural } from "../common/values";
import { axisText } from "./axis-text";
import { Overlay } from "./cursor-marks";
import { savePicture, saveTable } from "./download";
import { followPointer } from "./pointer";
import { forgetMeanErrors, leftOutOf } from "./means";
import type { Board } from "./runs";
import { forgetErrors } from "./series";
import { chooseMetrics, isGrouped, logX, logY, showFull, toggle, wholeY, xAxis, zoom } from "./settings";
import { LineTable, showTable } from "./table";
import { ChartView } from "./view";

interface ChartProps {
  metric: string;
  board: Board;
  /** All metrics that are drawn, so that this one can be taken away. */
  metrics: string[];
  isFull?: boolean;
}

export function Chart({ metric, board, metrics, isFull = false }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useMemo(() => new ChartView(metric, board), [metric, board]);
  const id = useId();
  useLayoutEffect(() => view.mount(host.current!), [view]);
  useLayoutEffect(() => followPointer(host.current!, view), [view]);
  return (
    <figure class={isFull ? "chart full" : "chart"} data-metric={metric}>
      <figcaption>
        <h2 title={metric}>{metric}</h2>
        <Notes view={view} />
        <Actions view={view} metrics={metrics} isFull={isFull} />
      </figcaption>
      <div class="chart-body">
        <div class="chart-frame">
          <div
            ref={host}
            class="chart-plot"
            role="application"
            aria-roledescription="chart"
            aria-label={metric}
            aria-describedby={id}
            tabIndex={0}
          />
          <Overlay view={view} />
          <State view={view} />
        </div>
        {isFull && (
          <div class="chart-side">
            <LineTable lines={view.lines.value} caption={`${metric} by run`} isBrief />
          </div>
        )}
      </div>
      <Description id={id} view={view} />
    </figure>
  );
}

function State({ view }: { view: ChartView }) {
  const error = view.error.value;
  const retry = () => {
    forgetMeanErrors(view.metric);
    forgetErrors(view.metric);
  };
  if (error && !view.lines.value.length) {
    return (
      <div class="chart-state">
        <ErrorMessage error={error} retry={retry} />
      </div>
    );
  }
  if (view.isLoading.value) {
    if (view.lines.value.length) return <div class="chart-progress loading" role="status" aria-label="Loading" />;
    return <div class="chart-state loading" role="status" aria-label="Loading" />;
  }
  const some = view.lines.value.some((line) => !line.isEmpty);
  if (some) return null;
  const text = !view.board.drawn.value.length
    ? "All runs are hidden."
    : view.lines.value.length
      ? isGrouped.value
        ? "All means are NaN."
        : "All values are NaN."
      : "None of these runs logged this metric.";
  return <p class="chart-state quiet">{text}</p>;
}

/** What the picture leaves out. */
function Notes({ view }: { view: ChartView }) {
  const note = useComputed(() => {
    const texts: string[] = [];
    if (logY.value) {
      const count = view.lines.value.reduce((sum, line) => sum + line.nonPositive(), 0);
      if (count) texts.push(`${plural(count, "value")} ≤ 0 left out`);
    }
    if (logX.value && view.lines.value.some((line) => (line.extentX()?.least ?? 1) <= 0)) {
      texts.push(xAxis.value === "step" ? "steps ≤ 0 left out" : "times ≤ 0 s left out");
    }
    if (isGrouped.value) {
      const left = leftOutOf(xAxis.value, view.metric, view.board.considered.value);
      if (left.length) texts.push(`${plural(left.length, "run")} left out: ${left[0]!.reason}`);
    }
    const empty = view.lines.value.filter((line) => line.isEmpty);
    if (empty.length && empty.length < view.lines.value.length) {
      const names = empty.slice(0, 2).map((line) => line.name());
      const more = empty.length > 2 ? ` and ${empty.length - 2} more` : "";
      texts.push(`only NaN: ${names.join(", ")}${more}`);
    }
    return texts.join("; ");
  });
  return (
    <>
      {note.value && (
        <span class="chart-note fine soft cut" title={note.value}>
          {note}
        </span>
      )}
      <Leaving view={view} />
    </>
  );
}

/** The lines that leave the axis, or would flatten the others; and the other view of them. */
function Leaving({ view }: { view: ChartView }) {
  const leaving = view.leaving.value;
  if (!leaving.length || logY.value) return null;
  const names = leaving.map(({ line, far }) => `${line.name()} (${far > 0 ? "up" : "down"} to ${formatNumber(far)})`);
  const all = names.join(", ");
  const who = names.length === 1 ? all : plural(names.length, "line");
  const isWhole = wholeY.value;
  return (
    <>
      <span class="chart-note fine soft cut" title={`${isWhole ? "Flat beside" : "Outside of the axis"}: ${all}`}>
        {isWhole ? `flat beside ${who}` : `outside: ${who}`}
      </span>
      <button
        type="button"
        class="link chart-whole fine"
        title={isWhole ? "Draw the axis over most lines" : "Draw the axis over all lines"}
        onClick={() => toggle("wholey", isWhole)}
      >
        {isWhole ? "Fit most" : "Show"}
      </button>
    </>
  );
}

interface ActionsProps {
  view: ChartView;
  metrics: string[];
  isFull: boolean;
}

function Actions({ view, metrics, isFull }: ActionsProps) {
  const { metric } = view;
  return (
    <span class="chart-actions">
      {!isFull && (
        <IconButton
          icon="expand"
          label={`Enlarge ${metric}`}
          title="Enlarge"
          onClick={() => showFull(metric)}
        />
      )}
      <MenuButton
        label={`More of ${metric}`}
        class="icon-button"
        menu={() => (
          <div class="menu">
            <MenuItem onClick={() => showTable(view)}>Show as a table</MenuItem>
            <MenuItem onClick={() => savePicture(view)}>Download as PNG</MenuItem>
            <MenuItem onClick={() => saveTable(view)}>Download as CSV</MenuItem>
            {!isFull && (
              <>
                <hr />
                <MenuItem onClick={() => chooseMetrics(metrics.filter((name) => name !== metric))}>
                  Remove this chart
                </MenuItem>
              </>
            )}
          </div>
        )}
      >
        <Icon name="more" />
      </MenuButton>
    </span>
  );
}

/** The chart in words, for those who do not see it. */
function Description({ id, view }: { id: string; view: ChartView }) {
  const text = useComputed(() => {
    void view.drawn.value;
    const lines = view.lines.value;
    const { plot } = view;
    if (!plot || !lines.length) return "Nothing is drawn.";
    const shown = `${plural(lines.length, "line")} from ${axisText(plot.x.from)} to ${axisText(plot.x.to)}`;
    const extents = lines.map((line) => line.summary());
    const least = Math.min(...extents.map((one) => one.least).filter((value) => !Number.isNaN(value)));
    const most = Math.max(...extents.map((one) => one.most).filter((value) => !Number.isNaN(value)));
    const last = lines.slice(0, 5).map((line) => `${line.name()} ${formatNumber(line.summary().last)}`);
    const more = lines.length > 5 ? `, and ${lines.length - 5} more` : "";
    const part = zoom.value ? ", zoomed" : "";
    return (
      `${shown}${part}. Values from ${formatNumber(least)} to ${formatNumber(most)}. Last values: ${last.join(", ")}${more}. ` +
      "Left and right arrows move the cursor, up and down choose a line, plus and minus zoom, 0 shows all, space selects the run."
    );
  });
  return (
    <p id={id} class="visually-hidden">
      {text}
    </p>
  );
}
