// Which metrics are charted: those that somebody chose, or those that most of the runs share.
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { get, isAbort } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import { columns } from "../state/columns";
import { filter } from "../state/order";
import type { Board } from "./runs";
import { chosenMetrics } from "./settings";

export interface MetricInfo {
  key: string;
  /** How many of the runs have it. */
  runs: number;
  /** Points of the longest of them. */
  points: number;
}

export interface KeysAnswer {
  total: number;
  keys: MetricInfo[];
}

const MOST_BY_DEFAULT = 6;
const LOOKED_AT = 200;
/** So many runs tell what the others have. */
export const ASKED_AT_ONCE = 200;

/** What people look at first, and what they rarely look at. */
const LIKED = /loss|acc|error|reward|return|score|auc|f1|ppl|perplexity|bleu|map|iou|rmse|mae|mse|r2/i;
const HELD_OUT = /val|valid|test|eval/i;
const DULL = /^(system|sys|gpu|cpu|memory|perf|timer?|throughput)[./_]|(^|[./_])(epoch|step|iter(ation)?|lr|learning_rate|time|grad_norm|seconds)$/i;

/** Return how interesting a metric is, the higher the more; `asked` are those of the filter and columns. */
function interest(info: MetricInfo, asked: Map<string, number>): number {
  let worth = asked.get(info.key) ?? 0;
  if (LIKED.test(info.key)) worth += 2;
  if (/loss/i.test(info.key)) worth += 0.5;
  if (HELD_OUT.test(info.key)) worth += 0.3;
  if (DULL.test(info.key)) worth -= 3;
  if (info.points < 2) worth -= 1.5; // one dot each
  return worth;
}

/** The metrics that the filter or the grid's columns speak of. */
const askedFor = computed(() => {
  const asked = new Map<string, number>();
  for (const column of columns.value) {
    if (column.metric) asked.set(column.metric.key, 1);
  }
  for (const match of filter.value.matchAll(/metrics(?:\[[^\]]*\])?\.([\w/-]+)/g)) asked.set(match[1]!, 3);
  return asked;
});

export interface Metrics {
  /** The metrics that are drawn; null until they are known. */
  names: ReadonlySignal<string[] | null>;
  error: ReadonlySignal<unknown>;
  follow: () => () => void;
  retry: () => void;
}

/** Return which metrics of a board's runs are drawn. */
export function metricsOf(board: Board): Metrics {
  const known = signal<MetricInfo[] | null>(null);
  const error = signal<unknown>(null);
  const tries = signal(0);
  let before: string[] = [];
  const defaults = computed(() => {
    if (!known.value) return null;
    const now = best(known.value, askedFor.value, board.considered.value.length);
    const present = new Set(known.value.map((info) => info.key));
    // Charts stay as they are while the runs have them, rather than change as one scrolls.
    if (before.length >= Math.min(now.length, 2) && before.every((key) => present.has(key))) return before;
    return (before = now);
  });
  const follow = () => {
    let running: AbortController | null = null;
    const load = async (uids: string[]): Promise<void> => {
      running?.abort();
      const mine = (running = new AbortController());
      try {
        const query = { runs: uids.slice(0, ASKED_AT_ONCE).join(","), limit: LOOKED_AT };
        known.value = (await get<KeysAnswer>("series/keys", query, mine.signal)).keys;
        error.value = null;
      } catch (reason) {
        if (!isAbort(reason)) error.value = reason;
      }
    };
    const stop = effect(() => {
      const uids = board.considered.value;
      void tries.value;
      if (uids.length) void load(uids);
    });
    const stopLive = onPoints((event) => {
      const present = new Set(known.peek()?.map((info) => info.key));
      const isNew = event.runs.some(
        ({ uid, keys }) =>
          board.considered.peek().includes(uid) && Object.keys(keys).some((key) => !present.has(key)),
      );
      if (isNew && present.size < LOOKED_AT) tries.value++;
    });
    const stopChanges = onRunsChanged((event) => {
      if (event.many && error.peek()) tries.value++;
    });
    return () => {
      stop();
      stopLive();
      stopChanges();
      running?.abort();
    };
  };
  return {
    names: computed(() => chosenMetrics.value ?? defaults.value),
    error,
    follow,
    retry: () => void tries.value++,
  };
}

function best(infos: MetricInfo[], asked: Map<string, number>, runs: number): string[] {
  const worth = (info: MetricInfo) => interest(info, asked) + 4 * (info.runs / Math.max(1, runs));
  return [...infos]
    .sort((one, other) => worth(other) - worth(one) || one.key.localeCompare(other.key))
    .slice(0, MOST_BY_DEFAULT)
    .map((info) => info.key);
}
