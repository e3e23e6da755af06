// Which columns a plot shows until somebody chooses.
import { useAnswer } from "../../api/answer";
import { columnOf } from "../../state/columns";
import { conditionsOf } from "../../state/query-text";

export interface Defaults {
  /** Parameters and other labels that differ among the runs, the most telling first. */
  labels: string[];
  metrics: string[];
}

/** Return the columns that differ among the runs of a filter; null until they are known. */
export function useDefaults(filter: string): { defaults: Defaults | null; error: unknown } {
  const query = { filter: conditionsOf(filter), limit: 24 };
  const { answer, error } = useAnswer<{ columns: string[] }>("columns/differing", query);
  const isMetric = (name: string): boolean => columnOf(name).kind === "metric";
  const defaults = answer && {
    labels: answer.columns.filter((name) => !isMetric(name)),
    metrics: answer.columns.filter(isMetric),
  };
  return { defaults, error };
}
