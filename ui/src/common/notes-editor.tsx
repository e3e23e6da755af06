// A form to write notes in, for one run or several.
import { useLayoutEffect, useRef } from "preact/hooks";

interface NotesEditorProps {
  label: string;
  draft: string;
  onDraft: (text: string) => void;
  onSave: () => void;
  onCancel: () => void;
}

const LEAST_ROWS = 5;
const MOST_ROWS = 20;

export function NotesEditor({ label, draft, onDraft, onSave, onCancel }: NotesEditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => area.current?.focus(), []);
  const rows = draft.split("\n", MOST_ROWS).length + 1;
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
        class="input mono"
        aria-label={label}
        dir="auto"
        autofocus
        rows={Math.min(MOST_ROWS, Math.max(LEAST_ROWS, rows))}
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
