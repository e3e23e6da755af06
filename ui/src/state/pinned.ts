// Runs that stay at the top of the grid: the baseline, and pinned ones. In the address.
import { computed, effect, signal } from "@preact/signals";
import { isAbort } from "../api/client";
import { list, setQuery, toggleInList, word } from "./address";
import { cellNames } from "./columns";
import { areKnown, type Row, rowByUid, rowsByUid, rowsVersion } from "./rows";
import { showError } from "./toasts";

export const baselineUid = word("baseline");
const pins = list("pins");
export const pinnedUids = computed(() => {
  const first = baselineUid.value;
  const others = pins.value.filter((uid) => uid !== first);
  return first ? [first, ...others] : others;
});

const loaded = signal(0);

/** The rows of the pinned runs that are known, the baseline first. */
export const pinnedRows = computed<Row[]>(() => {
  void [loaded.value, rowsVersion.value];
  return pinnedUids.value.map(rowByUid).filter((row) => row !== undefined);
});
export const baseline = computed<Row | null>(
  () => pinnedRows.value.find((row) => row.uid === baselineUid.value) ?? null,
);

/** Keep the rows of pinned runs at hand. */
export function followPins(): () => void {
  let running: AbortController | null = null;
  return effect(() => {
    const uids = pinnedUids.value;
    const names = cellNames.value;
    void rowsVersion.value; // a pinned run that was forgotten or has changed is read again
    running?.abort();
    if (areKnown(uids, names)) return;
    running = new AbortController();
    rowsByUid(uids, names, running.signal).then(
      () => loaded.value++,
      (error: unknown) => isAbort(error) || showError(error),
    );
  });
}

export function toggleBaseline(uid: string): void {
  setQuery({ baseline: baselineUid.value === uid ? null : uid });
}

export function togglePin(uid: string): void {
  toggleInList("pins", uid);
}
