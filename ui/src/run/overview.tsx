// What one looks at first: how it ended, what was noted, what went in and what came out.
import { RunLine } from "./run-line";
import type { PartProps } from "./index";
import { MetricTable } from "./metrics";
import { Notes } from "./notes";
import { ParamTree } from "./params";
import type { ShortRun } from "./types";
import { visibleText } from "./visible";

export function Overview({ run, around, id, version }: PartProps) {
  return (
    <div class="overview">
      {run.error && <Failure error={run.error} traceback={run.traceback} />}
      <section class="card notes-card" aria-labelledby="notes-title">
        <Notes run={run} />
      </section>
      <section class="card" aria-labelledby="params-title">
        <h2 id="params-title">Parameters</h2>
        <ParamTree run={run} version={version} isShort />
      </section>
      <section class="card" aria-labelledby="metrics-title">
        <h2 id="metrics-title">Metrics</h2>
        <MetricTable run={run} id={id} version={version} isShort />
      </section>
      {around && (around.children.length > 0 || around.parent !== null) && (
        <section class="card" aria-labelledby="family-title">
          <h2 id="family-title">Parent and child runs</h2>
          <RunList title="Parent" runs={around.parent ? [around.parent] : []} />
          <RunList title="Children" runs={around.children} />
          {around.child_count > around.children.length && (
            <p class="soft">and {around.child_count - around.children.length} more</p>
          )}
        </section>
      )}
      {around && (around.sources.length > 0 || around.readers.length > 0) && (
        <section class="card" aria-labelledby="flow-title">
          <h2 id="flow-title">Shared files</h2>
          <RunList title="Reads files saved by" runs={around.sources} />
          <RunList title="Its files are read by" runs={around.readers} />
        </section>
      )}
    </div>
  );
}

function RunList({ title, runs }: { title: string; runs: ShortRun[] }) {
  if (!runs.length) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="run-list">
        {runs.map((one) => (
          <RunLine key={one.uid} run={one} />
        ))}
      </ul>
    </>
  );
}

function Failure({ error, traceback }: { error: string; traceback: string | null }) {
  return (
    <section class="failure" aria-label="Error">
      <pre class="failure-text bad" dir="ltr" tabIndex={0}>
        {visibleText(error)}
      </pre>
      {traceback && (
        <details>
          <summary>Traceback</summary>
          <pre tabIndex={0} dir="ltr">
            {visibleText(traceback)}
          </pre>
        </details>
      )}
    </section>
  );
}
