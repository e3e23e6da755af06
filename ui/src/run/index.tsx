// One run.
import { useEffect, useState } from "preact/hooks";
import { get, isAbort } from "../api/client";
import type { Cell, Status } from "../api/types";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { ErrorMessage } from "../common/message";
import { StatusMark } from "../common/status";
import { Ago, Lasted } from "../common/time";
import { formatCell } from "../common/values";
import { path } from "../state/address";
import { store } from "../state/store";

interface RunDetails {
  uid: string;
  reference: string;
  status: Status;
  started_at: string | null;
  ended_at: string | null;
  duration_s: number | null;
  notes: string | null;
  error: string | null;
  parameter_sets: { name: string; values: Record<string, Cell> }[];
}

export default function RunView() {
  const name = decodeURIComponent(path.value.slice("/runs/".length));
  const [run, setRun] = useState<RunDetails | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const running = new AbortController();
    get<RunDetails>(`runs/${encodeURIComponent(name)}`, {}, running.signal).then(
      setRun,
      (reason: unknown) => isAbort(reason) || setError(reason),
    );
    return () => running.abort();
  }, [name]);
  if (error) return <ErrorMessage error={error} />;
  if (!run) return <div class="loading" role="status" aria-label="Loading" />;
  const copied = () => ({
    command: `runstore show ${shellWord(run.reference)}`,
    python: `import runstore\n\nstore = runstore.Store.open(${pythonText(store.value?.path ?? ".")})\nrun = store.get(${pythonText(run.reference)})`,
  });
  return (
    <div class="page">
      <div class="page-head">
        <a href="/">Runs</a>
        <h1>{run.reference}</h1>
        <StatusMark status={run.status} text={run.error} />
        <CopyAs texts={copied} />
      </div>
      <p>
        Started <Ago at={run.started_at} />, took{" "}
        <Lasted duration={run.duration_s} started={run.started_at} isOver={run.ended_at !== null} />
      </p>
      {run.error && <pre class="error-text">{run.error}</pre>}
      {run.notes && <p>{run.notes}</p>}
      {run.parameter_sets.map((set) => (
        <section key={set.name}>
          <h2>Parameters of {set.name}</h2>
          <table class="table">
            <tbody>
              {Object.entries(set.values).map(([key, value]) => (
                <tr key={key}>
                  <th scope="row">{key}</th>
                  <td>{formatCell(value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
    </div>
  );
}
