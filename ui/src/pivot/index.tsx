// A pivot table: the mean of repeated runs by what rows and columns differ in.
import { useAnswer } from "../api/answer";
import { CopyAs, copyText, pythonText, shellWord } from "../common/copy";
import { Icon } from "../common/icons";
import { EmptyMessage, ErrorMessage, Remarks } from "../common/message";
import { MenuButton, MenuItem } from "../common/popover";
import { openStore, program } from "../common/program";
import { plural } from "../common/values";
import { ColumnChoice, columnTitle } from "../compare/plots/column-choice";
import { useDefaults } from "../compare/plots/defaults";
import { FilterLine } from "../filter/line";
import { setQuery, word } from "../state/address";
import { columnOf, metricKey } from "../state/columns";
import { filter } from "../state/order";
import { conditionsOf, splitFields } from "../state/query-text";
import { PivotTable, type PivotAnswer } from "./table";
import "../compare/tools.css";
import "./pivot.css";

const rowsWord = word("rows");
const columnsWord = word("columns");
const metricWord = word("metric");
const severalWord = word("several");
const directionWord = word("direction");

/** All matching runs are read for each table: not more often than somebody looks. */
const AFTER_CHANGES = { everyMs: 10_000, isAffected: () => true };

export default function PivotView() {
  const { defaults: metrics, error: metricsError } = useDefaults(filter.value);
  const metric = metricWord.value || (metrics?.metrics[0] ?? "");
  // Parameters of runs without the metric say nothing about it.
  const { defaults, error: labelsError } = useDefaults(withMetric(filter.value, metric));
  const error = metricsError ?? labelsError;
  return (
    <div class="pivot">
      <div class="compare-filter">
        <FilterLine />
      </div>
      {error ? (
        <ErrorMessage error={error} />
      ) : !metrics || !defaults ? (
        <div class="loading" role="status" aria-label="Loading" />
      ) : (
        <Chosen
          labels={defaults.labels.filter((name) => !/(^|[.])(random_|rng_)?(seed|state)$/.test(name))}
          metric={metric}
        />
      )}
    </div>
  );
}

/** Return a filter of the runs that also have a metric. */
function withMetric(text: string, name: string): string {
  const conditions = conditionsOf(text);
  const { metric } = columnOf(name);
  if (!metric) return conditions;
  return `${conditions && `(${conditions}) and `}metrics.${metric.key} is not missing`;
}

interface Asked {
  rows: string[];
  columns: string[];
  metric: string;
}

/** The metric as `store.pivot` and the server name it: the key and which of its values. */
function metricText(name: string): string {
  const { metric } = columnOf(name);
  if (!metric) return name;
  const isPlain = metric.of === "last" || metric.of.startsWith("@");
  return isPlain ? metricKey(name) : `${metricKey(name)}.${metric.of}`;
}

function Chosen({ labels, metric }: { labels: string[]; metric: string }) {
  const rows = rowsWord.value ? splitFields(rowsWord.value) : labels.slice(0, 1);
  const others = labels.filter((name) => !rows.includes(name));
  const columns = columnsWord.value === "none" ? [] : columnsWord.value ? splitFields(columnsWord.value) : others.slice(0, 1);
  const asked = { rows: rows.length ? rows : ["experiment"], columns, metric };
  return (
    <>
      <Tools asked={asked} />
      {metric ? (
        <Table asked={asked} />
      ) : (
        <EmptyMessage title="No metric to show">
          <p>
            A pivot table shows a metric of repeated runs, such as the same settings with five seeds. Log one with{" "}
            <code>run.log(acc=0.9)</code>, or change the filter above.
          </p>
        </EmptyMessage>
      )}
    </>
  );
}

function Fields({ label, word: name, fields, least }: { label: string; word: "rows" | "columns"; fields: string[]; least: number }) {
  const show = (next: string[]): void => setQuery({ [name]: next.length ? next.join(",") : "none" });
  return (
    <div class="pivot-fields" role="group" aria-label={label}>
      {fields.map((field, at) => (
        <ColumnChoice
          key={field}
          label={at ? "and" : label}
          value={field}
          none={fields.length > least ? "remove" : null}
          onChange={(chosen) =>
            show(chosen ? fields.map((one) => (one === field ? chosen : one)) : fields.filter((one) => one !== field))
          }
        />
      ))}
      {fields.length < 3 && (
        <ColumnChoice
          label={fields.length ? "+" : label}
          value=""
          none={fields.length ? "" : "none"}
          onChange={(chosen) => chosen && !fields.includes(chosen) && show([...fields, chosen])}
        />
      )}
    </div>
  );
}

function Tools({ asked: { rows, columns, metric } }: { asked: Asked }) {
  return (
    <div class="plot-tools bar">
      <Fields label="Rows" word="rows" fields={rows} least={1} />
      <button
        type="button"
        class="button"
        title="Swap rows and columns"
        aria-label="Swap rows and columns"
        disabled={!columns.length}
        onClick={() => setQuery({ rows: columns.join(","), columns: rows.join(",") })}
      >
        ⇄
      </button>
      <Fields label="Columns" word="columns" fields={columns} least={0} />
      <ColumnChoice label="Metric" value={metric} onlyMetrics onChange={(name) => setQuery({ metric: name })} />
      <label class="pair-choice">
        Best is
        <select class="input" value={directionWord.value || "known"} onChange={(event) => setQuery({ direction: noDefault(event.currentTarget.value, "known") })}>
          <option value="known">from the metric's name</option>
          <option value="max">highest</option>
          <option value="min">lowest</option>
        </select>
      </label>
      <label class="pair-choice">
        Several settings in a cell
        <select class="input" value={severalWord.value || "best"} onChange={(event) => setQuery({ several: noDefault(event.currentTarget.value, "best") })}>
          <option value="best">show the best</option>
          <option value="all">mean of all runs</option>
        </select>
      </label>
    </div>
  );
}

function noDefault(value: string, usual: string): string | null {
  return value === usual ? null : value;
}

function Table({ asked }: { asked: Asked }) {
  const { rows, columns, metric } = asked;
  const { answer, error, isWaiting, retry } = useAnswer<PivotAnswer>("pivot", {
    filter: conditionsOf(filter.value),
    rows: rows.join(","),
    columns: columns.join(","),
    metric: metricText(metric),
    several: severalWord.value,
    direction: directionWord.value,
  }, { fresh: AFTER_CHANGES });
  if (error) return <ErrorMessage error={error} retry={retry} />;
  if (!answer) return <div class="loading" role="status" aria-label="Loading" />;
  const more = answer.more_remarks;
  const others = more > 0 ? [`and ${plural(more, "other")}`] : [];
  return (
    <div class={isWaiting ? "pivot-found waiting" : "pivot-found"}>
      <div class="pivot-head bar">
        <h1>
          {columnTitle(metric)} by {[...rows, ...columns].map(columnTitle).join(", ")}
        </h1>
        <span class="spring" />
        <MenuButton
          label="Copy the table"
          menu={() => (
            <div class="menu">
              <MenuItem onClick={() => void copyText(answer.markdown)}>Markdown</MenuItem>
              <MenuItem onClick={() => void copyText(answer.latex)}>LaTeX (booktabs)</MenuItem>
              <MenuItem onClick={() => void copyText(answer.csv)}>CSV</MenuItem>
            </div>
          )}
        >
          <Icon name="copy" />
          Copy the table
        </MenuButton>
        <CopyAs texts={() => copied(asked)} />
      </div>
      <PivotTable answer={answer} />
      <p class="pivot-note">
        Mean ± half of the {100 * answer.level} % interval over runs that differ only in{" "}
        {answer.over.length ? answer.over.join(", ") : "a seed"}; <strong>★</strong> marks the best cell, ≈ cells not
        distinguishable from it.
      </p>
      {answer.remarks.length > 0 && (
        <Remarks title={plural(answer.remarks.length + more, "remark")} texts={[...answer.remarks, ...others]} />
      )}
    </div>
  );
}

/** The table as a command and as Python. */
function copied({ rows, columns, metric }: Asked) {
  const text = conditionsOf(filter.value);
  const shown = metricText(metric);
  const direction = directionWord.value;
  const several = severalWord.value;
  const list = (names: string[]): string => (names.length === 1 ? pythonText(names[0]!) : `[${names.map(pythonText).join(", ")}]`);
  const options = [
    pythonText(shown),
    list(rows),
    ...(columns.length ? [list(columns)] : []),
    ...(text ? [`where=${pythonText(text)}`] : []),
    ...(direction ? [`direction=${pythonText(direction)}`] : []),
    ...(several ? [`several=${pythonText(several)}`] : []),
  ];
  return {
    command: `${program()} best${text && ` ${shellWord(text)}`} --metric ${shellWord(shown)}${direction && ` --${direction}`}`,
    python: `${openStore()}table = store.pivot(${options.join(", ")})\nprint(table.to_markdown())`,
  };
}
