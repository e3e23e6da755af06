// What the compare view shows: chosen runs, or those of a filter. All of it is in the address.
import { computed } from "@preact/signals";
import type { Freshness } from "../api/answer";
import { list, word } from "../state/address";
import { filter } from "../state/order";
import { rowByUid } from "../state/rows";

export const runs = list("runs");
export const tab = word("tab");

/** A filter for exactly the runs that are compared. */
export const runsFilter = computed(() => {
  if (!runs.value.length) return filter.value;
  return `uid in (${runs.value.map((uid) => `'${uid.replace(/'/g, "''")}'`).join(", ")})`;
});

export interface NamedRun {
  reference: string;
  uid: string;
  name: string;
}

export interface Difference {
  section: string;
  key: string;
  values: unknown[];
  texts: string[];
  missing: number[];
  unknown: number[];
  differs: boolean;
  direction: "min" | "max" | null;
  best: number[];
}

export interface Gap {
  what: string;
  run: string;
  reason: string;
}

export interface Comparison {
  runs: NamedRun[];
  total: number;
  differences: Difference[];
  unknown: Gap[];
}

/** One of the compared runs has changed. */
export const whenComparedChange: Freshness = {
  everyMs: 1_000,
  isAffected: ({ many, ids, gone }) => {
    if (many) return true;
    const changed = new Set([...ids, ...gone]);
    return runs.value.some((uid) => {
      const row = rowByUid(uid);
      return !row || changed.has(row.id);
    });
  },
};

const a = word("a");
const b = word("b");

/** The two runs of the tabs that are about two: by default the first two. */
export const pair = computed<[string, string] | null>(() => {
  const uids = runs.value;
  if (uids.length < 2) return null;
  const first = uids.includes(a.value) ? a.value : uids[0]!;
  const second = uids.includes(b.value) && b.value !== first ? b.value : uids.find((uid) => uid !== first)!;
  return [first, second];
});
