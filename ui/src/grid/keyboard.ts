// What keys do in the grid.
import type { Scroller } from "../common/scroller";
import { moveColumn, columnNames, columns, NARROWEST, setWidth, sortBy, widthOf } from "../state/columns";
import { type Entries, toggleGroup } from "../state/entries";
import { toggleHidden, toggleSolo } from "../state/hidden";
import { go } from "../state/address";
import { inTrash } from "../state/order";
import { toggleBaseline } from "../state/pinned";
import { rowOf } from "../state/rows";
import { clearSelection, selectAll, selected, selecting, toggle, withSelected } from "../state/selection";
import { singleKeys } from "../shell/keys";
import { compareRuns, noteRuns, tagRuns, trashRuns } from "./actions";
import { active } from "./active";
import { openColumnMenu } from "./header";

export interface GridContext {
  lines: Entries;
  scroller: Scroller;
  columnCount: number;
  /** The line of the header; pinned runs stand between it and 0. */
  headerLine: number;
  /** Row ids of the pinned runs. */
  pinned: number[];
  root: HTMLElement;
  select: (from: number, to: number) => void;
  selectFrom: () => number | null;
  setSelectFrom: (line: number) => void;
  focus: () => void;
}

/** Put the focus on a cell, in sight. */
export function moveTo(context: GridContext, line: number, column: number): void {
  const last = context.lines.count - 1;
  const to = Math.max(context.headerLine, Math.min(last, line));
  const entry = to >= 0 ? context.lines.at(to) : undefined;
  context.focus();
  active.value = {
    line: to,
    column: Math.max(0, Math.min(context.columnCount - 1, column)),
    id: entry?.kind === "run" ? entry.id : null,
  };
  if (to >= 0) context.scroller.reveal(to);
  revealColumn(context.root, active.value.line, active.value.column);
}

/** Scroll sideways as little as it takes to see a cell beside the pinned columns. */
function revealColumn(root: HTMLElement, line: number, column: number): void {
  requestAnimationFrame(() => {
    const cell = root.querySelector<HTMLElement>(`[data-line="${line}"] [data-c="${column}"]`);
    if (!cell || cell.classList.contains("frozen")) return;
    const frozen = [...root.querySelectorAll<HTMLElement>(".header-line .frozen")];
    const left = frozen.reduce((sum, one) => sum + one.offsetWidth, 0);
    const over = cell.offsetLeft + cell.offsetWidth - root.scrollLeft - root.clientWidth;
    if (cell.offsetLeft - left < root.scrollLeft) root.scrollLeft = cell.offsetLeft - left;
    else if (over > 0) root.scrollLeft += over;
  });
}

export function onGridKey(event: KeyboardEvent, context: GridContext): void {
  const target = event.target as HTMLElement;
  if (!target.closest("[data-c]")) return;
  const isHeader = active.value.line === context.headerLine;
  const done = (isHeader && onHeaderKey(event, context)) || onMoveKey(event, context) || onLineKey(event, context);
  if (done) {
    event.preventDefault();
    event.stopPropagation();
  }
}

function onMoveKey(event: KeyboardEvent, context: GridContext): boolean {
  const { line, column } = active.value;
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey) return false;
  const { page } = context.scroller;
  const last = context.lines.count - 1;
  const moves: Record<string, [number, number]> = {
    ArrowUp: [control ? 0 : line - 1, column],
    ArrowDown: [control ? last : line + 1, column],
    ArrowLeft: [line, column - 1],
    ArrowRight: [line, column + 1],
    PageUp: [Math.max(line < 0 ? line : 0, line - page), column],
    PageDown: [Math.max(0, line + page), column],
    Home: [control ? 0 : line, control ? column : 0],
    End: [control ? last : line, control ? column : context.columnCount - 1],
  };
  const move = moves[event.key];
  if (!move) return false;
  const entry = context.lines.at(line);
  if (line >= 0 && entry?.kind === "group" && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
    if (entry.isOpen === (event.key === "ArrowLeft")) toggleGroup(entry.key);
    return true;
  }
  if (event.shiftKey && move[0] !== line) extend(context, Math.max(0, Math.min(last, move[0])));
  else if (!event.shiftKey) context.setSelectFrom(Math.max(0, move[0]));
  moveTo(context, ...move);
  return true;
}

function extend(context: GridContext, to: number): void {
  const from = context.selectFrom() ?? Math.max(0, active.value.line);
  context.setSelectFrom(from);
  context.select(from, to);
}

function onHeaderKey(event: KeyboardEvent, context: GridContext): boolean {
  const { line, column } = active.value;
  const shown = columns.value[column - 1];
  const control = event.ctrlKey || event.metaKey;
  const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
  if (!shown) {
    if (event.key !== " " && event.key !== "Enter") return false;
    if (selected.value.size) clearSelection();
    else selectAll();
    return true;
  }
  if (step && event.shiftKey && control) {
    const names = columnNames.value;
    const place = column - 1;
    if (step < 0 && place === 0) return true;
    moveColumn(shown.name, names[step < 0 ? place - 1 : place + 2] ?? null);
    const now = columnNames.value.indexOf(shown.name) + 1;
    moveTo(context, line, now);
    return true;
  }
  if (step && event.shiftKey) {
    setWidth(shown.name, Math.max(NARROWEST, widthOf(shown) + 16 * step));
    return true;
  }
  if (event.key === "Enter" || event.key === " ") {
    sortBy(shown);
    context.focus();
    return true;
  }
  if ((event.altKey && event.key === "ArrowDown") || event.key === "ContextMenu" || (event.shiftKey && event.key === "F10")) {
    openColumnMenu(event.target as HTMLElement, shown.name);
    return true;
  }
  return false;
}

/** Return the row id of the line with the focus. */
function idAt(context: GridContext): number | null {
  const { line } = active.value;
  if (line < 0) return context.pinned[line - context.headerLine - 1] ?? null;
  const entry = context.lines.at(line);
  return entry?.kind === "run" ? entry.id : null;
}

function onLineKey(event: KeyboardEvent, context: GridContext): boolean {
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key.toLowerCase() === "a") {
    selectAll();
    return true;
  }
  if (control || event.altKey) return false;
  const entry = active.value.line >= 0 ? context.lines.at(active.value.line) : undefined;
  if (entry?.kind === "group" && (event.key === "Enter" || event.key === " ")) {
    toggleGroup(entry.key);
    return true;
  }
  if (event.key === "Escape" && (selected.value.size || selecting.value)) {
    clearSelection();
    return true;
  }
  const id = idAt(context);
  const row = id === null ? undefined : rowOf(id);
  if (!row) return false;
  const withRuns = (act: (uids: string[]) => void) =>
    void withSelected((uids) => act(uids.length ? uids : [row.uid]));
  if (event.key === "Enter") {
    go(`/runs/${row.uid}`);
    return true;
  }
  if (event.key === " ") {
    toggle(row.uid);
    context.setSelectFrom(active.value.line);
    return true;
  }
  if (event.key === "Delete" && !inTrash.value) {
    withRuns((uids) => void trashRuns(uids));
    return true;
  }
  if (!singleKeys.value) return false;
  const actions: Record<string, () => void> = {
    h: () => toggleHidden(row.uid),
    s: () => toggleSolo(row.uid),
    b: () => toggleBaseline(row.uid),
    t: () => withRuns(tagRuns),
    n: () => withRuns((uids) => void noteRuns(uids)),
    c: () => withRuns(compareRuns),
  };
  const action = actions[event.key.toLowerCase()];
  action?.();
  return action !== undefined;
}
