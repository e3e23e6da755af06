// Which columns the grid shows, in which order, how wide, and which are pinned. In the address.
import { computed, effect, signal } from "@preact/signals";
import { get, isAbort, joinNames } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import { list, setList, setQuery, toggled, word } from "./address";
import { filter } from "./order";
import { paced } from "./paced";
import { remembered } from "./remembered";
import { textColumns } from "./rows";
import { conditionsOf, orderOf, withOrder } from "./query-text";

export type Kind = "field" | "param" | "metric" | "tag" | "fact" | "sparkline";

export interface Column {
  name: string;
  kind: Kind;
  /** What the header says, and in small letters beside it. */
  title: string;
  detail: string;
  width: number;
  /** Numbers stand at the right. */
  isNumeric: boolean;
  /** The field that `order by` understands, or null. */
  sortField: string | null;
  /** Of metrics: the key, and which of its values. */
  metric: { key: string; of: string } | null;
}

export const AGGREGATES = ["last", "min", "max", "first", "mean", "count"] as const;
/** Names of the kinds of columns. */
export const KINDS = { field: "run", param: "parameter", metric: "metric", tag: "tag", fact: "fact" } as const;

/** Columns that every row brings along. */
const FIELDS: Record<string, { title: string; width: number; isNumeric?: boolean }> = {
  reference: { title: "Run", width: 170 },
  experiment: { title: "Experiment", width: 130 },
  run_number: { title: "Number", width: 84, isNumeric: true },
  status: { title: "Status", width: 112 },
  started: { title: "Started", width: 112 },
  ended: { title: "Ended", width: 112 },
  duration: { title: "Duration", width: 92, isNumeric: true },
  notes: { title: "Notes", width: 240 },
  tags: { title: "Tags", width: 190 },
  parent: { title: "Parent", width: 130 },
  uid: { title: "Uid", width: 270 },
};


const BEFORE = ["reference", "status", "started", "duration"];
const AFTER = ["tags", "notes"];
const SPARKLINE = "sparkline.";
/** Columns of parameters, metrics and tags, unless somebody chooses. */
const COLUMNS_AT_MOST = 12;

/** What differed when this browser was last here, so that the grid begins as it will be. */
const lastDiffering = remembered<{ filter: string; columns: string[] } | null>("differing", null);
/** The columns that differ among the shown runs, best first; null until they are known. */
const differing = signal<string[] | null>(
  lastDiffering.peek()?.filter === conditionsOf(filter.peek()) ? lastDiffering.peek()!.columns : null,
);

/** Return the key of a metric column and which of its values it shows. */
function parseMetric(name: string): { key: string; of: string } {
  const rest = name.slice("metrics.".length);
  const step = /^(.*)@(-?\d+)(["`]?)$/s.exec(rest);
  if (step) return { key: step[1]! + step[3]!, of: `@${step[2]}` };
  const dot = rest.lastIndexOf(".");
  const last = rest.slice(dot + 1);
  if (dot > 0 && (AGGREGATES as readonly string[]).includes(last)) {
    return { key: rest.slice(0, dot), of: last };
  }
  return { key: rest, of: "last" };
}

export function metricName(key: string, of: string): string {
  // The step belongs to the name: within its quotes, if it has any.
  if (of.startsWith("@")) return `metrics.${key.replace(/(["`]?)$/, `${of}$1`)}`;
  const short = `metrics.${key}`;
  return of === "last" && parseMetric(short).key === key ? short : `${short}.${of}`;
}

export function sparklineName(key: string): string {
  return SPARKLINE + key;
}

/** Return a name of the filter language without the quotes of its parts. */
export function bare(text: string): string {
  return text.replace(/"((?:[^"]|"")*)"|`([^`]*)`/g, (_, quoted?: string, ticked?: string) =>
    quoted === undefined ? (ticked ?? "") : quoted.replace(/""/g, '"'),
  );
}

/** Return the key of a metric column as the store has it; `recall@5` may be a key as well. */
export function metricKey(name: string): string {
  const { key, of } = columnOf(name).metric ?? { key: name, of: "last" };
  return bare(key) + (of.startsWith("@") ? of : "");
}

const known = new Map<string, Column>();

/** Describe a column by its name. */
export function columnOf(name: string): Column {
  let column = known.get(name);
  if (!column) known.set(name, (column = describe(name)));
  return column;
}

/** The width of a column of values: that of its header, but enough for a number. */
function widthFor(title: string, detail: string): number {
  return Math.round(Math.min(Math.max(92, 36 + 7.5 * (title.length + detail.length)), 132));
}

function describe(name: string): Column {
  const field = FIELDS[name];
  const common = { name, detail: "", sortField: name, metric: null };
  if (field) {
    const isNumeric = field.isNumeric ?? false;
    const sortField = name === "tags" ? null : name;
    return { ...common, kind: "field", title: field.title, width: field.width, isNumeric, sortField };
  }
  if (name.startsWith("metrics.")) {
    const metric = parseMetric(name);
    const sortField = metric.of.startsWith("@") ? null : metricName(metric.key, metric.of);
    const detail = metric.of.startsWith("@") ? `at ${metric.of.slice(1)}` : metric.of;
    const title = bare(metric.key);
    return { ...common, kind: "metric", title, detail, width: widthFor(title, detail), isNumeric: true, sortField, metric };
  }
  if (name.startsWith(SPARKLINE)) {
    const key = name.slice(SPARKLINE.length);
    const metric = { key, of: "line" };
    const title = bare(key);
    return {
      ...common, kind: "sparkline", title, detail: "line", width: 130, isNumeric: false, sortField: null, metric,
    };
  }
  const match = /^(params|tags)(\[[^\]]*\])?\.(.*)$/s.exec(name);
  if (match) {
    const isTag = match[1] === "tags";
    const detail = isTag ? "tag" : (match[2] ?? "").slice(1, -1);
    const kind = isTag ? "tag" : "param";
    const title = bare(match[3]!) || '""';
    return { ...common, kind, title, detail, width: widthFor(title, detail), isNumeric: !isTag };
  }
  return { ...common, kind: "fact", title: name, detail: "", width: 140, isNumeric: false };
}

const chosen = list("columns");

/** The names of the shown columns, in order; pinned ones first. */
export const columnNames = computed<string[]>(() => {
  const names = chosen.value.length ? chosen.value : defaults.value;
  const frozen = new Set(frozenNames.value);
  return [...names.filter((name) => frozen.has(name)), ...names.filter((name) => !frozen.has(name))];
});

const defaults = computed(() => {
  const found = (differing.value ?? []).filter((name) => !BEFORE.includes(name) && !AFTER.includes(name));
  const all = [...BEFORE, ...found, ...AFTER];
  // Values that the runs are sorted by are in sight; a column that is there keeps its place.
  const sorted = sorting.value
    .map((key) => key.field)
    .filter((field) => field in FIELDS || /^(params|metrics|tags)[.[]/.test(field))
    .filter((field) => !all.some((name) => sameField(field, columnOf(name))));
  return [...BEFORE, ...sorted, ...found, ...AFTER];
});

export const isDefault = computed(() => !chosen.value.length);
export const columns = computed<Column[]>(() => {
  const texts = textColumns.value;
  return columnNames.value.map((name) => {
    const column = columnOf(name);
    return column.isNumeric && texts.has(name) ? { ...column, isNumeric: false } : column;
  });
});
/** Columns whose values rows have to be asked for. */
export const cellNames = computed(() =>
  columns.value
    .filter((column) => column.kind !== "sparkline" && !(column.name in FIELDS))
    .map((column) => column.name),
);

const freeze = word("freeze");
/** Pinned columns; the name of the run is pinned unless somebody says otherwise. */
export const frozenNames = computed(() => {
  if (!freeze.value) return ["reference"];
  return freeze.value === "none" ? [] : list("freeze").value;
});

export function toggleFrozen(name: string): void {
  const next = toggled(frozenNames.value, name);
  setQuery({ freeze: next.length ? joinNames(next) : "none" });
}

export function showColumns(names: string[]): void {
  setList("columns", names);
}

export function showDefaults(): void {
  setQuery({ columns: null });
}

export function toggleColumn(name: string): void {
  const now = columnNames.value;
  if (now.includes(name)) {
    if (now.length > 1) showColumns(now.filter((other) => other !== name));
    return;
  }
  // Beside its like rather than behind the notes.
  const after = now.findLastIndex((other) => !AFTER.includes(other));
  showColumns([...now.slice(0, after + 1), name, ...now.slice(after + 1)]);
}

export function replaceColumn(name: string, other: string): void {
  const names = columnNames.value.filter((one) => one !== other || one === name);
  showColumns(names.map((one) => (one === name ? other : one)));
}

/** Move a column so that it stands before `before`, or last. */
export function moveColumn(name: string, before: string | null): void {
  if (name === before) return;
  const names = columnNames.value.filter((one) => one !== name);
  const place = before === null ? names.length : names.indexOf(before);
  if (place < 0) return;
  names.splice(place, 0, name);
  showColumns(names);
}

const widthList = list("widths");
const widths = computed(() => {
  const found = new Map<string, number>();
  for (const text of widthList.value) {
    const colon = text.lastIndexOf(":");
    const width = Number(text.slice(colon + 1));
    if (colon > 0 && width > 0) found.set(text.slice(0, colon), width);
  }
  return found;
});
/** A width while its edge is dragged; the address follows when it is let go. */
export const dragged = signal<{ name: string; width: number } | null>(null);

export const NARROWEST = 56;

/** Room for the difference beside a number while there is a baseline. */
const DIFFERENCE_WIDTH = 36;
const baseline = word("baseline");

export function widthOf(column: Column): number {
  if (dragged.value?.name === column.name) return dragged.value.width;
  const extra = baseline.value && column.isNumeric ? DIFFERENCE_WIDTH : 0;
  return widths.value.get(column.name) ?? column.width + extra;
}

export function setWidth(name: string, width: number | null): void {
  const next = new Map(widths.value);
  if (width === null) next.delete(name);
  else next.set(name, Math.max(NARROWEST, Math.round(width)));
  setList("widths", Array.from(next, ([one, value]) => `${one}:${value}`), { replace: true });
}

/** How the runs are sorted, the first key first. */
export const sorting = computed(() => orderOf(filter.value));

/** Sort by a column: ascending, then descending, then the newest first again. */
export function sortBy(column: Column, direction?: "ascending" | "descending"): void {
  if (!column.sortField) return;
  const field = column.sortField;
  const now = sorting.value.find((key) => sameField(key.field, column));
  let next: { field: string; descending: boolean }[] = [{ field, descending: false }];
  if (direction) next = [{ field, descending: direction === "descending" }];
  else if (now) next = now.descending ? [] : [{ field, descending: true }];
  setQuery({ filter: withOrder(filter.value, next) });
}

export function sameField(field: string, column: Column): boolean {
  if (field === column.sortField || field === column.name) return true;
  return column.metric?.of === "last" && field === `metrics.${column.metric.key}`;
}

/** Follow which columns differ; the ones before stay until the new ones are known. */
export function followDiffering(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | null = null;
  /** Ask; `keepsOrder` leaves columns that are there already in their places. */
  const ask = async (keepsOrder: boolean): Promise<void> => {
    running?.abort();
    const mine = (running = new AbortController());
    const query = { filter: conditionsOf(filter.peek()), limit: COLUMNS_AT_MOST };
    try {
      const { columns } = await get<{ columns: string[] }>("columns/differing", query, mine.signal);
      const before = differing.peek() ?? [];
      const kept = keepsOrder ? before.filter((name) => columns.includes(name)) : [];
      const found = [...new Set([...kept, ...columns])];
      // The same columns stay the same value: nothing is drawn again.
      if (found.join() !== differing.peek()?.join()) differing.value = found;
      lastDiffering.value = { filter: query.filter, columns };
    } catch (error) {
      // The list itself shows what is wrong; the columns stay as they are.
      if (!isAbort(error)) differing.value ??= [];
    }
  };
  const askSoon = paced(() => (isDefault.peek() ? ask(true) : Promise.resolve()), 1000);
  const stop = effect(() => {
    void conditionsOf(filter.value);
    if (!isDefault.value) return;
    running?.abort();
    clearTimeout(timer);
    timer = setTimeout(() => void ask(false), differing.peek() === null ? 0 : 250);
  });
  const stopChanges = onRunsChanged(askSoon);
  const logged = new Set<string>();
  const stopPoints = onPoints(({ runs }) => {
    const before = logged.size;
    for (const { id, keys } of runs) for (const key of Object.keys(keys)) logged.add(`${id} ${key}`);
    if (logged.size > before && (differing.peek()?.length ?? 0) < COLUMNS_AT_MOST) askSoon();
  });
  return () => {
    stop();
    stopChanges();
    stopPoints();
    clearTimeout(timer);
    running?.abort();
  };
}
