// A short list of runs that an address names.
import { useEffect, useState } from "preact/hooks";
import { isAbort } from "../api/client";
import { type Row, rowsByUid } from "../state/rows";
import { colourVariable } from "./colour";
import { ErrorMessage } from "./message";
import { StatusMark } from "./status";

/** Return the rows of some runs; null until they are there. */
export function useRows(uids: string[]): { rows: Row[] | null; error: unknown } {
  const [rows, setRows] = useState<Row[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const running = new AbortController();
    rowsByUid(uids, [], running.signal).then(setRows, (reason: unknown) => {
      if (!isAbort(reason)) setError(reason);
    });
    return () => running.abort();
  }, [uids]);
  return { rows, error };
}

export function RunList({ uids }: { uids: string[] }) {
  const { rows, error } = useRows(uids);
  if (error) return <ErrorMessage error={error} />;
  return (
    <ul class="run-list">
      {rows?.map((row) => (
        <li key={row.uid}>
          <span class="swatch" style={{ background: colourVariable(row.uid) }} />
          <a href={`/runs/${row.uid}`}>{row.reference}</a>
          <StatusMark status={row.status} text={row.status_text} />
        </li>
      ))}
    </ul>
  );
}
