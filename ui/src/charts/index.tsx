// Charts of runs: one for each metric, over the runs in sight or selected.
import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { EmptyMessage, ErrorMessage } from "../common/message";
import { formatCount } from "../common/values";
import { groupBy, inTrash } from "../state/order";
import { hovered } from "../state/selection";
import { Chart } from "./chart";
import { FullChart } from "./full";
import { Legend } from "./legend";
import { type Metrics, metricsOf } from "./metrics";
import { type Board, followNames, followSight, gridBoard } from "./runs";
import { fullMetric } from "./settings";
import { Runs, Toolbar } from "./toolbar";
import "./charts.css";

export { boardOf } from "./runs";

/** The charts of a list of runs, with their tools. */
export function Charts({ board }: { board: Board }) {
  const metrics = useMemo(() => metricsOf(board), [board]);
  useEffect(() => {
    const stops = [followNames(board), metrics.follow()];
    return () => {
      for (const stop of stops) stop();
      hovered.value = null;
    };
  }, [board, metrics]);
  const names = metrics.names.value ?? [];
  const shown = () => metrics.names.value ?? [];
  return (
    <div class="charts">
      <div class="chart-head">
        <Toolbar board={board} metrics={shown} />
        <Runs board={board} />
        <Legend board={board} />
      </div>
      <Body board={board} metrics={metrics} />
      {fullMetric.value && (
        <FullChart key={fullMetric.value} metric={fullMetric.value} metrics={names} board={board} />
      )}
    </div>
  );
}

const AT_FIRST = 60;

function Body({ board, metrics }: { board: Board; metrics: Metrics }) {
  const names = metrics.names.value;
  const error = metrics.error.value;
  const isIdle = useComputed(() => !board.considered.value.length);
  if (isIdle.value) {
    return (
      <EmptyMessage title="No runs to draw">
        <p>
          {inTrash.value
            ? "Runs in the trash are not drawn. Restore them first."
            : groupBy.value.length
              ? "Open a group, or select runs in one, to draw them."
              : "Charts show the runs that are visible or selected in the grid."}
        </p>
      </EmptyMessage>
    );
  }
  if (error && !names) return <ErrorMessage error={error} retry={metrics.retry} />;
  if (!names) return <div class="loading" role="status" aria-label="Loading" />;
  if (!names.length) return <NoMetrics />;
  return (
    <div class="chart-grid">
      {names.slice(0, AT_FIRST).map((name) => (
        <Chart key={name} metric={name} board={board} metrics={names} />
      ))}
      {names.length > AT_FIRST && (
        <p class="chart-note fine soft cut">{formatCount(names.length - AT_FIRST)} more charts are not drawn. Choose fewer metrics.</p>
      )}
    </div>
  );
}

function NoMetrics() {
  return (
    <EmptyMessage title="No charts">
      <p>Choose Metrics above to draw some. A run has metrics once it has logged a value:</p>
      <pre class="example">{'with runstore.start_run("mnist") as run:\n    run.log(loss=0.31, step=1)'}</pre>
    </EmptyMessage>
  );
}

export default function GridCharts() {
  useEffect(followSight, []);
  return <Charts board={gridBoard} />;
}
