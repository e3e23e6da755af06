// Means over repeated runs, with their intervals, from the server.
import { getBytes, isAbort, joinNames } from "../api/client";
import { readColumns } from "./decode";
import type { Mean } from "./lines";
import { arrived, type XAxis } from "./series";

interface Head {
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
  means: Mean[] | null;
  error: unknown;
}

/** As many answers as are kept; a change of the runs asks again. */
const MOST = 60;
const answers = new Map<string, Answer>();

function nameOf(x: XAxis, key: string, uids: string[]): string {
  return `${x} ${key} ${[...uids].sort().join()}`;
}

/** Return the means of a metric over some runs; null before they are there. */
export function meansOf(x: XAxis, key: string, uids: string[]): Mean[] | null {
  return answers.get(nameOf(x, key, uids))?.means ?? null;
}

export function meansError(x: XAxis, key: string, uids: string[]): unknown {
  return answers.get(nameOf(x, key, uids))?.error ?? null;
}

export async function loadMeans(x: XAxis, key: string, uids: string[], points: number): Promise<void> {
  const name = nameOf(x, key, uids);
  if (!uids.length || answers.has(name)) return;
  const mine: Answer = { means: null, error: null };
  answers.set(name, mine);
  try {
    const query = { runs: uids.join(","), keys: joinNames([key]), x, points };
    mine.means = decodeMeans(await getBytes("series/groups", query));
  } catch (error) {
    mine.error = error;
    if (isAbort(error)) answers.delete(name);
  }
  for (const old of answers.keys()) {
    if (answers.size <= MOST) break;
    answers.delete(old);
  }
  arrived(key);
}

function decodeMeans(bytes: ArrayBuffer): Mean[] {
  const { head, column } = readColumns<Head>(bytes);
  return head.groups.map((group) => {
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
}

/** Forget what was read, e.g. after new points or an error. */
export function forgetMeans(key?: string): void {
  for (const name of answers.keys()) {
    if (key === undefined || name.split(" ")[1] === key) answers.delete(name);
  }
}
