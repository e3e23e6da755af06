// A run in a short list of runs.
import { colourVariable } from "../common/colour";
import { StatusMark } from "../common/status";
import { Ago } from "../common/time";
import type { ShortRun } from "./types";

export function RunLine({ run }: { run: ShortRun }) {
  return (
    <li>
      <span class="swatch" style={{ background: colourVariable(run.uid) }} />
      {run.is_deleted ? (
        <span dir="auto">{run.reference} (in the trash)</span>
      ) : (
        <a href={`/runs/${run.uid}`} dir="auto">
          {run.reference}
        </a>
      )}
      <StatusMark status={run.status} />
      <span class="soft">
        <Ago at={run.started_at} />
      </span>
    </li>
  );
}
