// What can be done with the selected runs.
import { useState } from "preact/hooks";
import { closeDialog, openDialog } from "../common/dialog";
import { Icon, IconButton } from "../common/icons";
import { NotesEditor } from "../common/notes-editor";
import { plural } from "../common/values";
import { go } from "../state/address";
import { joinNames } from "../api/client";
import { inTrash, order } from "../state/order";
import { pinnedUids, toggleBaseline, togglePin } from "../state/pinned";
import { rowByUid, rowsByUid } from "../state/rows";
import { clearSelection, selectAll, selected, selectedCount, selecting, selectOnly } from "../state/selection";
import { store } from "../state/store";
import { showError, toast } from "../state/toasts";
import { change } from "../state/undo";

/** As many runs as can be compared at once. */
const MOST_COMPARED = 50;

function nameOf(uids: string[]): string {
  const row = uids.length === 1 ? rowByUid(uids[0]!) : undefined;
  return row ? row.name : plural(uids.length, "run");
}

function TagDialog({ uids }: { uids: string[] }) {
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const present = new Set(uids.flatMap((uid) => Object.keys(rowByUid(uid)?.tags ?? {})));
  const add = () => {
    closeDialog();
    const text = `Tagged ${nameOf(uids)} with ${value ? `${key}=${value}` : key}`;
    void change("edits", uids, { add_tags: { [key.trim()]: value.trim() } }, text);
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (key.trim()) add();
      }}
    >
      <p>
        Add a tag to {nameOf(uids)}: a key, and optionally a value.
      </p>
      <div class="form-line">
        <label>
          Key
          <input class="input" required autofocus value={key} onInput={(event) => setKey(event.currentTarget.value)} />
        </label>
        <label>
          Value (optional)
          <input class="input" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
        </label>
      </div>
      {present.size > 0 && (
        <fieldset>
          <legend>Remove a tag</legend>
          <div class="choices">
            {[...present].sort().map((tag) => (
              <button
                key={tag}
                type="button"
                class="choice"
                onClick={() => {
                  closeDialog();
                  void change("edits", uids, { remove_tags: [tag] }, `Removed the tag ${tag} from ${nameOf(uids)}`);
                }}
              >
                {tag} <Icon name="cross" size={12} />
              </button>
            ))}
          </div>
        </fieldset>
      )}
      <footer>
        <button type="button" class="button" onClick={closeDialog}>
          Cancel
        </button>
        <button type="submit" class="button primary">
          Tag {plural(uids.length, "run")}
        </button>
      </footer>
    </form>
  );
}

function NoteDialog({ uids, before }: { uids: string[]; before: string }) {
  const [text, setText] = useState(before);
  const save = () => {
    closeDialog();
    void change("edits", uids, { notes: text }, `Updated the notes of ${nameOf(uids)}`);
  };
  const label =
    uids.length === 1 ? `Notes of ${nameOf(uids)}` : `Notes for ${nameOf(uids)} (replaces their current notes)`;
  return (
    <>
      <p>{label}</p>
      <NotesEditor label={label} draft={text} onDraft={setText} onSave={save} onCancel={closeDialog} />
    </>
  );
}

function mayWrite(): boolean {
  if (!store.value?.read_only) return true;
  toast("This page is read-only.", { kind: "error", hint: "Start it without --read-only to edit runs." });
  return false;
}

export function tagRuns(uids: string[]): void {
  if (uids.length && mayWrite()) openDialog("Tag", () => <TagDialog uids={uids} />);
}

export async function noteRuns(uids: string[]): Promise<void> {
  if (!uids.length || !mayWrite()) return;
  try {
    const [first] = await rowsByUid(uids.slice(0, 1));
    const before = uids.length === 1 ? (first?.notes ?? "") : "";
    openDialog("Notes", () => <NoteDialog uids={uids} before={before} />);
  } catch (error) {
    showError(error);
  }
}

export async function trashRuns(uids: string[]): Promise<void> {
  if (!uids.length || !mayWrite()) return;
  // First, so that the charts do not ask for runs that are about to go.
  const before = selected.value;
  const text = `Moved ${nameOf(uids)} to the trash`;
  clearSelection();
  if (!(await change("trash", uids, {}, text))) selectOnly(before);
}

export async function restoreRuns(uids: string[]): Promise<void> {
  if (!uids.length || !mayWrite()) return;
  if (await change("restore", uids, {}, `Restored ${nameOf(uids)}`)) clearSelection();
}

export function compareRuns(uids: string[]): void {
  if (uids.length < 2) {
    toast("Select two or more runs to compare.");
    return;
  }
  if (uids.length > MOST_COMPARED) toast(`Comparing the first ${MOST_COMPARED} of ${plural(uids.length, "run")}.`);
  go("/compare", { runs: joinNames(uids.slice(0, MOST_COMPARED)) });
}

export function ActionBar() {
  const uids = [...selected.value];
  const matching = order.value?.ids.length ?? 0;
  if (!uids.length) {
    return (
      <div class="action-bar bar">
        {matching > 0 && (
          <span class="fine soft">
            Click a run to select it, <kbd>Shift</kbd> click for a range, <kbd>Enter</kbd> opens it, <kbd>?</kbd> lists all keys
          </span>
        )}
      </div>
    );
  }
  const first = uids[0]!;
  const isReadOnly = store.value?.read_only ?? false;
  return (
    <div class="action-bar bar" role="toolbar" aria-label="Selected runs">
      <span class="action-count">
        <strong>{plural(uids.length, "run")}</strong> selected
      </span>
      {selectedCount.value < matching && (
        <button type="button" class="button quiet" disabled={selecting.value} onClick={selectAll}>
          {selecting.value ? "Selecting…" : `Select all ${plural(matching, "run")}`}
        </button>
      )}
      <span class="separator" />
      <Action icon="compare" text="Compare" disabled={uids.length < 2} onClick={() => compareRuns(uids)} />
      {uids.length === 1 && (
        <>
          <Action icon="flag" text="Baseline" onClick={() => toggleBaseline(first)} />
          <Action
            icon="pin"
            text={pinnedUids.value.includes(first) ? "Unpin" : "Pin"}
            onClick={() => togglePin(first)}
          />
        </>
      )}
      {!isReadOnly && (
        <>
          <Action icon="tag" text="Tag" onClick={() => tagRuns(uids)} />
          <Action icon="note" text="Note" onClick={() => void noteRuns(uids)} />
          {inTrash.value ? (
            <Action icon="restore" text="Restore" onClick={() => void restoreRuns(uids)} />
          ) : (
            <Action icon="trash" text="Trash" onClick={() => void trashRuns(uids)} />
          )}
        </>
      )}
      <span class="spring" />
      <IconButton icon="cross" label="Select none" title="Select none" onClick={clearSelection} />
    </div>
  );
}

interface ActionProps {
  icon: "compare" | "flag" | "pin" | "tag" | "note" | "trash" | "restore";
  text: string;
  disabled?: boolean;
  onClick: () => void;
}

function Action({ icon, text, disabled, onClick }: ActionProps) {
  return (
    <button type="button" class="button quiet" disabled={disabled || selecting.value} title={text} onClick={onClick}>
      <Icon name={icon} />
      <span class="label">{text}</span>
    </button>
  );
}
