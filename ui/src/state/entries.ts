// The lines of the grid: runs, or groups with their runs while they are open.
import { computed } from "@preact/signals";
import type { GroupInfo } from "../api/types";
import { formatGroup } from "../common/values";
import { list, toggleInList } from "./address";
import { order } from "./order";

export type Entry =
  | { kind: "run"; id: number; place: number }
  | { kind: "group"; group: GroupInfo; key: string; isOpen: boolean };

export interface Entries {
  count: number;
  at: (index: number) => Entry | undefined;
  /** Return the line of a row id, -1 when it is not shown. */
  indexOf: (id: number) => number;
}

const open = list("open");

/** Return what names a group in the address. */
export function groupKey(group: GroupInfo): string {
  return Object.entries(group.values)
    .map(([name, value]) => (typeof value === "number" ? String(value) : formatGroup(name, value)))
    .join("~");
}

export function toggleGroup(key: string): void {
  toggleInList("open", key, { replace: true });
}

export const entries = computed<Entries>(() => {
  const now = order.value;
  if (!now) return { count: 0, at: () => undefined, indexOf: () => -1 };
  return now.groups ? grouped(now.ids, now.groups, new Set(open.value)) : plain(now.ids);
});

function plain(ids: Uint32Array): Entries {
  return {
    count: ids.length,
    at: (index) => {
      const id = ids[index];
      return id === undefined ? undefined : { kind: "run", id, place: index };
    },
    indexOf: (id) => ids.indexOf(id),
  };
}

function grouped(ids: Uint32Array, groups: GroupInfo[], opened: Set<string>): Entries {
  // Of each group: its key, its line, and the place of its first run in the order.
  const parts: { group: GroupInfo; key: string; isOpen: boolean; line: number; first: number }[] = [];
  let line = 0;
  for (const group of groups) {
    const key = groupKey(group);
    const isOpen = opened.has(key);
    parts.push({ group, key, isOpen, line, first: group.start });
    line += 1 + (isOpen ? group.count : 0);
  }
  const partBefore = (value: number, of: "line" | "first") => {
    let low = 0;
    let high = parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (parts[middle]![of] <= value) low = middle;
      else high = middle - 1;
    }
    return parts[low];
  };
  return {
    count: line,
    at: (index) => {
      const part = partBefore(index, "line");
      if (!part || index < 0 || index >= line) return undefined;
      if (index === part.line) {
        return { kind: "group", group: part.group, key: part.key, isOpen: part.isOpen };
      }
      const place = part.first + index - part.line - 1;
      const id = ids[place];
      return id === undefined ? undefined : { kind: "run", id, place };
    },
    indexOf: (id) => {
      const place = ids.indexOf(id);
      const part = place < 0 ? undefined : partBefore(place, "first");
      return part?.isOpen ? part.line + 1 + place - part.first : -1;
    },
  };
}
