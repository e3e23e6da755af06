// Which runs the charts leave out: hidden ones, or all but the solo ones. In the address.
import { computed } from "@preact/signals";
import { list, setQuery, toggleInList } from "./address";
import { joinNames } from "../api/client";

const hide = list("hide");
const solo = list("solo");
export const hiddenUids = computed(() => new Set(hide.value));
export const soloUids = computed(() => new Set(solo.value));

/** Say whether a run is drawn in charts. */
export function isShown(uid: string): boolean {
  if (soloUids.value.size) return soloUids.value.has(uid);
  return !hiddenUids.value.has(uid);
}

export function toggleHidden(uid: string): void {
  toggleInList("hide", uid);
}

/** Show one run alone, or all again. */
export function toggleSolo(uid: string): void {
  setQuery({ solo: soloUids.value.has(uid) ? null : joinNames([uid]) });
}
