// The selected runs, by uid, so that a selection survives changes of the list.
import { computed, signal } from "@preact/signals";
import { order } from "./order";
import { rowOf, uidsOf } from "./rows";
import { showError } from "./toasts";

export const selected = signal<ReadonlySet<string>>(new Set());
export const selectedCount = computed(() => selected.value.size);
/** True while the uids of all matching runs are on their way. */
export const selectingAll = signal(false);

/** The run under the pointer or the focus; the grid and the charts show it to each other. */
export const hovered = signal<string | null>(null);
/** The runs that are in sight in the grid, from top to bottom. */
export const visible = signal<string[]>([]);

export function toggle(uid: string): void {
  const next = new Set(selected.value);
  if (!next.delete(uid)) next.add(uid);
  selected.value = next;
}

export function selectOnly(uids: Iterable<string>): void {
  selected.value = new Set(uids);
}

export function clearSelection(): void {
  selected.value = new Set();
}

/** Select the runs between two places of the order as well. */
export async function selectIds(ids: ArrayLike<number>, keep: Iterable<string> = []): Promise<void> {
  const known = Array.from(ids, (id) => rowOf(id)?.uid);
  const uids = known.every((uid) => uid !== undefined) ? known : await uidsOf(ids);
  selected.value = new Set([...keep, ...uids]);
}

/** Select each run that the filter accepts. */
export async function selectAll(): Promise<void> {
  const now = order.value;
  if (!now || selectingAll.value) return;
  selectingAll.value = true;
  try {
    await selectIds(now.ids);
  } catch (error) {
    showError(error);
  } finally {
    selectingAll.value = false;
  }
}
