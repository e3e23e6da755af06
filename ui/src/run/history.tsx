// Edits of a run: who changed what, and when.
import { useAnswer } from "../api/answer";
import { Ago } from "../common/time";
import { ErrorMessage } from "../common/message";
import type { PartProps } from "./index";
import { ofRun } from "./types";
import type { RunEvent } from "./types";
import { visibleText } from "./visible";

const LONGEST = 300;

export function History({ run, version }: PartProps) {
  const { answer, error } = useAnswer<{ events: RunEvent[] }>(ofRun(run.uid, "events"), {}, { version });
  if (error && !answer) return <ErrorMessage error={error} />;
  if (!answer) return <div class="loading" role="status" aria-label="Loading" />;
  if (!answer.events.length) {
    return <p class="soft">No edits yet. Changes to tags, notes and names are listed here.</p>;
  }
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Table of edits">
      <table class="table history">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {[...answer.events].reverse().map((event, place) => (
            <tr key={place}>
              <td>
                <Ago at={event.at} />
              </td>
              <td dir="auto">{event.author}</td>
              <td>
                <bdi>{visibleText(whatOf(event))}</bdi>
                {event.undoes && <span class="badge">undo</span>}
              </td>
              <td>
                <Side event={event} text={event.old} />
              </td>
              <td>
                <Side event={event} text={event.new} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function whatOf(event: RunEvent): string {
  if (event.field.startsWith("tags.")) return `Tag ${event.field.slice("tags.".length)}`;
  const names: Record<string, string> = {
    notes: "Notes",
    deleted: "Trash",
    experiment_name: "Experiment",
    reference: "Reference",
  };
  return names[event.field] ?? event.field;
}

function Side({ event, text }: { event: RunEvent; text: string | null }) {
  if (event.field === "deleted") return <>{text === null ? "kept" : "in the trash"}</>;
  if (text === null) return <span class="soft">none</span>;
  if (text === "") return <span class="soft">set</span>;
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return (
    <div class="side" dir="auto">
      {visibleText(shown)}
    </div>
  );
}
