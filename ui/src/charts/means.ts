// Means over repeated runs, with their intervals, from the server.
import { getBytes, joinNames } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import { readColumns } from "./decode";
import type { Mean } from "./lines";
import { arrived, type Window, type XAxis } from "./series";

interface Head {
  left_out: { name: string; reason: string }[];
  groups: {
    id: string;
    key: string;
    set_name: string | null;
    runs: string[];
    label: string;
    blocks: number;
    columns: string[];
    offset: number;
  }[];
}

interface Answer {
  key: string;
  uids: string[];
  means: Mean[] | null;
  /** Runs that no mean has, and why. */
  leftOut: Head["left_out"];
  error: unknown;
  /** Points have arrived that it does not have. */
  isBehind: boolean;
}

/** Means are asked for this often at most while runs go on. */
const LIVE_MS = 2000;

/** As many answers as are kept; a change of the runs asks again. */
const MOST = 200;
const answers = new Map<string, Answer>();

function nameOf(x: XAxis, key: string, uids: string[], window: Window | null): string {
  const part = window ? `${window.from}:${window.to}` : "";
  return `${x} ${part} ${key} ${[...uids].sort().join()}`;
}

/** Return the means of a metric over some runs; null before they are there. */
export function meansOf(x: XAxis, key: string, uids: string[], window: Window | null): Mean[] | null {
  const fine = window && answers.get(nameOf(x, key, uids, window))?.means;
  return fine ?? answers.get(nameOf(x, key, uids, null))?.means ?? null;
}

export function meansError(x: XAxis, key: string, uids: string[]): unknown {
  return answers.get(nameOf(x, key, uids, null))?.error ?? null;
}

/** Return the runs that are in no mean. */
export function leftOutOf(x: XAxis, key: string, uids: string[]): Head["left_out"] {
  return answers.get(nameOf(x, key, uids, null))?.leftOut ?? [];
}

/** Fetch the means of a metric over some runs, or finer ones of a window. */
export async function loadMeans(
  x: XAxis,
  key: string,
  uids: string[],
  points: number,
  window: Window | null,
): Promise<void> {
  const name = nameOf(x, key, uids, window);
  const before = answers.get(name);
  if (!uids.length || (before && !before.isBehind)) return;
  const mine: Answer = { key, uids, means: null, leftOut: [], error: null, ...before, isBehind: false };
  answers.set(name, mine);
  try {
    const room = window ? (window.to - window.from) / 4 : 0;
    const query = {
      runs: uids.join(","),
      keys: joinNames([key]),
      x,
      points: window ? Math.round(points * 1.5) : points,
      from: window && window.from - room,
      to: window && window.to + room,
    };
    const { head, means } = decodeMeans(await getBytes("series/groups", query));
    mine.means = means;
    mine.leftOut = head.left_out;
    mine.error = null;
  } catch (error) {
    mine.error = error;
  }
  for (const old of answers.keys()) {
    if (answers.size <= MOST) break;
    answers.delete(old);
  }
  arrived(key, before ? "live" : "load");
}

let timer: ReturnType<typeof setTimeout> | undefined;

onPoints((event) => {
  for (const answer of answers.values()) {
    const isOf = event.runs.some(({ uid, keys }) => answer.key in keys && answer.uids.includes(uid));
    if (isOf) answer.isBehind = true;
  }
  timer ??= setTimeout(() => {
    timer = undefined;
    const keys = new Set<string>();
    for (const answer of answers.values()) if (answer.isBehind) keys.add(answer.key);
    // Charts that draw them ask again.
    for (const key of keys) arrived(key, "live");
  }, LIVE_MS);
});

// Points may have been missed while nobody listened, and answers may have failed.
onRunsChanged((event) => {
  if (!event.many) return;
  const keys = new Set<string>();
  for (const answer of answers.values()) {
    answer.isBehind = true;
    keys.add(answer.key);
  }
  for (const key of keys) arrived(key, "live");
});

function decodeMeans(bytes: ArrayBuffer): { head: Head; means: Mean[] } {
  const { head, column } = readColumns<Head>(bytes);
  const means = head.groups.map((group) => {
    const named = (name: string) => column(group.offset, group.columns.indexOf(name), group.blocks);
    return {
      // The colour of a group stays when others come and go.
      id: `${group.id}/${group.set_name ?? ""}`,
      uids: group.runs,
      label: group.runs.length > 1 ? `${group.label} (${group.runs.length} runs)` : group.label,
      x: named("x"),
      mean: named("mean"),
      low: named("low"),
      high: named("high"),
    };
  });
  return { head, means };
}

/** Forget what failed, so that it is asked for again. */
export function forgetMeanErrors(key: string): void {
  for (const [name, answer] of answers) if (answer.key === key && answer.error) answers.delete(name);
}
