// The grid of runs: any number of lines, of which those in sight are drawn.
import { signal, useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { distinguish } from "../common/colour";
import { type Scroller, useScroller } from "../common/scroller";
import { cellNames, columns, dragged, frozenNames, widthOf } from "../state/columns";
import { entries, type Entries, toggleGroup } from "../state/entries";
import { hiddenUids, isShown, soloUids, toggleHidden, toggleSolo } from "../state/hidden";
import { groupBy, order, ordering } from "../state/order";
import { baseline, baselineUid, pinnedRows } from "../state/pinned";
import { type Row, rowOf, rowsVersion, wantRows } from "../state/rows";
import { hovered, selected, selectIds, selectOnly, toggle, visible } from "../state/selection";
import { active } from "./active";
import { HeaderLine } from "./header";
import { onGridKey } from "./keyboard";
import { GroupLine, RunLine } from "./row";
import { useSpan } from "./sideways";
import { wantSparklines } from "./sparklines";

const MARKS_WIDTH = 88;
/** Lines fetched beyond the sight, in the direction of scrolling. */
const AHEAD = 200;
const HEAD_HEIGHT = 36;
const ROW_HEIGHT = 32;
const OVERSCAN = 8;

/** On a phone, a pinned name would leave no room for anything else. */
const narrow = matchMedia("(max-width: 700px)");
const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", (event) => {
  isNarrow.value = event.matches;
});

/** Left edges of pinned and of all columns, the widths as a grid template, and the whole width. */
function layout() {
  const frozen = new Set(isNarrow.value ? [] : frozenNames.value);
  const lefts: number[] = [];
  const edges: number[] = [];
  let left = MARKS_WIDTH;
  let template = `${MARKS_WIDTH}px`;
  let isFirst = true;
  void dragged.value;
  for (const column of columns.value) {
    const width = widthOf(column);
    edges.push(left);
    if (isFirst && frozen.has(column.name)) lefts.push(left);
    else isFirst = false;
    left += width;
    template += ` ${width}px`;
  }
  return { lefts, edges, template, width: left };
}

/** Ask for the rows in sight and, behind them, those that come next. */
function wantLines(scroller: Scroller, lines: Entries): void {
  const ids: number[] = [];
  const push = (index: number) => {
    const entry = lines.at(index);
    if (entry?.kind === "run") ids.push(entry.id);
  };
  const first = scroller.first;
  const last = scroller.last;
  for (let index = first; index <= last; index++) push(index);
  const seen = ids.length;
  const ahead = scroller.direction;
  for (let step = 1; step <= AHEAD; step++) push(ahead > 0 ? last + step : first - step);
  for (let step = 1; step <= AHEAD / 4; step++) push(ahead > 0 ? first - step : last + step);
  wantRows(ids, seen, cellNames.peek());
  const keys = columns.peek().filter((column) => column.kind === "sparkline");
  if (keys.length) wantSparklines(ids.slice(0, seen + 20), keys.map((column) => column.metric!.key));
}

/** Keep the first line in sight where it is when runs come or go above it. */
function useAnchor(scroller: Scroller, lines: Entries): void {
  const before = useRef<{ lines: Entries; id: number; rest: number } | null>(null);
  const last = before.current;
  useLayoutEffect(() => {
    if (last && last.lines !== lines && scroller.offset > 0) {
      const index = lines.indexOf(last.id);
      if (index >= 0) {
        const offset = index * ROW_HEIGHT + last.rest;
        if (Math.abs(offset - scroller.offset) >= 1) scroller.scrollTo(offset);
      }
    }
    const entry = lines.at(scroller.first);
    before.current =
      entry?.kind === "run"
        ? { lines, id: entry.id, rest: scroller.offset - scroller.first * ROW_HEIGHT }
        : null;
  });
}

/** Put the focus where the keyboard has moved it, and back when its line has left the grid. */
function useFocus(root: { current: HTMLElement | null }, wish: { current: boolean }): void {
  const hasFocus = useRef(false);
  // However the focus came to a cell, the keyboard goes on from there.
  const follow = (cell: HTMLElement) => {
    const line = cell.closest<HTMLElement>("[data-line]")!;
    const place = { line: Number(line.dataset.line), column: Number(cell.dataset.c) };
    const now = active.peek();
    if (now.line === place.line && now.column === place.column) return;
    const id = place.line >= 0 && line.dataset.id ? Number(line.dataset.id) : null;
    active.value = { ...place, id };
  };
  useLayoutEffect(() => {
    const element = root.current!;
    const onIn = (event: FocusEvent) => {
      const cell = (event.target as Element).closest<HTMLElement>("[data-c]");
      hasFocus.current = cell !== null;
      if (cell) follow(cell);
    };
    const onOut = (event: FocusEvent) => {
      if ((event.target as Element).isConnected) hasFocus.current = false;
    };
    element.addEventListener("focusin", onIn);
    element.addEventListener("focusout", onOut);
    return () => {
      element.removeEventListener("focusin", onIn);
      element.removeEventListener("focusout", onOut);
    };
  }, []);
  useLayoutEffect(() => {
    const isLost = hasFocus.current && document.activeElement === document.body;
    if (!wish.current && !isLost) return;
    const { line, column } = active.value;
    const cell = root.current?.querySelector<HTMLElement>(`[data-line="${line}"] [data-c="${column}"]`);
    if (!cell) return;
    wish.current = false;
    cell.focus({ preventScroll: true });
  });
}

/** Keep the focus with its run when the order changes. */
function followActive(lines: Entries): void {
  const now = active.peek();
  if (now.line < 0) return;
  const entry = lines.at(now.line);
  if (now.id === null || (entry?.kind === "run" && entry.id === now.id)) {
    if (now.line >= lines.count && lines.count) active.value = { ...now, line: lines.count - 1, id: null };
    return;
  }
  const index = lines.indexOf(now.id);
  active.value = {
    ...now,
    line: index >= 0 ? index : Math.max(0, Math.min(now.line, lines.count - 1)),
    id: index >= 0 ? now.id : null,
  };
}

/** Return the row of a line, if it is one of a run and there. */
function rowAt(lines: Entries, index: number): Row | undefined {
  const entry = lines.at(index);
  return entry?.kind === "run" ? rowOf(entry.id) : undefined;
}

/** Whose colours the grid shows. */
const GRID = {};
let lastLines: Entries | null = null;
/** Where a selection with Shift begins. */
let selectFrom: number | null = null;

export function Grid() {
  const root = useRef<HTMLDivElement>(null);
  const focusWish = useRef(false);
  const { lefts, edges, template, width } = useComputed(layout).value;
  const span = useSpan(root, edges);
  const lines = entries.value;
  const pinned = pinnedRows.value;
  const headHeight = HEAD_HEIGHT + pinned.length * ROW_HEIGHT;
  if (lines !== lastLines) {
    lastLines = lines;
    followActive(lines);
  }
  const now = active.value;
  const scroller = useScroller(() => root.current, lines.count, {
    lineHeight: ROW_HEIGHT,
    overscan: OVERSCAN,
    headHeight,
    kept: now.line,
  });
  const drawn = scroller.drawn();
  const names = cellNames.value;
  void rowsVersion.value;
  useAnchor(scroller, lines);
  useFocus(root, focusWish);
  useEffect(
    () => () => {
      visible.value = []; // no run is in sight in a grid that is not there
    },
    [],
  );
  useLayoutEffect(() => {
    wantLines(scroller, lines);
    const uids: string[] = [];
    for (let index = scroller.first; index <= scroller.last; index++) {
      const row = rowAt(lines, index);
      if (row) uids.push(row.uid);
    }
    if (uids.join() !== visible.peek().join()) visible.value = uids;
  });
  const shown = [...pinned, ...drawn.map(({ index }) => rowAt(lines, index))];
  distinguish(GRID, [...new Set(shown.flatMap((row) => (row ? [row.uid] : [])))]);
  const isGrouped = order.value?.groups !== null && groupBy.value.length > 0;
  const columnCount = columns.value.length + 1;
  const headerLine = -1 - pinned.length;
  const base = baseline.value;
  const common = { columns: columns.value, lefts, first: span.first, end: span.end, baseline: base };
  const look = (uid: string | undefined) => ({
    isSelected: uid !== undefined && selected.value.has(uid),
    isHidden: uid !== undefined && !isShown(uid),
    isSolo: uid !== undefined && soloUids.value.has(uid),
    isHovered: uid !== undefined && hovered.value === uid,
  });
  void [names, hiddenUids.value];

  const onClick = (event: MouseEvent) => {
    const target = event.target as Element;
    const line = target.closest<HTMLElement>("[data-line]");
    if (!line || line.classList.contains("header-line")) return;
    const index = Number(line.dataset.line);
    const entry = index < 0 ? undefined : lines.at(index);
    if (entry?.kind === "group") {
      toggleGroup(entry.key);
      return;
    }
    const isMore = event.ctrlKey || event.metaKey;
    const row = rowOf(Number(line.dataset.id));
    const action = target.closest<HTMLElement>("[data-do]")?.dataset.do;
    if (event.shiftKey && selectFrom !== null && index >= 0 && !target.closest("a, button")) {
      selectRange(lines, selectFrom, index, isMore);
    } else if (!row) {
      // Its values are on their way; to be selected it needs none of them.
      selectIds([Number(line.dataset.id)], isMore ? selected.value : []);
    } else if (action === "hide") toggleHidden(row.uid);
    else if (action === "solo") toggleSolo(row.uid);
    else if (target.closest("a")) return;
    else if (action === "select" || isMore) toggle(row.uid);
    else if (selected.value.size === 1 && selected.value.has(row.uid)) selectOnly([]);
    else selectOnly([row.uid]);
    if (!event.shiftKey) selectFrom = index;
  };

  return (
    <div
      ref={root}
      class={ordering.value ? "grid ordering" : "grid"}
      role={isGrouped ? "treegrid" : "grid"}
      aria-label="Runs"
      aria-rowcount={1 + pinned.length + lines.count}
      aria-colcount={columnCount}
      aria-multiselectable="true"
      aria-busy={ordering.value}
      style={{ "--columns": template, "--width": `${width}px` } as Record<string, string>}
      onClick={onClick}
      onMouseDown={(event) => {
        // Shift selects runs, not text.
        if (event.shiftKey) event.preventDefault();
      }}
      onDblClick={(event) => {
        const line = (event.target as Element).closest<HTMLElement>(".line[data-id]");
        if ((event.target as Element).closest("[data-do]")) return;
        line?.querySelector<HTMLAnchorElement>('a[href^="/runs/"]')?.click();
      }}
      onMouseOver={(event) => {
        const line = (event.target as Element).closest<HTMLElement>("[data-id]");
        const uid = line ? rowOf(Number(line.dataset.id))?.uid : undefined;
        hovered.value = uid ?? null;
      }}
      onMouseLeave={() => {
        hovered.value = null;
      }}
      onKeyDown={(event) => {
        onGridKey(event, {
          lines, scroller, columnCount, headerLine,
          pinned: pinned.map((row) => row.id),
          root: root.current!,
          select: (from, to) => selectRange(lines, from, to, false),
          selectFrom: () => selectFrom,
          setSelectFrom: (line) => {
            selectFrom = line;
          },
          focus: () => {
            focusWish.current = true;
          },
        });
      }}
    >
      <div class="grid-head" role="rowgroup">
        <HeaderLine line={headerLine} lefts={lefts} activeColumn={now.line === headerLine ? now.column : -1} />
        {pinned.map((row, place) => (
          <RunLine
            key={row.uid}
            {...common}
            {...look(row.uid)}
            line={headerLine + 1 + place}
            top={null}
            ariaRow={2 + place}
            id={row.id}
            row={row}
            activeColumn={now.line === headerLine + 1 + place ? now.column : -1}
            isIndented={false}
            pinned={row.uid === baselineUid.value ? "baseline" : "pin"}
          />
        ))}
      </div>
      <div class="grid-body" role="rowgroup" style={{ height: `${scroller.range.height}px` }}>
        {drawn.map(({ index, top }) => {
          const entry = lines.at(index);
          if (!entry) return null;
          const ariaRow = 2 + pinned.length + index;
          if (entry.kind === "group") {
            return (
              <GroupLine
                key={`group ${entry.key}`}
                line={index}
                top={top}
                ariaRow={ariaRow}
                group={entry.group}
                isOpen={entry.isOpen}
                isActive={now.line === index}
                columnCount={columnCount}
              />
            );
          }
          const row = rowOf(entry.id);
          return (
            <RunLine
              key={entry.id}
              {...common}
              {...look(row?.uid)}
              line={index}
              top={top}
              ariaRow={ariaRow}
              id={entry.id}
              row={row}
              activeColumn={now.line === index ? now.column : -1}
              isIndented={isGrouped}
              pinned={null}
            />
          );
        })}
      </div>
    </div>
  );
}

/** Select all runs between two lines. */
function selectRange(lines: Entries, from: number, to: number, keep: boolean): void {
  const ids: number[] = [];
  for (let line = Math.min(from, to); line <= Math.max(from, to); line++) {
    const entry = lines.at(line);
    if (entry?.kind === "run") ids.push(entry.id);
  }
  selectIds(ids, keep ? selected.value : []);
}
