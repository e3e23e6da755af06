// The order vector: the row ids of all matching runs, in order, in one compact answer.
import { batch, computed, effect, signal } from "@preact/signals";
import { get, getBytes, isAbort } from "../api/client";
import { onRunsChanged } from "../api/live";
import type { GroupInfo, GroupsAnswer, RunsChanged } from "../api/types";
import { list, path, word } from "./address";
import { paced } from "./paced";
import { conditionsOf, orderOf } from "./query-text";

export interface Order {
  /** Row ids in the order of the filter; with groups, group after group. */
  ids: Uint32Array;
  /** How far the store's changes are contained. */
  changed: number;
  /** Null when the runs are not grouped. */
  groups: GroupInfo[] | null;
}

const MAGIC = "RSO1";

export const filter = word("filter");
export const groupBy = list("group");
export const inTrash = computed(() => word("trash").value === "1");

export const order = signal<Order | null>(null);
export const orderError = signal<unknown>(null);
/** True while an order is on its way; the one before stays to be seen. */
export const ordering = signal(false);

/** Decode the binary answer: "RSO1", a count, the store's change counter, the ids. */
export function decodeOrder(bytes: ArrayBuffer): { ids: Uint32Array; changed: number } {
  const view = new DataView(bytes);
  const magic = String.fromCharCode(...new Uint8Array(bytes, 0, 4));
  if (magic !== MAGIC) throw new Error(`Expected an order vector, got ${JSON.stringify(magic)}.`);
  const count = view.getUint32(4, true);
  const changed = Number(view.getBigUint64(8, true));
  return { ids: new Uint32Array(bytes, 16, count), changed };
}

let running: AbortController | null = null;

/** Groups and order are two answers; a change between them makes it necessary to ask again. */
const ATTEMPTS = 3;

async function fetchOrder(signal: AbortSignal): Promise<Order> {
  const query = { filter: filter.value, trash: inTrash.value ? 1 : null };
  // The trash is a list to choose from; it has no groups.
  const by = inTrash.value ? "" : groupBy.value.join();
  if (!by) return { ...decodeOrder(await getBytes("runs/order", query, signal)), groups: null };
  for (let attempt = 1; ; attempt++) {
    const [bytes, answer] = await Promise.all([
      getBytes("runs/order", { ...query, by }, signal),
      get<GroupsAnswer>("runs/order/groups", { filter: filter.value, by }, signal),
    ]);
    const vector = decodeOrder(bytes);
    if (vector.changed === answer.changed || attempt === ATTEMPTS) {
      return { ...vector, groups: answer.groups };
    }
  }
}

/** Return the uids of all runs of the filter. */
export async function allUids(signal: AbortSignal): Promise<string[]> {
  const query = { filter: filter.value, trash: inTrash.value ? 1 : null };
  return (await get<{ uids: string[] }>("runs/uids", query, signal)).uids;
}

async function load(): Promise<void> {
  running?.abort();
  const mine = (running = new AbortController());
  ordering.value = true;
  try {
    const found = await fetchOrder(mine.signal);
    batch(() => {
      order.value = found;
      orderError.value = null;
      ordering.value = false;
    });
  } catch (error) {
    if (isAbort(error)) return;
    batch(() => {
      orderError.value = error;
      ordering.value = false;
    });
  }
}

/** Ask for the order again, e.g. after a change of runs. */
export function reloadOrder(): void {
  if (path.peek() === "/") void load();
}

/** Load the order now and whenever the query changes. */
export function followQuery(): () => void {
  const stopEffect = effect(() => {
    // Read all three, so that a change of any one loads again.
    void [filter.value, groupBy.value, inTrash.value];
    void load();
  });
  const stopLive = onRunsChanged(onChange);
  return () => {
    stopEffect();
    stopLive();
    running?.abort();
  };
}

const reloadSoon = paced(load, 300);

function onChange(event: RunsChanged): void {
  if (mayMove(event)) reloadSoon();
}

/** Say whether a change may add runs, take some away, or order them anew. */
function mayMove(event: RunsChanged): boolean {
  const now = order.peek();
  // An order that is on its way may be of before the change, and the shown one of another query.
  if (!now || event.many || ordering.peek()) return true;
  if (event.changed && event.changed <= now.changed) return false;
  if (event.gone.some((id) => now.ids.includes(id))) return true;
  const text = filter.peek();
  const plain = !conditionsOf(text) && !orderOf(text).length && !groupBy.peek().length;
  return !plain || event.ids.some((id) => !now.ids.includes(id));
}
