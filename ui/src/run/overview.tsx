// What one looks at first: how it ended, what was noted, what went in and what came out.
import { RunLine } from "./run-line";
import type { PartProps } from "./index";
import { MetricTable } from "./metrics";
import { Notes } from "./notes";
import { ParamTree } from "./params";
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
          {around.parent && (
            <>
              <h3>Parent</h3>
              <ul class="run-list">
                <RunLine run={around.parent} />
              </ul>
            </>
          )}
          {around.children.length > 0 && (
            <>
              <h3>Children</h3>
              <ul class="run-list">
                {around.children.map((child) => (
                  <RunLine key={child.uid} run={child} />
                ))}
              </ul>
            </>
          )}
          {around.child_count > around.children.length && (
            <p class="soft">and {around.child_count - around.children.length} more</p>
          )}
        </section>
      )}
      {around && (around.sources.length > 0 || around.readers.length > 0) && (
        <section class="card" aria-labelledby="flow-title">
          <h2 id="flow-title">Shared files</h2>
          {around.sources.length > 0 && <h3>Reads files saved by</h3>}
          <ul class="run-list">
            {around.sources.map((one) => (
              <RunLine key={one.uid} run={one} />
            ))}
          </ul>
          {around.readers.length > 0 && <h3>Its files are read by</h3>}
          <ul class="run-list">
            {around.readers.map((one) => (
              <RunLine key={one.uid} run={one} />
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

function Failure({ error, traceback }: { error: string; traceback: string | null }) {
  return (
    <section class="failure" aria-label="Error">
      <pre class="failure-text" dir="ltr" tabIndex={0}>
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
