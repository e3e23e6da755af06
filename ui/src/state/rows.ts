// Rows by window: a cache by id that fetches what is looked at and drops what scrolled away.
import { signal } from "@preact/signals";
import { ApiError, get, isAbort } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import type { Cell, RowsAnswer, WireRow } from "../api/types";
import { numberOf } from "../common/values";
import { showError } from "./toasts";
import { onTouched } from "./undo";

export interface Row extends Omit<WireRow, "cells"> {
  /** Values by the name of their column. */
  cells: Readonly<Record<string, Cell>>;
  /** The store's change counter when it was read. */
  changed: number;
}

/** Rows of one request for what comes next; what is in sight is asked for alone, so that it is quick. */
const WINDOW = 100;
/** A request for rows that nobody looks at any more is aborted after so long. */
const PATIENCE_MS = 100;
/** Rows kept; a row takes about a kilobyte. */
const KEPT = 20_000;

const rows = new Map<number, Row>();
const idsByUid = new Map<string, number>();
/** Rows to read again, and the change that their next reading has to contain. */
const stale = new Map<number, number>();

interface Flight {
  ids: Set<number>;
  isUrgent: boolean;
  since: number;
}

const inFlight = new Map<AbortController, Flight>();
let wanted: number[] = [];
/** How many of the wanted rows, from the first on, are in sight. */
let seen = 0;
let columns: string[] = [];

/** Columns in which a text was seen; they are aligned like texts. */
export const textColumns = signal<ReadonlySet<string>>(new Set());

/** Why the columns of the address cannot be shown, or null. */
export const columnsError = signal<ApiError | null>(null);

/** Grows whenever rows arrive or change. */
export const rowsVersion = signal(0);

export function rowOf(id: number): Row | undefined {
  return rows.get(id);
}

export function rowByUid(uid: string): Row | undefined {
  const id = idsByUid.get(uid);
  return id === undefined ? undefined : rows.get(id);
}

function isComplete(id: number): boolean {
  const row = rows.get(id);
  return row !== undefined && !stale.has(id) && columns.every((name) => name in row.cells);
}

/**
 * Say which rows are looked at, those in sight first, and with which columns; what is missing is
 * fetched, and requests for rows that nobody looks at any more are aborted.
 */
export function wantRows(ids: number[], inSight: number, names: string[]): void {
  wanted = ids;
  seen = inSight;
  columns = names;
  const still = new Set(ids);
  const now = performance.now();
  for (const [controller, flight] of inFlight) {
    if (now - flight.since > PATIENCE_MS && ![...flight.ids].some((id) => still.has(id))) {
      controller.abort();
    }
  }
  pump();
}

/** Ask for what is in sight, and for what comes next: one request of each at a time. */
function pump(): void {
  const flying = new Set<number>();
  const kinds = new Set<boolean>();
  for (const flight of inFlight.values()) {
    kinds.add(flight.isUrgent);
    for (const id of flight.ids) flying.add(id);
  }
  const lacking = (ids: number[]) =>
    ids.filter((id) => !flying.has(id) && !isComplete(id)).slice(0, WINDOW);
  if (!kinds.has(true)) {
    const urgent = lacking(wanted.slice(0, seen));
    if (urgent.length) void fetchRows(urgent, true);
    else if (!kinds.has(false)) {
      const ahead = lacking(wanted.slice(seen));
      if (ahead.length) void fetchRows(ahead, false);
    }
  }
}

/** Return the columns that some of these rows lack. */
function columnsLacking(ids: number[]): string[] {
  return columns.filter((name) =>
    ids.some((id) => {
      const row = rows.get(id);
      return !row || stale.has(id) || !(name in row.cells);
    }),
  );
}

async function fetchRows(ids: number[], isUrgent: boolean): Promise<void> {
  const controller = new AbortController();
  const names = columnsLacking(ids);
  const wasStale = [...stale].filter(([id]) => ids.includes(id));
  inFlight.set(controller, { ids: new Set(ids), isUrgent, since: performance.now() });
  // A change during the request marks the row stale again.
  for (const [id] of wasStale) stale.delete(id);
  try {
    const query = { ids: ids.join(","), columns: names.join() };
    keep(await get<RowsAnswer>("runs/rows", query, controller.signal), names, ids);
  } catch (error) {
    for (const [id, change] of wasStale) stale.set(id, change);
    if (!controller.signal.aborted) {
      // No endless repetition; the next look tries again. A document that is being left aborts
      // requests as soon as they are made: asking again would keep it from ever being left.
      wanted = [];
      if (error instanceof ApiError && error.code === "filter") columnsError.value = error;
      else if (!isAbort(error)) showError(error);
    }
  } finally {
    inFlight.delete(controller);
    pump();
  }
}

function keep(answer: RowsAnswer, names: string[], asked: number[]): void {
  noteTexts(answer, names);
  for (const wire of answer.rows) {
    const before = rows.get(wire.id);
    const cells: Record<string, Cell> = { ...before?.cells };
    names.forEach((name, place) => {
      cells[name] = wire.cells[place] ?? null;
    });
    rows.delete(wire.id); // the newest stand last, so that the oldest go first
    rows.set(wire.id, { ...wire, cells, changed: answer.changed });
    idsByUid.set(wire.uid, wire.id);
    if ((stale.get(wire.id) ?? Infinity) <= answer.changed) stale.delete(wire.id);
  }
  // A run that is gone has no row; it is not asked for again until the order is.
  const found = new Set(answer.rows.map((row) => row.id));
  const gone = new Set(asked.filter((id) => !found.has(id)));
  if (gone.size) wanted = wanted.filter((id) => !gone.has(id));
  forgetOldest();
  rowsVersion.value++;
}

function noteTexts(answer: RowsAnswer, names: string[]): void {
  const found = names.filter((name, place) => {
    if (textColumns.peek().has(name)) return false;
    return answer.rows.some(({ cells }) => {
      const value = cells[place];
      return value !== null && value !== undefined && numberOf(value) === null;
    });
  });
  if (found.length) textColumns.value = new Set([...textColumns.peek(), ...found]);
}

function forgetOldest(): void {
  if (rows.size <= KEPT) return;
  const looked = new Set(wanted);
  for (const [id, row] of rows) {
    if (rows.size <= KEPT) return;
    if (looked.has(id)) continue;
    rows.delete(id);
    idsByUid.delete(row.uid);
    stale.delete(id);
  }
}

function flyingIds(): Set<number> {
  return new Set([...inFlight.values()].flatMap((flight) => [...flight.ids]));
}

/** Read rows anew if somebody looks at them, and forget them otherwise. */
function refresh(ids: Iterable<number>, changed: number): void {
  const looked = new Set(wanted);
  const flying = flyingIds();
  for (const id of ids) {
    const row = rows.get(id);
    if (!row && flying.has(id)) stale.set(id, changed || Infinity);
    if (!row || (changed && row.changed >= changed)) continue;
    if (looked.has(id)) {
      stale.set(id, changed || Infinity);
    } else {
      rows.delete(id);
      idsByUid.delete(row.uid);
    }
  }
  pump();
  rowsVersion.value++;
}

onRunsChanged((event) => {
  const ids = event.many ? [...rows.keys(), ...flyingIds()] : event.ids;
  refresh(ids, event.changed);
});
onTouched((uids) => {
  const ids = uids.map((uid) => idsByUid.get(uid)).filter((id) => id !== undefined);
  refresh(ids, 0);
});
onPoints((event) => {
  const ids = event.runs
    .filter(({ id, keys }) => {
      const row = rows.get(id);
      const names = Object.keys(keys);
      return row && Object.keys(row.cells).some((cell) => names.some((key) => cell.includes(key)));
    })
    .map(({ id }) => id);
  refresh(ids, 0);
});

/** Say whether rows are at hand as they are now, with these columns. */
export function areKnown(uids: string[], names: string[]): boolean {
  return uids.every((uid) => {
    const row = rowByUid(uid);
    return row && !stale.has(row.id) && names.every((name) => name in row.cells);
  });
}

/** Return rows by uid, from the cache or the server; those that are gone are left out. */
export async function rowsByUid(
  uids: string[],
  names: string[] = [],
  signal?: AbortSignal,
): Promise<Row[]> {
  const lacking = uids.filter((uid) => !areKnown([uid], names));
  for (let start = 0; start < lacking.length; start += WINDOW) {
    const some = lacking.slice(start, start + WINDOW).join(",");
    const answer = await get<RowsAnswer>("runs/rows", { uids: some, columns: names.join() }, signal);
    keep(answer, names, []);
    for (const row of answer.rows) stale.delete(row.id);
  }
  return uids.map(rowByUid).filter((row) => row !== undefined);
}

/** As many rows as one request returns. */
const MOST = 500;

/** Return the uids of any number of rows. */
export async function uidsOf(ids: ArrayLike<number>, signal?: AbortSignal): Promise<string[]> {
  const found = new Map<number, string>();
  const lacking: number[] = [];
  for (const id of Array.from(ids)) {
    const row = rows.get(id);
    if (row) found.set(id, row.uid);
    else lacking.push(id);
  }
  for (let start = 0; start < lacking.length; start += MOST) {
    const some = lacking.slice(start, start + MOST).join(",");
    const answer = await get<RowsAnswer>("runs/rows", { ids: some }, signal);
    for (const row of answer.rows) found.set(row.id, row.uid);
  }
  return Array.from(ids, (id) => found.get(id)).filter((uid) => uid !== undefined);
}
