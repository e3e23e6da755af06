// The series that charts draw: fetched once, refined for a zoom, continued while a run goes on.
import { type Signal, signal } from "@preact/signals";
import { getBytes, isAbort, joinNames } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import { decodeSeries, placeOf, type Series, withDetail, withTail } from "./decode";

export type XAxis = "step" | "relative" | "time";

export interface Window {
  from: number;
  to: number;
}

interface Kept {
  uid: string;
  key: string;
  x: XAxis;
  /** Blocks that were asked for. */
  points: number;
  /** One for the run and each of its sets that has the metric; null while it is on its way. */
  series: Series[] | null;
  error: unknown;
  detail: { window: Window; series: Series[]; joined: Series[] } | null;
  /** Points have arrived that are not here yet. */
  isBehind: boolean;
}

/** Kept series; each takes 20 to 80 kB. */
const MOST = 1200;
/** Runs of one request, so that addresses stay short. */
const RUNS_AT_ONCE = 100;
/** Live points are asked for this often at most. */
const LIVE_MS = 500;

const kept = new Map<string, Kept>();
const versions = new Map<string, Signal<number>>();

function nameOf(x: XAxis, key: string, uid: string): string {
  return `${x} ${uid} ${key}`;
}

/** Return a signal that grows whenever a series of this metric arrives. */
export function versionOf(key: string): Signal<number> {
  let version = versions.get(key);
  if (!version) versions.set(key, (version = signal(0)));
  return version;
}

const causes = new Map<string, "load" | "live">();

/** Return why the series of a metric have changed last: somebody asked, or a run went on. */
export function causeOf(key: string): "load" | "live" {
  return causes.get(key) ?? "load";
}

export function arrived(key: string, cause: "load" | "live" = "load"): void {
  const version = versionOf(key);
  causes.set(key, cause);
  version.value = version.peek() + 1;
}

/** Return the series of a metric of a run, as fine as they are there; null before they are. */
export function seriesOf(x: XAxis, key: string, uid: string, window: Window | null): Series[] | null {
  const found = kept.get(nameOf(x, key, uid));
  if (!found?.series) return null;
  const { detail } = found;
  if (!window || !detail || !overlaps(detail.window, window)) return found.series;
  return detail.joined;
}

function overlaps(one: Window, other: Window): boolean {
  return one.from < other.to && other.from < one.to;
}

/** Return what went wrong with one of these, or null. */
export function errorOf(x: XAxis, key: string, uids: string[]): unknown {
  for (const uid of uids) {
    const error = kept.get(nameOf(x, key, uid))?.error;
    if (error) return error;
  }
  return null;
}

async function ask(
  x: XAxis,
  key: string,
  uids: string[],
  points: number,
  window: Partial<Window>,
  abort?: AbortSignal,
): Promise<Map<string, Series[]>> {
  const found = new Map<string, Series[]>(uids.map((uid) => [uid, []]));
  for (let start = 0; start < uids.length; start += RUNS_AT_ONCE) {
    const query = {
      runs: uids.slice(start, start + RUNS_AT_ONCE).join(","),
      keys: joinNames([key]),
      x,
      from: window.from,
      to: window.to,
      points,
    };
    for (const one of decodeSeries(await getBytes("series", query, abort))) {
      found.get(one.uid)?.push(one);
    }
  }
  return found;
}

/** Fetch what is missing of a metric of some runs, in one request. */
export async function loadSeries(x: XAxis, key: string, uids: string[], points: number): Promise<void> {
  const lacking = uids.filter((uid) => {
    const found = kept.get(nameOf(x, key, uid));
    // A somewhat wider chart is no reason to read all again.
    return !found || (found.series !== null && found.points * 1.4 < points && !areExact(found.series));
  });
  if (!lacking.length) return;
  const mine: Kept[] = lacking.map((uid) => {
    const name = nameOf(x, key, uid);
    const before = kept.get(name);
    const made = { uid, key, x, points, series: null, error: null, detail: null, isBehind: false, ...before };
    made.points = points;
    kept.delete(name); // the newest stand last, so that the oldest go first
    kept.set(name, made);
    return made;
  });
  try {
    const answer = await ask(x, key, lacking, points, {});
    for (const one of mine) {
      one.series = answer.get(one.uid)!;
      one.error = null;
      one.detail = null;
    }
  } catch (error) {
    for (const one of mine) {
      one.error = error;
      one.series ??= [];
    }
  }
  forgetOldest();
  arrived(key);
}

function areExact(series: Series[]): boolean {
  return series.every((one) => one.exact);
}

function forgetOldest(): void {
  if (kept.size <= MOST) return;
  // What is drawn would be asked for again at once.
  const drawn = new Set<string>();
  for (const { x, key, uids } of watched.values()) for (const uid of uids) drawn.add(nameOf(x, key, uid));
  for (const name of kept.keys()) {
    if (kept.size <= MOST) return;
    if (!drawn.has(name)) kept.delete(name);
  }
}

/** Forget what failed, so that it is asked for again. */
export function forgetErrors(key: string): void {
  for (const [name, one] of kept) if (one.key === key && one.error) kept.delete(name);
  arrived(key);
}

/** Fetch a finer level of a window, with something on either side of it to move into. */
export async function loadDetail(
  x: XAxis,
  key: string,
  uids: string[],
  window: Window,
  points: number,
  abort: AbortSignal,
): Promise<void> {
  const span = window.to - window.from;
  const wide = { from: window.from - span / 4, to: window.to + span / 4 };
  const lacking = uids.filter((uid) => {
    const found = kept.get(nameOf(x, key, uid));
    if (!found?.series || areExact(found.series)) return false;
    const had = found.detail;
    if (!had || had.window.from > window.from || had.window.to < window.to) return true;
    return had.window.to - had.window.from > 2.5 * span && !areExact(had.series);
  });
  if (!lacking.length) return;
  let answer: Map<string, Series[]>;
  try {
    answer = await ask(x, key, lacking, Math.round(points * 1.5), wide, abort);
  } catch (error) {
    if (isAbort(error)) return;
    throw error;
  }
  for (const uid of lacking) {
    const found = kept.get(nameOf(x, key, uid));
    if (found?.series) refine(found, wide, answer.get(uid)!);
  }
  arrived(key);
}

function refine(found: Kept, window: Window, series: Series[]): void {
  const joined = found.series!.map((one) => {
    const fine = series.find((other) => other.setName === one.setName);
    return withDetail(one, fine, window.from, window.to);
  });
  found.detail = { window, series, joined };
}

// Points that arrive while runs go on

const counts = new Map<string, number>();
/** Metrics that a chart draws now, with the runs. */
const watched = new Map<object, { x: XAxis; key: string; uids: string[] }>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Follow the runs of a chart; series that no chart draws are fetched anew when one does. */
export function watch(owner: object, what: { x: XAxis; key: string; uids: string[] } | null): void {
  if (what) watched.set(owner, what);
  else watched.delete(owner);
}

onPoints((event) => {
  for (const { uid, keys } of event.runs) {
    for (const [key, count] of Object.entries(keys)) {
      counts.set(`${uid} ${key}`, count);
      markBehind(uid, key);
    }
  }
  timer ??= setTimeout(catchUp, LIVE_MS);
});

// Points may have been missed while nobody listened.
onRunsChanged((event) => {
  if (!event.many) return;
  const failed = new Set<string>();
  for (const one of kept.values()) {
    one.isBehind = true;
    if (one.error) failed.add(one.key);
  }
  for (const key of failed) forgetErrors(key);
  timer ??= setTimeout(catchUp, LIVE_MS);
});

function markBehind(uid: string, key: string): void {
  for (const x of ["step", "relative", "time"] as const) {
    const found = kept.get(nameOf(x, key, uid));
    if (found) found.isBehind = true;
  }
}

function catchUp(): void {
  timer = undefined;
  const drawn = new Set<Kept>();
  for (const { x, key, uids } of watched.values()) {
    for (const uid of uids) {
      const found = kept.get(nameOf(x, key, uid));
      if (found?.isBehind && found.series) drawn.add(found);
    }
  }
  for (const [name, one] of kept) {
    if (one.isBehind && one.series && !drawn.has(one)) kept.delete(name);
  }
  const groups = new Map<string, Kept[]>();
  for (const one of drawn) {
    const name = `${one.x} ${one.key}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  for (const group of groups.values()) void continueAll(group);
}

/** Where the last block of a run's series begins; undefined when all of it has to be read. */
function tailStart(one: Kept): number | undefined {
  const starts = one.series!.map((series) => series.x.at(-1));
  if (!starts.length || starts.includes(undefined)) return undefined;
  // Too many small blocks, then all is read in larger ones.
  if (one.series!.some((series) => series.x.length > 3 * one.points)) return undefined;
  return Math.min(...(starts as number[]));
}

async function continueAll(group: Kept[]): Promise<void> {
  const { x, key } = group[0]!;
  const whole = group.filter((one) => tailStart(one) === undefined);
  const byStart = group.filter((one) => !whole.includes(one));
  for (const one of group) one.isBehind = false;
  try {
    if (whole.length) await readAgain(x, key, whole);
    if (byStart.length) await readTails(x, key, byStart);
  } catch (error) {
    // The next points, or a look at another view, try again.
    for (const one of group) one.isBehind = true;
    if (!isAbort(error)) console.warn(error);
  }
  arrived(key, "live");
}

async function readAgain(x: XAxis, key: string, some: Kept[]): Promise<void> {
  const points = Math.max(...some.map((one) => one.points));
  const answer = await ask(x, key, some.map((one) => one.uid), points, {});
  for (const one of some) {
    one.series = answer.get(one.uid)!;
    one.error = null;
    one.detail = null;
  }
}

async function readTails(x: XAxis, key: string, some: Kept[]): Promise<void> {
  // One request for all, from the lowest of their ends on.
  const from = commonStart(some);
  const points = Math.max(...some.map((one) => one.points));
  const answer = await ask(x, key, some.map((one) => one.uid), points, { from });
  const broken: Kept[] = [];
  for (const one of some) {
    const tails = answer.get(one.uid)!;
    one.series = one.series!.map((series) => {
      const tail = tails.find((other) => other.setName === series.setName);
      return tail ? joinTail(series, tail, from, one.points) : series;
    });
    // What was fine stays fine; the rest of its window is asked for again.
    if (one.detail) {
      const { window, series } = one.detail;
      refine(one, { from: window.from, to: Math.min(window.to, from) }, series);
    }
    if (tails.length > one.series.length || hasLost(one)) broken.push(one);
  }
  // A run that went back to an earlier step has points before its end.
  if (broken.length) await readAgain(x, key, broken);
}

/** Return where the tails of some series can be cut off without cutting a block in two. */
function commonStart(some: Kept[]): number {
  let from = Math.min(...some.map((one) => tailStart(one)!));
  const all = some.flatMap((one) => one.series!);
  for (let turn = 0; turn < 10; turn++) {
    const cut = all.filter((series) => {
      const place = placeOf(series.x, from) - 1;
      return place >= 0 && series.xLast[place]! >= from;
    });
    if (!cut.length) break;
    from = Math.min(...cut.map((series) => series.x[placeOf(series.x, from) - 1]!));
  }
  return from;
}

function joinTail(series: Series, tail: Series, from: number, points: number): Series {
  const joined = withTail(series, tail, from, points);
  const count = counts.get(`${series.uid} ${series.key}`);
  return { ...joined, count: count ?? joined.count };
}

function hasLost(one: Kept): boolean {
  return one.series!.some((series) => {
    if (!series.exact) return false;
    const count = counts.get(`${series.uid} ${series.key}`);
    return count !== undefined && one.series!.length === 1 && series.x.length < count;
  });
}
