// Notes as Markdown, edited in place.
import { useEffect, useRef, useState } from "preact/hooks";
import { endpoint } from "../api/client";
import { Icon } from "../common/icons";
import { store } from "../state/store";
import { change } from "../state/undo";
import { Markdown } from "./markdown";
import type { RunRecord } from "./types";
import { ofFile } from "./types";

export function Notes({ run }: { run: RunRecord }) {
  const [draft, setDraft] = useState<string | null>(null);
  const canEdit = !store.value?.read_only;
  const edit = useRef<HTMLButtonElement>(null);
  const close = () => {
    setDraft(null);
    requestAnimationFrame(() => edit.current?.focus());
  };
  const save = async () => {
    const text = draft ?? "";
    if (text === (run.notes ?? "")) return close();
    if (await change("edits", [run.uid], { notes: text }, `Updated the notes of ${run.reference}`)) close();
  };
  return (
    <>
      <div class="card-head">
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
        <Editor draft={draft} onDraft={setDraft} onSave={() => void save()} onCancel={close} />
      ) : run.notes ? (
        <Markdown
          text={run.notes}
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

interface EditorProps {
  draft: string;
  onDraft: (text: string) => void;
  onSave: () => void;
  onCancel: () => void;
}

function Editor({ draft, onDraft, onSave, onCancel }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => area.current?.focus(), []);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        onSave();
      }}
    >
      <textarea
        ref={area}
        class="input notes-input"
        aria-label="Notes"
        dir="auto"
        rows={Math.min(20, Math.max(5, draft.split("\n", 21).length + 1))}
        value={draft}
        onInput={(event) => onDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSave();
        }}
      />
      <footer>
        <span class="soft spring">Markdown · Ctrl Enter saves, Esc cancels</span>
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="button primary">
          Save
        </button>
      </footer>
    </form>
  );
}
