// The selected runs, by uid, so that a selection survives changes of the list.
import { computed, signal } from "@preact/signals";
import { allUids, order } from "./order";
import { rowOf, uidsOf } from "./rows";
import { showError } from "./toasts";

export const selected = signal<ReadonlySet<string>>(new Set());
export const selectedCount = computed(() => selected.value.size);
/** True while the uids of a selection are on their way. */
export const selecting = signal(false);

/** The run under the pointer or the focus; the grid and the charts show it to each other. */
export const hovered = signal<string | null>(null);
/** The runs that are in sight in the grid, from top to bottom. */
export const visible = signal<string[]>([]);

/** So many rows are asked for by their ids; more come with the filter in one answer. */
const FEW = 1000;

/** The newest selection; one that arrives after another was made is dropped. */
let newest: AbortController | null = null;
/** Resolves to whether the newest selection arrived. */
let arriving: Promise<boolean> = Promise.resolve(true);

export function selectOnly(uids: Iterable<string>): void {
  newest?.abort();
  newest = null;
  arriving = Promise.resolve(true);
  selecting.value = false;
  selected.value = new Set(uids);
}

export function toggle(uid: string): void {
  const next = new Set(selected.value);
  if (!next.delete(uid)) next.add(uid);
  selectOnly(next);
}

export function clearSelection(): void {
  selectOnly([]);
}

/** Select these runs, and those to keep. */
export function selectIds(ids: ArrayLike<number>, keep: Iterable<string> = []): void {
  const known = Array.from(ids, (id) => rowOf(id)?.uid).filter((uid) => uid !== undefined);
  if (known.length === ids.length) {
    selectOnly([...keep, ...known]);
    return;
  }
  fetchUids((signal) => uidsOf(ids, signal), [...keep]);
}

function fetchUids(fetch: (signal: AbortSignal) => Promise<string[]>, keep: string[]): void {
  newest?.abort();
  const mine = (newest = new AbortController());
  selecting.value = true;
  arriving = arrival(fetch, keep, mine);
}

async function arrival(
  fetch: (signal: AbortSignal) => Promise<string[]>,
  keep: string[],
  mine: AbortController,
): Promise<boolean> {
  try {
    const uids = await fetch(mine.signal);
    if (mine !== newest) return false;
    selectOnly([...keep, ...uids]);
    return true;
  } catch (error) {
    if (mine === newest) selecting.value = false;
    showError(error);
    return false;
  }
}

/** Select each run that the filter accepts. */
export function selectAll(): void {
  const now = order.value;
  if (!now || selecting.value) return;
  if (now.ids.length <= FEW) selectIds(now.ids);
  else fetchUids(allUids, []);
}

/** Do something with the selected runs, once they are known; nothing if they never are. */
export async function withSelected(act: (uids: string[]) => void): Promise<void> {
  if (await arriving) act([...selected.value]);
}
