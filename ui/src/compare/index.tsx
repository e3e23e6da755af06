// Several runs side by side: what differs and why, their charts, their code, plots of runs.
import { useEffect } from "preact/hooks";
import { distinguish } from "../common/colour";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { EmptyMessage } from "../common/message";
import { openStore, program } from "../common/program";
import { plural } from "../common/values";
import { FilterLine } from "../filter/line";
import { lazy } from "../shell/lazy";
import { setQuery, word } from "../state/address";
import { filter } from "../state/order";
import { rowByUid, rowsByUid, rowsVersion } from "../state/rows";
import { pair, runs, runsFilter, tab } from "./state";
import CompareTable from "./table";
import Why from "./why";
import "./tools.css";
import "./compare.css";

const Charts = lazy(() => import("./charts"));
const Code = lazy(() => import("./code"));
const Plots = lazy(() => import("./plots"));

const TABS = [
  { name: "table", title: "Table", least: 2, most: 100 },
  { name: "charts", title: "Charts", least: 1, most: 100 },
  { name: "scatter", title: "Scatter", least: 0, most: Infinity },
  { name: "parallel", title: "Parallel coordinates", least: 0, most: Infinity },
  { name: "code", title: "Code", least: 2, most: 100 },
  { name: "why", title: "Why", least: 2, most: 100 },
] as const;

type TabName = (typeof TABS)[number]["name"];

function tabsNow(): (typeof TABS)[number][] {
  const count = runs.value.length;
  return TABS.filter((one) => count >= one.least && count <= one.most);
}

function tabNow(): TabName | null {
  const tabs = tabsNow();
  const wanted = tabs.find((one) => one.name === tab.value);
  if (wanted) return wanted.name;
  return runs.value.length >= 2 ? "table" : null;
}

/** Whose colours this view shows. */
const COMPARED = {};

export default function CompareView() {
  const count = runs.value.length;
  const now = tabNow();
  distinguish(COMPARED, runs.value);
  useEffect(() => {
    if (count) void rowsByUid(runs.value.slice(0, 100)).catch(() => undefined); // names only
  }, [runs.value]);
  if (now === null) return <NothingChosen />;
  return (
    <div class="compare view">
      <div class="compare-head bar">
        <h1>{count ? `Compare ${plural(count, "run")}` : "Compare runs of a filter"}</h1>
        <Tabs now={now} />
        <span class="spring" />
        <CopyAs texts={() => copied(now)} />
      </div>
      {!count && (
        <div class="compare-filter">
          <FilterLine />
        </div>
      )}
      <div class="compare-body" role="tabpanel" id="compare-panel" aria-labelledby={`tab-${now}`}>
        <Body now={now} />
      </div>
    </div>
  );
}

function Body({ now }: { now: TabName }) {
  void rowsVersion.value;
  if (now === "table") return <CompareTable />;
  if (now === "charts") return <Charts />;
  if (now === "code") return <Code />;
  if (now === "why") return <Why />;
  return <Plots />;
}

function Tabs({ now }: { now: TabName }) {
  const tabs = tabsNow();
  const show = (name: TabName): void => setQuery({ tab: name === "table" && runs.value.length >= 2 ? null : name });
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const at = tabs.findIndex((one) => one.name === now);
    const next = tabs[(at + step + tabs.length) % tabs.length]!;
    show(next.name);
    document.getElementById(`tab-${next.name}`)?.focus();
    event.preventDefault();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Comparison" onKeyDown={onKeyDown}>
      {tabs.map((one) => (
        <button
          key={one.name}
          id={`tab-${one.name}`}
          type="button"
          role="tab"
          aria-selected={one.name === now}
          aria-controls="compare-panel"
          tabIndex={one.name === now ? 0 : -1}
          onClick={() => show(one.name)}
        >
          {one.title}
        </button>
      ))}
    </div>
  );
}

function NothingChosen() {
  return (
    <EmptyMessage title="Choose the runs to compare">
      <p>
        Select two or more <a href="/">runs</a> in the grid, then press <kbd>C</kbd> or Compare: a table shows their
        differences, with their charts, their code, and possible reasons for different results.
      </p>
      <p>Or plot all runs of a filter:</p>
      <div class="compare-starts">
        <button type="button" class="button" onClick={() => setQuery({ tab: "scatter" })}>
          Scatter plot
        </button>
        <button type="button" class="button" onClick={() => setQuery({ tab: "parallel" })}>
          Parallel coordinates
        </button>
        <a class="button" href="/pivot">
          Pivot table
        </a>
      </div>
    </EmptyMessage>
  );
}

const metric = word("metric");
const all = word("all");

/** The tab as a command and as Python. */
function copied(now: TabName) {
  const open = openStore();
  const nameOf = (uid: string): string => rowByUid(uid)?.reference ?? uid;
  const names = runs.value.map(nameOf);
  const listed = names.map(pythonText).join(", ");
  const words = names.map(shellWord).join(" ");
  const two = pair.value?.map(nameOf);
  if (now === "why" && two) {
    const result = metric.value;
    return {
      command: `${program()} why ${two.map(shellWord).join(" ")}${result && ` --metric ${shellWord(result)}`}`,
      python: `${open}explanation = store.explain(${two.map(pythonText).join(", ")}${result && `, ${pythonText(result)}`})`,
    };
  }
  if (now === "code" && two) {
    return {
      command: `${program()} diff ${two.map(shellWord).join(" ")} --only code`,
      python: `${open}comparison = store.compare(${two.map(pythonText).join(", ")}, sections=["code"])`,
    };
  }
  if (now === "charts") {
    return {
      command: `${program()} plot ${words}`,
      python: `${open}points = store.points([${listed}]).to_pandas()`,
    };
  }
  if (now === "table") {
    return {
      command: `${program()} compare ${words}${all.value ? " --full" : ""}`,
      python: `${open}comparison = store.compare(${listed}${all.value ? ", everything=True" : ""})`,
    };
  }
  const text = runs.value.length ? runsFilter.value : filter.value;
  return {
    command: `${program()} ls${text && ` ${shellWord(text)}`} --format csv`,
    python: `${open}runs = store.find(${pythonText(text)}, limit=None).to_pandas()`,
  };
}
