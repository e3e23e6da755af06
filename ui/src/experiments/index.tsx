// All experiments: how many runs, of which status, and when the last one began.
import { useEffect, useState } from "preact/hooks";
import { get, isAbort } from "../api/client";
import { onRunsChanged } from "../api/live";
import type { ExperimentInfo, Status } from "../api/types";
import { EmptyMessage, ErrorMessage } from "../common/message";
import { StatusMark } from "../common/status";
import { Ago } from "../common/time";
import { formatCount } from "../common/values";
import { href } from "../state/address";
import { literal } from "../state/query-text";

export default function ExperimentsView() {
  const [experiments, setExperiments] = useState<ExperimentInfo[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const running = new AbortController();
    const load = () =>
      get<{ experiments: ExperimentInfo[] }>("experiments", {}, running.signal).then(
        (answer) => {
          setExperiments(answer.experiments);
          setError(null);
        },
        (reason: unknown) => isAbort(reason) || setError(reason),
      );
    void load();
    const stop = onRunsChanged(() => void load());
    return () => {
      stop();
      running.abort();
    };
  }, []);
  if (error && !experiments) return <ErrorMessage error={error} />;
  if (!experiments) return <div class="loading" role="status" aria-label="Loading" />;
  if (!experiments.length) {
    return (
      <EmptyMessage title="No experiments yet">
        <p>
          The first run begins one. <a href="/">See how to record it.</a>
        </p>
      </EmptyMessage>
    );
  }
  return (
    <div class="page">
      <h1>Experiments</h1>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Experiment</th>
            <th scope="col" class="number">Runs</th>
            <th scope="col">By status</th>
            <th scope="col">Last run</th>
          </tr>
        </thead>
        <tbody>
          {experiments.map((experiment) => (
            <tr key={experiment.name}>
              <th scope="row">
                <a href={href("/", { filter: `experiment = ${literal(experiment.name)}` })}>
                  {experiment.name}
                </a>
              </th>
              <td class="number">{formatCount(experiment.runs)}</td>
              <td class="statuses">
                {Object.entries(experiment.by_status).map(([status, count]) => (
                  <span key={status}>
                    <StatusMark status={status as Status} /> {formatCount(count)}
                  </span>
                ))}
              </td>
              <td>
                <Ago at={experiment.last_started_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
