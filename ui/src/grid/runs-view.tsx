// The runs: a filter line, the grid, and charts beside it.
import { useEffect } from "preact/hooks";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { Icon } from "../common/icons";
import { EmptyMessage, ErrorMessage, Sentences } from "../common/message";
import { MenuButton, MenuItem } from "../common/popover";
import { openStore, program } from "../common/program";
import { formatCount, plural } from "../common/values";
import { FilterLine } from "../filter/line";
import { SavedFilters } from "../filter/saved";
import { lazy } from "../shell/lazy";
import { Splitter } from "../shell/splitter";
import { list, setList, setQuery, toggleInList, word } from "../state/address";
import { type Column, columns, followDiffering, isDefault, showDefaults } from "../state/columns";
import { filter, followQuery, groupBy, inTrash, order, orderError, ordering, reloadOrder } from "../state/order";
import { followPins } from "../state/pinned";
import { remembered } from "../state/remembered";
import { columnsError } from "../state/rows";
import { store } from "../state/store";
import { ApiError } from "../api/client";
import { ActionBar } from "./actions";
import { EmptyGrid } from "./empty";
import { Grid } from "./grid";
import { canGroup } from "./header";
import { ColumnPicker } from "./picker";

const Charts = lazy(() => import("../charts"));
const panel = word("panel");
const groups = list("group");
/** Share of the charts in the width, in percent. */
const share = remembered("charts-width", 40);
const NARROW = matchMedia("(max-width: 1000px)");

function hasCharts(): boolean {
  if (inTrash.value) return false; // the trash is a list to restore from
  return panel.value ? panel.value === "1" : !NARROW.matches;
}

function Count() {
  const matching = order.value?.ids.length;
  const info = store.value;
  if (matching === undefined) return <span class="count" />;
  const all = inTrash.value ? info?.trashed : info?.runs;
  const text =
    all === undefined || all <= matching ? plural(matching, "run") : `${formatCount(matching)} of ${plural(all, "run")}`;
  return (
    <span class={ordering.value ? "count waiting" : "count"} role="status">
      {text}
      {inTrash.value && " in the trash"}
    </span>
  );
}

function GroupMenu() {
  const now = groupBy.value;
  const names = [...new Set(["experiment", "status", ...columns.value.filter(canGroup).map(({ name }) => name), ...now])];
  return (
    <div class="menu">
      <div class="menu-title fine soft cut">Group by</div>
      {names.map((name) => (
        <MenuItem
          key={name}
          checked={now.includes(name)}
          onClick={() => toggleInList("group", name)}
        >
          {name}
        </MenuItem>
      ))}
      {now.length > 0 && (
        <>
          <hr />
          <MenuItem onClick={() => setList("group", [])}>No groups</MenuItem>
        </>
      )}
    </div>
  );
}

/** The view as a command and as Python. */
function copied() {
  const text = filter.value;
  const shown = isDefault.value ? "" : ` --columns ${shellWord(listedNames().join(","))}`;
  const grouped = groups.value.length === 1 ? ` --group-by ${shellWord(groups.value[0]!)}` : "";
  if (inTrash.value) {
    return {
      command: `${program()} trash`,
      python: `${openStore()}runs = store.trash()`,
    };
  }
  return {
    command: `${program()} ls${text && ` ${shellWord(text)}`}${shown}${grouped}`,
    python: `${openStore()}runs = store.find(${pythonText(text)}, limit=None)`,
  };
}

/** Return what `runstore ls` calls a column, or null: it shows last values of metrics only. */
function listedName(column: Column): string | null {
  if (column.name === "reference") return "run";
  if (column.kind === "sparkline" || column.name === "parent") return null;
  return column.metric ? `metrics.${column.metric.key}` : column.name;
}

function listedNames(): string[] {
  return [...new Set(columns.value.map(listedName).filter((name) => name !== null))];
}

function Tools() {
  return (
    <div class="tools">
      <Count />
      <span class="spring" />
      <MenuButton label="Columns" menu={() => <ColumnPicker />}>
        <Icon name="columns" />
        <span class="label">Columns</span>
      </MenuButton>
      <MenuButton label="Group" menu={() => <GroupMenu />} class={groups.value.length ? "button on" : "button"}>
        <Icon name="group" />
        <span class="label">Group</span>
      </MenuButton>
      <MenuButton label="Saved filters" menu={() => <SavedFilters />}>
        <Icon name="bookmark" />
        <span class="label">Saved</span>
      </MenuButton>
      <CopyAs texts={copied} />
      <Switch
        icon="trash"
        name="Trash"
        isOn={inTrash.value}
        onClick={() => setQuery({ trash: inTrash.value ? null : "1" })}
      />
      {!inTrash.value && (
        <Switch
          icon="chart"
          name="Charts"
          isOn={hasCharts()}
          onClick={() => setQuery({ panel: hasCharts() ? "0" : "1" }, { replace: true })}
        />
      )}
    </div>
  );
}

interface SwitchProps {
  icon: "trash" | "chart";
  name: string;
  isOn: boolean;
  onClick: () => void;
}

function Switch({ icon, name, isOn, onClick }: SwitchProps) {
  return (
    <button
      type="button"
      class={isOn ? "button on" : "button"}
      aria-pressed={isOn}
      aria-label={name}
      title={name}
      onClick={onClick}
    >
      <Icon name={icon} />
      <span class="label">{name}</span>
    </button>
  );
}

function GridPlace() {
  const error = orderError.value;
  // A mistake in the filter is shown at the filter; the runs of before stay.
  const isMistake = error instanceof ApiError && error.code.startsWith("filter");
  if (error && !isMistake) return <ErrorMessage error={error} retry={reloadOrder} />;
  if (!order.value) {
    return error ? null : <div class="loading" role="status" aria-label="Loading" />;
  }
  if (!order.value.ids.length) return <EmptyGrid />;
  if (columnsError.value) return <BadColumns error={columnsError.value} />;
  return <Grid />;
}

/** An address may name columns that cannot be. */
function BadColumns({ error }: { error: ApiError }) {
  const reset = () => {
    columnsError.value = null;
    showDefaults();
  };
  return (
    <EmptyMessage title="These columns cannot be shown">
      <pre>{error.message}</pre>
      {error.facts.hint && (
        <p>
          <Sentences text={error.facts.hint} />
        </p>
      )}
      <button type="button" class="button" onClick={reset}>
        Show differing columns
      </button>
    </EmptyMessage>
  );
}

export function RunsView() {
  useEffect(() => {
    const stops = [followQuery(), followDiffering(), followPins()];
    return () => {
      for (const stop of stops) stop();
    };
  }, []);
  return (
    <div class="runs view">
      <h1 class="visually-hidden">Runs</h1>
      <div class="toolbar">
        <FilterLine />
        <Tools />
      </div>
      <div class={hasCharts() ? "split" : "split alone"} style={{ "--share": `${share.value}%` } as Record<string, string>}>
        <section class="grid-place" aria-label="Runs">
          <div class="grid-frame">
            <GridPlace />
          </div>
          <ActionBar />
        </section>
        {hasCharts() && (
          <>
            <Splitter
              label="Width of the charts"
              value={share.value}
              least={15}
              most={80}
              onChange={(value) => {
                share.value = value;
              }}
            />
            <section class="charts-place" aria-label="Charts">
              {/* The rows come first. */}
              {order.value !== null && <Charts />}
            </section>
          </>
        )}
      </div>
    </div>
  );
}
