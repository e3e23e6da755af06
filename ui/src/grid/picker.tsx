// Choose columns among any number of names; the server pages and searches them.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { usePages } from "../api/pages";
import type { ColumnInfo, ColumnsAnswer } from "../api/types";
import { SearchInput } from "../common/find";
import { IconButton } from "../common/icons";
import { useScroller } from "../common/scroller";
import { formatCount, plural } from "../common/values";
import {
  columnNames, columnOf, isDefault, KINDS, metricName, moveColumn, showDefaults, toggleColumn,
} from "../state/columns";

const PAGE = 100;
const ROW = 30;
const OWN: ColumnInfo[] = [{ name: "tags", kind: "field", runs: null }];

/** The column that is shown when a name is chosen: of a metric its last value. */
function columnNameOf(info: ColumnInfo): string {
  if (info.kind !== "metric") return info.name;
  const { metric } = columnOf(info.name);
  return metricName(metric!.key, metric!.of);
}

export function ColumnPicker() {
  const [search, setSearch] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const { total, at, error } = usePages<ColumnsAnswer, ColumnInfo>("columns", {
    size: PAGE,
    query: (offset) => ({ search, offset }),
    items: (answer) => answer.columns,
    key: search,
    pauseMs: search ? 120 : 0,
  });
  const shown = columnNames.value;
  // All tags in one column is the page's own idea; the server knows the others.
  const own = "tags".includes(search.trim().toLowerCase()) ? OWN : [];
  const count = own.length + (total ?? 0);
  const scroller = useScroller(() => list.current, count, { lineHeight: ROW, overscan: 4 });
  useLayoutEffect(() => scroller.scrollTo(0), [search]);
  return (
    <div class="picker">
      <SearchInput label="Search columns" value={search} onSearch={setSearch} />
      <div ref={list} class="picker-list" tabIndex={-1} role="group" aria-label="Columns">
        <div style={{ height: `${scroller.range.height}px` }} />
        {scroller.drawn().map(({ index, top }) => (
          <PickerLine key={index} top={top} info={own[index] ?? at(index - own.length)} shown={shown} />
        ))}
      </div>
      <p class="picker-count fine soft" role="status">
        {total === null && !error ? "Searching…" : count ? plural(count, "column") : "No column has this name."}
      </p>
      {!search && <ShownColumns names={shown} />}
      <footer>
        <button type="button" class="button small" disabled={isDefault.value} onClick={showDefaults}>
          Show differing columns
        </button>
      </footer>
    </div>
  );
}

interface PickerLineProps {
  top: number;
  info: ColumnInfo | undefined;
  shown: string[];
}

function PickerLine({ top, info, shown }: PickerLineProps) {
  if (!info) return <div class="picker-line" style={{ top: `${top}px` }} />;
  const name = columnNameOf(info);
  const column = columnOf(name);
  const isShown =
    shown.includes(name) ||
    (column.metric !== null && shown.some((other) => columnOf(other).metric?.key === column.metric!.key));
  const present = shown.find((other) => other === name || columnOf(other).metric?.key === column.metric?.key);
  return (
    <label class="picker-line" style={{ top: `${top}px` }} title={info.name}>
      <input
        type="checkbox"
        checked={isShown}
        onChange={() => toggleColumn(isShown && column.metric ? present! : name)}
      />
      <span class="picker-name cut">{column.title}</span>
      <span class="fine soft">{KINDS[info.kind]}</span>
      <span class="picker-runs fine soft">
        {info.runs !== null && (info.more ? `${formatCount(info.runs)}+ runs` : plural(info.runs, "run"))}
      </span>
    </label>
  );
}

/** The shown columns in their order, to move by keyboard or pointer. */
function ShownColumns({ names }: { names: string[] }) {
  return (
    <details class="shown-columns">
      <summary>Order of the {plural(names.length, "shown column")}</summary>
      <ol>
        {names.map((name, place) => {
          const column = columnOf(name);
          return (
            <li key={name}>
              <span class="picker-name cut">
                {column.title} <small>{column.detail}</small>
              </span>
              <IconButton
                icon="up"
                label={`Move ${name} up`}
                disabled={place === 0}
                onClick={() => moveColumn(name, names[place - 1]!)}
                size={14}
              />
              <IconButton
                icon="down"
                label={`Move ${name} down`}
                disabled={place === names.length - 1}
                onClick={() => moveColumn(name, names[place + 2] ?? null)}
                size={14}
              />
            </li>
          );
        })}
      </ol>
    </details>
  );
}
