// What the charts show, and how.
import { Icon } from "../common/icons";
import { MenuButton, MenuItem } from "../common/popover";
import { plural } from "../common/values";
import { setQuery } from "../state/address";
import { soloUids } from "../state/hidden";
import { axisText } from "./axis-text";
import { MetricPicker } from "./picker";
import type { Board } from "./runs";
import type { XAxis } from "./series";
import {
  allowLines, isGrouped, logX, logY, MOST_SMOOTHING, setSmoothing, setXAxis, smoothing, toggle, wholeY, xAxis, zoom, zoomTo,
} from "./settings";

const AXES: { value: XAxis; name: string }[] = [
  { value: "step", name: "Step" },
  { value: "relative", name: "Time since start" },
  { value: "time", name: "Wall time" },
];

interface ToolbarProps {
  board: Board;
  metrics: () => string[];
  /** Whether there is one chart alone, whose metric is not to choose. */
  isSingle?: boolean;
}

export function Toolbar({ board, metrics, isSingle = false }: ToolbarProps) {
  const axis = AXES.find(({ value }) => value === xAxis.value)!.name;
  return (
    <div class="chart-tools bar" role="toolbar" aria-label="Charts">
      {!isSingle && (
        <MenuButton label="Metrics" menu={() => <MetricPicker board={board} shown={metrics} />}>
          <Icon name="chart" />
          <span>Metrics</span>
        </MenuButton>
      )}
      <MenuButton label={`Axes: ${axis}`} menu={() => <AxesMenu />}>
        <Icon name="axes" />
        <span>{axis}</span>
      </MenuButton>
      {isGrouped.value ? null : <Smoothing />}
      <button
        type="button"
        class={isGrouped.value ? "button on" : "button"}
        aria-pressed={isGrouped.value}
        title="Draw the mean of runs that differ only in their seed, with its confidence interval"
        onClick={() => toggle("mean", isGrouped.value)}
      >
        Mean of repeats
      </button>
    </div>
  );
}

function AxesMenu() {
  return (
    <div class="menu">
      <div class="menu-title fine soft cut">Horizontal axis</div>
      {AXES.map(({ value, name }) => (
        <MenuItem key={value} checked={xAxis.value === value} onClick={() => setXAxis(value)}>
          {name}
        </MenuItem>
      ))}
      <hr />
      <MenuItem
        checked={logX.value}
        disabled={xAxis.value === "time"}
        onClick={() => toggle("logx", logX.value)}
      >
        Logarithmic, horizontal
      </MenuItem>
      <MenuItem checked={logY.value} onClick={() => toggle("logy", logY.value)}>
        Logarithmic, vertical
      </MenuItem>
      <MenuItem checked={wholeY.value} disabled={logY.value} onClick={() => toggle("wholey", wholeY.value)}>
        Vertical over all lines
      </MenuItem>
    </div>
  );
}

function Smoothing() {
  return (
    <label class="smoothing" title="Weight of the past in the smoothed line; the line itself stays visible">
      <span>Smoothing</span>
      <input
        type="range"
        min={0}
        max={MOST_SMOOTHING}
        step={0.01}
        value={smoothing.value}
        onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
      />
      <output>{smoothing.value ? smoothing.value.toFixed(2) : "off"}</output>
    </label>
  );
}

/** Lines that are added at once: a glance at so many more is still drawn quickly. */
const MORE = 80;

/** Says which runs are drawn, and offers what is left out. */
export function Runs({ board }: { board: Board }) {
  const drawn = board.drawn.value.length;
  const all = board.all.value.length;
  const considered = board.considered.value.length;
  const kind = board.kind.value;
  const hidden = considered - drawn;
  const left = kind === "alone" ? 0 : all - considered;
  return (
    <p class="chart-runs" role="status">
      <span>
        {isGrouped.value && "Means of "}
        {left > 0 ? `${considered} of ${plural(all, "run")}` : plural(drawn, "run")}
        {kind && ` ${kind}`}{" "}
        {left > 0 && !isGrouped.value && (
          <button type="button" class="link" onClick={() => allowLines(Math.min(all, considered + MORE))}>
            Draw {left > MORE ? `${MORE} more` : "all"}
          </button>
        )}
      </span>
      {hidden > 0 && (
        <span>
          {hidden} hidden{" "}
          <button type="button" class="link" onClick={() => setQuery({ hide: null })}>
            Show
          </button>
        </span>
      )}
      {zoom.value && (
        <span>
          {axisText(zoom.value.from)} to {axisText(zoom.value.to).replace(/^Step /, "")}{" "}
          <button type="button" class="link" title="Double click, or 0" onClick={() => zoomTo(null)}>
            Reset zoom
          </button>
        </span>
      )}
      {soloUids.value.size > 0 && (
        <button type="button" class="link" onClick={() => setQuery({ solo: null })}>
          Show all runs
        </button>
      )}
    </p>
  );
}
