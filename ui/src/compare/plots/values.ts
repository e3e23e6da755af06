// Columns of values of many runs, as the server packs them, kept while the view is open.
import { useEffect, useState } from "preact/hooks";
import { useFresh } from "../../api/answer";
import { getBytes, isAbort, joinNames } from "../../api/client";

export type ValueKind = "number" | "time" | "category";
/** The place of a category where a run has none. */
export const NO_CATEGORY = 0xffff;

export interface ValueColumn {
  name: string;
  kind: ValueKind;
  /** Numbers, seconds since 1970, or places of categories. */
  values: Float64Array | Uint16Array;
  categories: string[];
  /** How many categories the last one stands for, 0 for none. */
  others: number;
  /** 1 where a run has no value. */
  isMissing: Uint8Array;
}

export interface Values {
  filter: string;
  changed: number;
  /** All runs of the filter, and those that are here. */
  total: number;
  count: number;
  ids: Uint32Array;
  columns: ReadonlyMap<string, ValueColumn>;
}

interface Head {
  changed: number;
  total: number;
  count: number;
  ids: number;
  columns: {
    kind: ValueKind;
    values: number;
    missing: number;
    missing_places: number;
    categories: string[];
    others: number;
  }[];
}

/** Decode an answer: the length of a JSON head, the head, and the arrays that it names. */
export function decodeValues(bytes: ArrayBuffer, filter: string, names: string[]): Values {
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as Head;
  const body = 4 + length;
  const columns = new Map<string, ValueColumn>();
  head.columns.forEach((told, place) => {
    const at = body + told.values;
    const isMissing = new Uint8Array(head.count);
    for (const one of new Uint32Array(bytes, body + told.missing_places, told.missing)) isMissing[one] = 1;
    columns.set(names[place]!, {
      name: names[place]!,
      kind: told.kind,
      values: told.kind === "category" ? new Uint16Array(bytes, at, head.count) : new Float64Array(bytes, at, head.count),
      categories: told.categories,
      others: told.others,
      isMissing,
    });
  });
  const { changed, total, count } = head;
  return { filter, changed, total, count, ids: new Uint32Array(bytes, body + head.ids, count), columns };
}

function sameRuns(one: Values, other: Values): boolean {
  if (one.filter !== other.filter || one.count !== other.count || one.changed !== other.changed) return false;
  return one.ids.every((id, place) => id === other.ids[place]);
}

const AFTER_CHANGES = { everyMs: 2000, isAffected: () => true };

interface Asked {
  values: Values | null;
  error: unknown;
  isWaiting: boolean;
  retry: () => void;
}

/** Return columns of the runs of a filter; what is there already is not fetched again. */
export function useValues(filter: string, names: string[]): Asked {
  const [values, setValues] = useState<Values | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isWaiting, setWaiting] = useState(false);
  const [round, setRound] = useState(0);
  const wanted = [...new Set(names)].filter(Boolean).sort();
  const key = joinNames(wanted);
  useEffect(() => {
    const known = values?.filter === filter && round === 0 ? values : null;
    const lacking = wanted.filter((name) => !known?.columns.has(name));
    if (known && !lacking.length) return undefined;
    const running = new AbortController();
    const load = async (): Promise<void> => {
      const ask = async (some: string[]): Promise<Values> =>
        decodeValues(
          await getBytes("runs/values", { filter, columns: some.join(",") }, running.signal),
          filter,
          some,
        );
      let found = await ask(known ? lacking : wanted);
      if (known) {
        if (sameRuns(known, found)) {
          found = { ...found, columns: new Map([...known.columns, ...found.columns]) };
        } else {
          found = await ask(wanted); // runs have come or gone meanwhile
        }
      }
      setValues(found);
      setError(null);
      setRound(0);
    };
    setWaiting(true);
    load().then(
      () => setWaiting(false),
      (reason: unknown) => {
        if (isAbort(reason)) return;
        setError(reason);
        setWaiting(false);
      },
    );
    return () => running.abort();
  }, [filter, key, round]);
  const retry = () => setRound((now) => now + 1);
  useFresh(AFTER_CHANGES, retry);
  return { values, error, isWaiting, retry };
}
