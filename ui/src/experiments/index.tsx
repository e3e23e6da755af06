// All experiments: how many runs, of which status, when the last one began, and the best one.
import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswer, useRested } from "../api/answer";
import type { Cell, ColumnsAnswer, ExperimentInfo, Status } from "../api/types";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { FindInput, findText, matcher } from "../common/find";
import { Icon } from "../common/icons";
import { EmptyMessage, ErrorMessage } from "../common/message";
import { RoundedNumber } from "../common/number";
import { openStore, program } from "../common/program";
import { StatusMark } from "../common/status";
import { Ago } from "../common/time";
import { formatCount, numberOf, plural } from "../common/values";
import { href, setQuery, word } from "../state/address";
import { literal } from "../state/query-text";
import "./experiments.css";

interface Best {
  value: Cell;
  uid: string;
  reference: string;
  name: string;
}

interface Experiment extends Omit<ExperimentInfo, "best"> {
  best: Best | null;
}

interface Wanted {
  key: string;
  statistic: string;
  direction: "min" | "max" | null;
  is_kept: boolean;
}

interface Answer {
  experiments: Experiment[];
  metric: Wanted | null;
}

const STATUSES: Status[] = ["running", "live", "queued", "complete", "error", "interrupted", "lost", "pruned"];
const AFTER_CHANGES = { everyMs: 1000, isAffected: () => true };
const TYPED_MS = 250;
/** Lines drawn at once; more come by a button. */
const DRAWN = 200;

const metric = word("metric");
const direction = word("direction");
const sort = word("sort");

/** Columns to sort by; a minus before the name turns the order. */
const SORTS: Record<string, (one: Experiment, other: Experiment) => number> = {
  name: (one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }),
  runs: (one, other) => one.runs - other.runs,
  last: (one, other) => (one.last_started_at ?? "").localeCompare(other.last_started_at ?? ""),
  best: (one, other) => valueOf(one) - valueOf(other),
};

function valueOf(one: Experiment): number {
  const value = numberOf(one.best?.value);
  // Those without one stand last, whichever way.
  if (value === null) return sort.value.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return value;
}

export default function ExperimentsView() {
  const query = { metric: metric.value, direction: direction.value };
  const { answer, error } = useAnswer<Answer>("experiments", query, { fresh: AFTER_CHANGES });
  if (error && !answer) return <ErrorMessage error={error} />;
  if (!answer) return <div class="loading" role="status" aria-label="Loading" />;
  if (!answer.experiments.length) {
    return (
      <EmptyMessage title="No experiments yet">
        <p>
          An experiment is created with its first run. <a href="/">See how to record a run.</a>
        </p>
      </EmptyMessage>
    );
  }
  return (
    <div class="page experiments">
      <div class="page-head bar">
        <h1>Experiments</h1>
        <span class="soft">{formatCount(answer.experiments.length)}</span>
        <span class="spring" />
        <CopyAs texts={copied} />
      </div>
      <Tools answer={answer} error={error} />
      <Table answer={answer} />
    </div>
  );
}

function copied(): { command: string; python: string } {
  const open = openStore();
  if (!metric.value) {
    return {
      command: `${program()} ls --group-by experiment`,
      python: `${open}for one in store.experiments():\n    print(one.name, one.run_count)`,
    };
  }
  const key = metric.value.replace(/\.(last|first|min|max|mean|count)$/, "");
  return {
    command: `${program()} ls --group-by experiment --columns ${shellWord(`metrics.${key}`)}`,
    python: `${open}for one in store.group("experiment", metrics=[${pythonText(key)}]):\n    print(one.value, one.metrics)`,
  };
}

function Tools({ answer, error }: { answer: Answer; error: unknown }) {
  const wanted = answer.metric;
  return (
    <div class="part-tools bar">
      <FindInput placeholder="Filter experiments" />
      <MetricInput />
      {metric.value && (
        <label class="pair-choice">
          <span class="soft">Best is</span>
          <select
            class="input"
            value={direction.value || ""}
            onChange={(event) => setQuery({ direction: event.currentTarget.value })}
          >
            <option value="">{wantedText(wanted, direction.value !== "")}</option>
            <option value="max">highest</option>
            <option value="min">lowest</option>
          </select>
        </label>
      )}
      <span class="soft" role="status">
        {error
          ? error instanceof Error && error.message
          : wanted && !wanted.direction
            ? "Choose whether higher or lower values are better; the name of the metric does not show it."
            : ""}
      </span>
    </div>
  );
}

function wantedText(wanted: Wanted | null, isChosen: boolean): string {
  if (isChosen || !wanted?.direction) return wanted?.direction ? "automatic" : "unknown";
  return `${wanted.direction === "max" ? "highest" : "lowest"}, ${wanted.is_kept ? "as set" : "from its name"}`;
}

/** The metric that the best runs are the best by, with names to choose from. */
function MetricInput() {
  const [typed, setTyped] = useState(metric.value);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (document.activeElement !== input.current) setTyped(metric.value);
  }, [metric.value]);
  const search = `metrics. ${useRested(typed, TYPED_MS)}`;
  // The names are an offer; any can be typed.
  const offered = useAnswer<ColumnsAnswer>("columns", { search, limit: 50 }).answer?.columns ?? [];
  const names = offered.filter(({ kind }) => kind === "metric").map(({ name }) => keyOf(name));
  const choose = (text: string) => {
    setTyped(text);
    setQuery({ metric: text.trim(), direction: null, sort: sort.value.includes("best") ? null : sort.value });
  };
  return (
    <label class="pair-choice best-by">
      <span class="soft">Best by</span>
      <input
        ref={input}
        class="input"
        list="metric-names"
        placeholder="a metric, such as val/acc.max"
        value={typed}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          if (names.includes(event.currentTarget.value)) choose(event.currentTarget.value);
        }}
        onChange={(event) => choose(event.currentTarget.value)}
      />
      <datalist id="metric-names">
        {[...new Set(names)].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}

/** The metric of a column: `metrics.val/acc.last` shows `val/acc`. */
function keyOf(column: string): string {
  const name = column.replace(/^metrics\./, "").replace(/\.last$/, "");
  return name.startsWith('"') ? name.slice(1, -1).replace(/""/g, '"') : name;
}

function Table({ answer }: { answer: Answer }) {
  const [most, setMost] = useState(DRAWN);
  const fits = matcher(findText.value);
  const fitting = answer.experiments.filter((one) => fits(one.name));
  const isDown = sort.value.startsWith("-");
  const compare = SORTS[sort.value.replace("-", "")];
  if (compare) fitting.sort((one, other) => (isDown ? -compare(one, other) : compare(one, other)));
  const shown = fitting.slice(0, most);
  if (!fitting.length) return <p class="soft">No experiment matches.</p>;
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Table of experiments">
        <table class="table experiment-table">
          <thead>
            <tr>
              <Head name="name" title="Experiment" />
              <Head name="runs" title="Runs" isNumber isDownFirst />
              <th scope="col">By status</th>
              <Head name="last" title="Last run" isDownFirst />
              {answer.metric && (
                <Head
                  name="best"
                  title={`Best ${answer.metric.key}${answer.metric.statistic === "last" ? "" : `.${answer.metric.statistic}`}`}
                  isNumber
                  isDownFirst={answer.metric.direction === "max"}
                />
              )}
              {answer.metric && <th scope="col">Best run</th>}
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <Line key={one.name} experiment={one} hasBest={answer.metric !== null} />
            ))}
          </tbody>
        </table>
      </div>
      {fitting.length > shown.length && (
        <button type="button" class="button" onClick={() => setMost(most + 5 * DRAWN)}>
          Show {plural(Math.min(fitting.length - shown.length, 5 * DRAWN), "more", "more")}
        </button>
      )}
    </>
  );
}

interface HeadProps {
  name: string;
  title: string;
  isNumber?: boolean;
  isDownFirst?: boolean;
}

function Head({ name, title, isNumber = false, isDownFirst = false }: HeadProps) {
  const isUp = sort.value === name;
  const isDown = sort.value === `-${name}`;
  const first = isDownFirst ? `-${name}` : name;
  const second = isDownFirst ? name : `-${name}`;
  const next = sort.value === first ? second : sort.value === second ? "" : first;
  return (
    <th
      scope="col"
      class={isNumber ? "number" : undefined}
      aria-sort={isUp ? "ascending" : isDown ? "descending" : undefined}
    >
      <button type="button" class="sort" onClick={() => setQuery({ sort: next }, { replace: true })}>
        <bdi>{title}</bdi>
        {(isUp || isDown) && <Icon name={isUp ? "up" : "down"} size={12} />}
      </button>
    </th>
  );
}

function Line({ experiment, hasBest }: { experiment: Experiment; hasBest: boolean }) {
  const { name, best } = experiment;
  const condition = `experiment = ${literal(name)}`;
  const statuses = STATUSES.filter((status) => experiment.by_status[status]);
  return (
    <tr>
      <th scope="row" class="cut">
        <a href={href("/", { filter: condition })} dir="auto">
          {name}
        </a>
      </th>
      <td class="number">{formatCount(experiment.runs)}</td>
      <td class="statuses">
        {statuses.map((status) => (
          <a
            key={status}
            href={href("/", { filter: `${condition} and status = ${literal(status)}` })}
            title={`Show the runs with the status ${status}`}
          >
            <StatusMark status={status} /> {formatCount(experiment.by_status[status] ?? 0)}
          </a>
        ))}
      </td>
      <td class="when">
        <Ago at={experiment.last_started_at} />
        {experiment.last_run_number !== null && <span class="soft"> #{experiment.last_run_number}</span>}
      </td>
      {hasBest && <td class={best ? "number strong" : "number soft"}>{best ? <RoundedNumber value={best.value} /> : "none"}</td>}
      {hasBest && (
        <td>
          {best && (
            <a href={`/runs/${best.uid}`} dir="auto" title={best.reference}>
              {best.name}
            </a>
          )}
        </td>
      )}
    </tr>
  );
}
