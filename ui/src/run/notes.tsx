// Notes as Markdown, edited in place.
import { useRef, useState } from "preact/hooks";
import { endpoint } from "../api/client";
import { useFocusBack } from "../common/focus";
import { Icon } from "../common/icons";
import { NotesEditor } from "../common/notes-editor";
import { store } from "../state/store";
import { change } from "../state/undo";
import { Markdown } from "./markdown";
import type { RunRecord } from "./types";
import { ofFile } from "./types";

export function Notes({ run }: { run: RunRecord }) {
  const [draft, setDraft] = useState<string | null>(null);
  const canEdit = !store.value?.read_only;
  const edit = useRef<HTMLButtonElement>(null);
  const close = () => setDraft(null);
  useFocusBack(draft !== null, edit);
  const save = async () => {
    const text = draft ?? "";
    if (text === (run.notes ?? "")) return close();
    if (await change("edits", [run.uid], { notes: text }, `Updated the notes of ${run.reference}`)) close();
  };
  return (
    <>
      <div class="card-head bar">
        <h2 id="notes-title">Notes</h2>
        {canEdit && draft === null && (
          <button
            ref={edit}
            type="button"
            class="button small quiet"
            onClick={() => setDraft(run.notes ?? "")}
          >
            <Icon name="note" /> {run.notes ? "Edit" : "Write"}
          </button>
        )}
      </div>
      {draft !== null ? (
        <NotesEditor label="Notes" draft={draft} onDraft={setDraft} onSave={() => void save()} onCancel={close} />
      ) : run.notes ? (
        <Markdown
          text={run.notes}
          keepsLines
          pictureOf={(path) =>
            run.artifacts.some((one) => one.path === path)
              ? endpoint(ofFile(run.uid, "artifacts", path))
              : null
          }
        />
      ) : (
        <p class="soft">No notes yet. Notes are written in Markdown.</p>
      )}
    </>
  );
}
