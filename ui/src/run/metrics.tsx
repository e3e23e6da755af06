// Metrics: the numbers of each series, and its course.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { FindInput, findText, matcher } from "../common/find";
import { RoundedNumber } from "../common/number";
import { formatCount, plural } from "../common/values";
import { Sparkline, wantSparklines } from "../grid/sparklines";
import { setQuery } from "../state/address";
import { showError } from "../state/toasts";
import type { PartProps } from "./index";
import type { Metric, RunRecord } from "./types";
import { metricName } from "./types";
import { visibleText } from "./visible";

const DRAWN = 300;
const SHORT = 10;
/** Columns; the first three are those of an overview. */
const NUMBERS = ["Last", "Min", "Max", "Mean", "First", "Points", "Last step"];

export function Metrics({ run, id }: PartProps) {
  if (!run.metrics.length) {
    return (
      <p class="soft">
        This run logged no metrics. In a program: <code>run.log(loss=0.3)</code>
      </p>
    );
  }
  return (
    <>
      <div class="part-tools bar">
        <FindInput placeholder="Filter metrics" />
      </div>
      <MetricTable run={run} id={id} filter={findText.value} />
      <MetricCharts uid={run.uid} />
    </>
  );
}

type ChartsModule = typeof import("../charts");
let charts: ChartsModule | null = null;

/** The course of each metric, drawn by the charts of the grid. */
function MetricCharts({ uid }: { uid: string }) {
  const [module, setModule] = useState(charts);
  useEffect(() => {
    if (module) return;
    import("../charts").then(
      (loaded) => {
        charts = loaded;
        setModule(loaded);
      },
      showError,
    );
  }, [module]);
  const board = useMemo(() => module?.boardOf(signal([uid])), [module, uid]);
  if (!module || !board) return <div class="loading" role="status" aria-label="Loading" />;
  return (
    <section class="run-charts" aria-labelledby="charts-title">
      <h2 id="charts-title" class="visually-hidden">
        Charts
      </h2>
      <module.Charts board={board} />
    </section>
  );
}

interface MetricTableProps {
  run: RunRecord;
  id: number | null;
  version?: number;
  filter?: string;
  isShort?: boolean;
}

export function MetricTable({ run, id, filter = "", isShort = false }: MetricTableProps) {
  const fits = matcher(filter);
  const all = run.metrics.filter((metric) => fits(metricName(metric)));
  const metrics = all.slice(0, isShort ? SHORT : DRAWN);
  // A sparkline is that of the run itself or of its first set.
  const keys = metrics.map((metric) => metric.key);
  useEffect(() => {
    if (id !== null) wantSparklines([id], [...new Set(keys)]);
  }, [id, keys.join("\0"), run]);
  if (!run.metrics.length) return <p class="soft">No metrics were logged.</p>;
  if (!metrics.length) return <p class="soft">No metric matches.</p>;
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Table of metrics">
        <table class="table metric-table">
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col">Curve</th>
              {(isShort ? NUMBERS.slice(0, 3) : NUMBERS).map((title) => (
                <th key={title} scope="col" class="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {metrics.map((metric) => (
              <MetricRow key={metricName(metric)} metric={metric} run={run} id={id} isShort={isShort} />
            ))}
          </tbody>
        </table>
      </div>
      {all.length > metrics.length &&
        (isShort ? (
          <button
            type="button"
            class="button small quiet"
            onClick={() => setQuery({ tab: "metrics" })}
          >
            Show all {plural(all.length, "metric")}
          </button>
        ) : (
          <p class="soft">{all.length - metrics.length} more: filter to see them.</p>
        ))}
    </>
  );
}

interface MetricRowProps {
  metric: Metric;
  run: RunRecord;
  id: number | null;
  isShort: boolean;
}

function MetricRow({ metric, run, id, isShort }: MetricRowProps) {
  const name = metricName(metric);
  return (
    <tr>
      <th scope="row">
        <bdi>{visibleText(name)}</bdi>
      </th>
      <td>
        {id !== null && metric.set_name === null && (
          <Sparkline id={id} uid={run.uid} metric={metric.key} />
        )}
      </td>
      <td class="number strong"><RoundedNumber value={metric.last} /></td>
      <td class="number"><RoundedNumber value={metric.min} /></td>
      <td class="number"><RoundedNumber value={metric.max} /></td>
      {!isShort && (
        <>
          <td class="number"><RoundedNumber value={metric.mean} /></td>
          <td class="number"><RoundedNumber value={metric.first} /></td>
          <td class="number">{formatCount(metric.count)}</td>
          <td class="number">{metric.count ? formatCount(metric.last_step) : ""}</td>
        </>
      )}
    </tr>
  );
}
