// Runs beside each other: a column for each, a line for each difference.
import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../api/answer";
import { joinNames } from "../api/client";
import type { Cell } from "../api/types";
import { colourVariable } from "../common/colour";
import { Icon, IconButton } from "../common/icons";
import { ErrorMessage, Remarks } from "../common/message";
import { StatusMark } from "../common/status";
import { formatDifference, numberOf, plural } from "../common/values";
import { visibleText } from "../run/visible";
import { list, setQuery, toggleInList, word } from "../state/address";
import { rowByUid, rowsByUid, rowsVersion } from "../state/rows";
import { hovered } from "../state/selection";
import { type Comparison, type Difference, type Gap, type NamedRun, runs, whenComparedChange } from "./state";

const SECTIONS = [
  "status", "params", "code", "packages", "environment", "inputs", "command", "metrics", "artifacts", "tags", "notes",
] as const;
const TITLES: Record<string, string> = {
  status: "Status", params: "Parameters", code: "Code", packages: "Packages", environment: "Environment",
  inputs: "Inputs", command: "Command", metrics: "Metrics", artifacts: "Artifacts", tags: "Tags", notes: "Notes",
};
const PAGE = 500;

const all = word("all");
const search = word("search");
const sections = list("sections");
const baselineWord = word("baseline");
const folded = list("folded");

export default function CompareTable() {
  const [shown, setShown] = useState(PAGE);
  const everything = all.value === "1";
  const asked = useAnswer<Comparison>("compare", {
    runs: runs.value.join(","),
    everything: everything ? 1 : null,
    search: search.value,
    sections: sections.value.join(","),
    limit: shown,
  }, { fresh: whenComparedChange });
  useEffect(() => {
    void rowsByUid(runs.value).catch(() => undefined); // the table names the runs without them, too
  }, [runs.value]);
  if (asked.error) return <ErrorMessage error={asked.error} retry={asked.retry} />;
  const { answer } = asked;
  return (
    <div class="compare-table">
      <div class="plot-tools bar">
        <label class="check">
          <input
            type="checkbox"
            checked={!everything}
            onChange={() => setQuery({ all: everything ? null : "1" })}
          />
          Only differences
        </label>
        <input
          class="input compare-search"
          type="search"
          placeholder="Search rows"
          aria-label="Search rows"
          value={search.value}
          onInput={(event) => setQuery({ search: event.currentTarget.value }, { replace: true })}
        />
        <div class="choices" role="group" aria-label="Sections">
          {SECTIONS.map((name) => (
            <button
              key={name}
              type="button"
              class="choice"
              aria-pressed={sections.value.includes(name)}
              onClick={() => toggleInList("sections", name)}
            >
              {TITLES[name]}
            </button>
          ))}
        </div>
      </div>
      {!answer ? (
        <div class="loading" role="status" aria-label="Loading" />
      ) : (
        <>
          {answer.differences.length ? (
            <Table answer={answer} />
          ) : (
            <NothingDiffers isSearch={search.value !== "" || sections.value.length > 0} everything={everything} />
          )}
          {answer.total > answer.differences.length && (
            <button type="button" class="button" onClick={() => setShown((now) => Math.min(5000, now + 4 * PAGE))}>
              Show more of {plural(answer.total, "row")}
            </button>
          )}
          <Gaps gaps={answer.unknown} count={answer.runs.length} />
        </>
      )}
    </div>
  );
}

function NothingDiffers({ isSearch, everything }: { isSearch: boolean; everything: boolean }) {
  return (
    <div class="message">
      <h2>{isSearch ? "No row matches" : "No recorded differences"}</h2>
      {isSearch ? (
        <button type="button" class="button" onClick={() => setQuery({ search: null, sections: null })}>
          Show all sections
        </button>
      ) : (
        !everything && (
          <button type="button" class="button" onClick={() => setQuery({ all: "1" })}>
            Show equal values
          </button>
        )
      )}
    </div>
  );
}

function Table({ answer }: { answer: Comparison }) {
  const found = answer.runs.findIndex((run) => run.uid === baselineWord.value);
  const baseline = Math.max(0, found);
  // The baseline comes first, so that it stays beside the names.
  const order = [baseline, ...answer.runs.keys()].filter((place, at) => at === 0 || place !== baseline);
  const bySection = new Map<string, Difference[]>();
  for (const one of answer.differences) {
    const rows = bySection.get(one.section);
    if (rows) rows.push(one);
    else bySection.set(one.section, [one]);
  }
  return (
    <div class="compare-scroll" tabIndex={0} role="region" aria-label="Comparison">
      <table>
        <thead>
          <tr>
            <th scope="col" class="compare-name">
              <span class="visually-hidden">Row</span>
            </th>
            {order.map((place) => (
              <RunHead key={answer.runs[place]!.uid} run={answer.runs[place]!} isBaseline={place === baseline} />
            ))}
          </tr>
        </thead>
        {[...bySection].map(([section, rows]) => (
          <tbody key={section}>
            <tr class="compare-section">
              <th scope="rowgroup" colSpan={order.length + 1}>
                <button
                  type="button"
                  aria-expanded={!folded.value.includes(section)}
                  onClick={() => toggleInList("folded", section, { replace: true })}
                >
                  <Icon name={folded.value.includes(section) ? "right" : "chevron"} size={14} />
                  {TITLES[section] ?? section} <small>{rows.length}</small>
                </button>
              </th>
            </tr>
            {!folded.value.includes(section) &&
              rows.map((row) => <Row key={row.key} row={row} order={order} baseline={baseline} runs={answer.runs} />)}
          </tbody>
        ))}
      </table>
    </div>
  );
}

function RunHead({ run, isBaseline }: { run: NamedRun; isBaseline: boolean }) {
  void rowsVersion.value;
  const row = rowByUid(run.uid);
  const others = runs.value.filter((uid) => uid !== run.uid);
  return (
    <th
      scope="col"
      class={isBaseline ? "compare-run baseline" : "compare-run"}
      onMouseEnter={() => {
        hovered.value = run.uid;
      }}
      onMouseLeave={() => {
        hovered.value = null;
      }}
    >
      <div class="compare-run-name">
        <span class="swatch" style={{ background: colourVariable(run.uid) }} />
        <a class="cut" href={`/runs/${run.uid}`} title={run.reference}>
          {run.name}
        </a>
      </div>
      <div class="compare-run-tools fine">
        {row && <StatusMark status={row.status} text={row.status_text} />}
        <span class="spring" />
        {isBaseline ? (
          <span class="badge">baseline</span>
        ) : (
          <IconButton
            icon="flag"
            label={`Make ${run.name} the baseline`}
            title="Make it the baseline"
            onClick={() => setQuery({ baseline: run.uid })}
          />
        )}
        {others.length > 1 && (
          <IconButton
            icon="cross"
            label={`Remove ${run.name} from the comparison`}
            title="Remove it"
            onClick={() => setQuery({ runs: joinNames(others), baseline: isBaseline ? null : baselineWord.value })}
          />
        )}
      </div>
    </th>
  );
}

interface RowProps {
  row: Difference;
  order: number[];
  baseline: number;
  runs: NamedRun[];
}

function Row({ row, order, baseline, runs: named }: RowProps) {
  const isLong = row.texts.some((text) => text.length > 60 || text.includes("\n"));
  return (
    <tr class={row.differs ? undefined : "compare-same"}>
      <th scope="row" class="compare-name" title={visibleText(row.key)}>
        {visibleText(row.key)}
        {row.direction && (
          <small title={row.direction === "min" ? "Lower is better" : "Higher is better"}>
            {row.direction === "min" ? "↓" : "↑"}
            <span class="visually-hidden">{row.direction === "min" ? " lower is better" : " higher is better"}</span>
          </small>
        )}
      </th>
      {order.map((place) => (
        <Value key={named[place]!.uid} row={row} place={place} baseline={baseline} isLong={isLong} />
      ))}
    </tr>
  );
}

interface ValueProps {
  row: Difference;
  place: number;
  baseline: number;
  isLong: boolean;
}

function Value({ row, place, baseline, isLong }: ValueProps) {
  const text = row.texts[place]!;
  const isBest = row.best.includes(place);
  const isSame = place !== baseline && text === row.texts[baseline];
  const isGap = row.missing.includes(place) || row.unknown.includes(place);
  const number = numberOf(row.values[place] as Cell);
  const classes = ["compare-value"];
  if (place === baseline) classes.push("baseline");
  else if (row.differs && !isSame) classes.push("compare-differs");
  if (isSame) classes.push("compare-equal");
  if (isGap) classes.push("compare-gap");
  if (number !== null) classes.push("number");
  if (isBest) classes.push("compare-best");
  const shown = row.unknown.includes(place) ? "unknown" : visibleText(text);
  return (
    <td class={classes.join(" ")} title={isLong ? shown : undefined}>
      <span class={isLong ? "compare-long" : undefined}>{shown}</span>
      {isBest && (
        <span class="compare-star" title="Best value">
          ★<span class="visually-hidden"> best</span>
        </span>
      )}
      {place !== baseline && <Change row={row} place={place} baseline={baseline} />}
    </td>
  );
}

/** How far a number is from that of the baseline. */
function Change({ row, place, baseline }: Omit<ValueProps, "isLong">) {
  const now = numberOf(row.values[place] as Cell);
  const before = numberOf(row.values[baseline] as Cell);
  // An exit code is a name.
  if (row.key === "exit code" || now === null || before === null || now === before) return null;
  const difference = now - before;
  if (!Number.isFinite(difference)) return null;
  const share = before !== 0 ? (100 * difference) / Math.abs(before) : NaN;
  const percent = Number.isFinite(share) && Math.abs(share) < 1000 ? ` (${formatDifference(Number(share.toPrecision(3)))} %)` : "";
  const isBetter = difference > 0 === (row.direction === "max");
  const tone = row.direction && (isBetter ? "better" : "worse");
  return (
    <small class={tone ? `compare-change ${isBetter ? "good" : "bad"}` : "compare-change"}>
      {formatDifference(Number(difference.toPrecision(4)))}
      {percent}
      {tone && <span class="visually-hidden"> {tone}</span>}
    </small>
  );
}

function Gaps({ gaps, count }: { gaps: Gap[]; count: number }) {
  // What no run knows is no news; what some know cannot be compared with the others.
  const byName = new Map<string, Gap[]>();
  for (const gap of gaps) byName.set(gap.what, [...(byName.get(gap.what) ?? []), gap]);
  const partial = [...byName.values()].filter((some) => new Set(some.map((gap) => gap.run)).size < count).flat();
  if (!partial.length) return null;
  return (
    <Remarks
      title={`${plural(partial.length, "value")} could not be compared`}
      texts={partial.slice(0, 100).map((gap) => `${gap.what} of ${gap.run}: ${gap.reason}.`)}
    />
  );
}
