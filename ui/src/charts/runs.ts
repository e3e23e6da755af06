// Which runs are drawn: the selected ones or those in sight, without those that are hidden.
import { onRunsChanged } from "../api/live";
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { go, href } from "../state/address";
import { isShown, soloUids } from "../state/hidden";
import { inTrash } from "../state/order";
import { rowByUid, rowsVersion } from "../state/rows";
import { selected, toggle, visible } from "../state/selection";
import { get, isAbort, joinNames } from "../api/client";
import type { Series } from "./decode";
import { mostLines } from "./settings";

/** The runs of some charts. */
export interface Board {
  /** All that could be drawn, hidden ones included. */
  all: ReadonlySignal<string[]>;
  /** The first of them, so many as are drawn at once. */
  considered: ReadonlySignal<string[]>;
  /** Those that are drawn. */
  drawn: ReadonlySignal<string[]>;
  /** Which runs these are, in a word. */
  kind: ReadonlySignal<"selected" | "visible" | "alone" | "">;
}

function sameList(one: string[], other: string[]): boolean {
  return one.length === other.length && one.every((uid, place) => uid === other[place]);
}

/** Return a signal that changes only when its list does. */
function steady(list: () => string[]): ReadonlySignal<string[]> {
  let before: string[] = [];
  return computed(() => {
    const now = list();
    if (!sameList(before, now)) before = now;
    return before;
  });
}

/** Return the board of a list of runs. */
export function boardOf(
  all: ReadonlySignal<string[]>,
  kind: Board["kind"] = signal("" as const),
): Board {
  const considered = steady(() => {
    const solo = soloUids.value;
    // Runs shown alone may have been scrolled out of sight.
    if (solo.size) return [...solo];
    // Hiding one makes no room for another, which would have to appear.
    return all.value.slice(0, mostLines.value);
  });
  return { all, considered, drawn: steady(() => considered.value.filter(isShown)), kind };
}

// Beside the grid

/** What was in sight when the grid last rested. */
const settled = signal<string[]>([]);
/** Charts keep their runs when one of their lines is picked, which changes the selection. */
const held = signal<{ selection: ReadonlySet<string>; uids: string[] } | null>(null);

const gridRuns = steady(() => {
  if (inTrash.value) return []; // deleted runs have no series to read
  if (held.value && held.value.selection === selected.value) return held.value.uids;
  return selected.value.size ? [...selected.value] : settled.value;
});

export const gridBoard: Board = boardOf(
  gridRuns,
  computed(() => {
    if (soloUids.value.size) return "alone";
    if (held.value && held.value.selection === selected.value) return "visible";
    return selected.value.size ? "selected" : "visible";
  }),
);

const REST_MS = 180;

/** Follow the runs in sight, once the grid rests. */
export function followSight(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const uids = visible.value;
    clearTimeout(timer);
    if (!settled.peek().length) settled.value = uids;
    else timer = setTimeout(() => (settled.value = uids), REST_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

/** Select a run from a chart, or take it out of the selection; the charts keep their runs. */
export function pick(uid: string): void {
  const uids = gridRuns.peek();
  toggle(uid);
  held.value = { selection: selected.peek(), uids };
}

export function openRun(uid: string, isApart: boolean): void {
  const path = `/runs/${uid}`;
  if (isApart) open(href(path), "_blank", "noopener");
  else go(path);
}

/** Names of lines by `markId`, with the parameters that differ, as `runstore plot` writes them. */
const names = signal<ReadonlyMap<string, string>>(new Map());

/** Runs whose lines are named in full, so that the address stays short. */
const MOST_NAMED = 200;

interface NamesAnswer {
  names: { uid: string; set_name: string | null; name: string }[];
}

/**
 * Read the names of the lines of a board whenever its runs change.
 *
 * If that fails, lines have the names of their runs until the server is back; the charts report it.
 */
export function followNames(board: Board): () => void {
  let running: AbortController | null = null;
  let hasFailed = false;
  const tries = signal(0);
  const stopChanges = onRunsChanged((event) => {
    if (event.many && hasFailed) tries.value++;
  });
  const stopReading = effect(() => {
    void tries.value;
    running?.abort();
    const runs = board.considered.value.slice(0, MOST_NAMED);
    if (!runs.length) return;
    running = new AbortController();
    get<NamesAnswer>("series/names", { runs: joinNames(runs) }, running.signal).then(
      (answer) => {
        hasFailed = false;
        names.value = new Map(answer.names.map((one) => [markId({ uid: one.uid, setName: one.set_name }), one.name]));
      },
      (error: unknown) => {
        hasFailed = !isAbort(error);
      },
    );
  });
  return () => {
    stopReading();
    stopChanges();
  };
}

/** Return whose mark and name a line has: those of a run, or of one of its sets. */
export function markId({ uid, setName }: Pick<Series, "uid" | "setName">): string {
  return setName === null ? uid : `${uid}/${setName}`;
}

/** Return the name of a line; until it is read, that of its run. */
export function nameOf(uid: string, setName: string | null = null): string {
  const name = names.value.get(markId({ uid, setName }));
  if (name) return name;
  void rowsVersion.value;
  const row = rowByUid(uid);
  return [row ? row.name : uid.slice(0, 8), setName].filter(Boolean).join(" ");
}
