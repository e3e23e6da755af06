// Choose columns among any number of names; the server pages and searches them.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, isAbort } from "../api/client";
import type { ColumnInfo, ColumnsAnswer } from "../api/types";
import { IconButton } from "../common/icons";
import { formatCount, plural } from "../common/values";
import {
  columnNames, columnOf, isDefault, metricName, moveColumn, showDefaults, toggleColumn,
} from "../state/columns";

const PAGE = 100;
const ROW = 30;
const OWN: ColumnInfo[] = [{ name: "tags", kind: "field", runs: null }];
const KINDS = { field: "run", param: "parameter", metric: "metric", tag: "tag", fact: "fact" } as const;

/** The column that is shown when a name is chosen: of a metric its last value. */
function columnNameOf(info: ColumnInfo): string {
  if (info.kind !== "metric") return info.name;
  const { metric } = columnOf(info.name);
  return metricName(metric!.key, metric!.of);
}

/** Names by page, fetched when the list is scrolled to them. */
function useNames(search: string) {
  const pages = useRef(new Map<number, ColumnInfo[]>());
  const asked = useRef(new Set<number>());
  const [total, setTotal] = useState<number | null>(null);
  const [, drawAgain] = useState(0);
  const running = useRef<AbortController | null>(null);
  const load = (page: number) => {
    if (asked.current.has(page)) return;
    asked.current.add(page);
    const query = { search, offset: page * PAGE, limit: PAGE };
    get<ColumnsAnswer>("columns", query, running.current!.signal).then(
      (answer) => {
        pages.current.set(page, answer.columns);
        setTotal(answer.total);
        drawAgain((version) => version + 1);
      },
      (error: unknown) => {
        asked.current.delete(page);
        if (!isAbort(error)) setTotal((before) => before ?? 0);
      },
    );
  };
  useEffect(() => {
    const timer = setTimeout(
      () => {
        running.current = new AbortController();
        pages.current.clear();
        asked.current.clear();
        load(0);
      },
      search ? 120 : 0,
    );
    return () => {
      clearTimeout(timer);
      running.current?.abort();
    };
  }, [search]);
  const at = (index: number): ColumnInfo | undefined => {
    const page = Math.floor(index / PAGE);
    if (!pages.current.has(page) && running.current) load(page);
    return pages.current.get(page)?.[index % PAGE];
  };
  return { total, at };
}

export function ColumnPicker() {
  const [search, setSearch] = useState("");
  const [top, setTop] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const { total, at } = useNames(search);
  useLayoutEffect(() => {
    list.current?.scrollTo(0, 0);
    setTop(0);
  }, [search]);
  const shown = columnNames.value;
  // All tags in one column is the page's own idea; the server knows the others.
  const own = "tags".includes(search.trim().toLowerCase()) ? OWN : [];
  const count = own.length + (total ?? 0);
  const first = Math.max(0, Math.floor(top / ROW) - 4);
  const last = Math.min(count, first + 22);
  const lines = [];
  for (let index = first; index < last; index++) {
    const info = own[index] ?? at(index - own.length);
    lines.push(<PickerLine key={index} top={index * ROW} info={info} shown={shown} />);
  }
  return (
    <div class="picker">
      <input
        class="input"
        type="search"
        autofocus
        placeholder="Search columns"
        aria-label="Search columns"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <div
        ref={list}
        class="picker-list"
        tabIndex={-1}
        role="group"
        aria-label="Columns"
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <div style={{ height: `${count * ROW}px` }} />
        {lines}
      </div>
      <p class="picker-count" role="status">
        {total === null ? "Searching…" : count ? plural(count, "column") : "No column has this name."}
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
      <span class="picker-kind">{KINDS[info.kind]}</span>
      <span class="picker-runs">
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
