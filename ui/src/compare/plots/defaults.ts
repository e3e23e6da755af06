// Which columns a plot shows until somebody chooses.
import { useEffect, useState } from "preact/hooks";
import { get, isAbort } from "../../api/client";
import { columnOf } from "../../state/columns";
import { conditionsOf } from "../../state/query-text";

export interface Defaults {
  /** Parameters and other labels that differ among the runs, the most telling first. */
  labels: string[];
  metrics: string[];
}

/** Return the columns that differ among the runs of a filter; null until they are known. */
export function useDefaults(filter: string): { defaults: Defaults | null; error: unknown } {
  const [defaults, setDefaults] = useState<Defaults | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const running = new AbortController();
    get<{ columns: string[] }>("columns/differing", { filter: conditionsOf(filter), limit: 24 }, running.signal).then(
      ({ columns }) => {
        const isMetric = (name: string): boolean => columnOf(name).kind === "metric";
        setDefaults({ labels: columns.filter((name) => !isMetric(name)), metrics: columns.filter(isMetric) });
        setError(null);
      },
      (reason: unknown) => isAbort(reason) || setError(reason),
    );
    return () => running.abort();
  }, [filter]);
  return { defaults, error };
}
