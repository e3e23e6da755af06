// Changes of runs, each of which can be undone.
import { signal } from "@preact/signals";
import { ApiError, post } from "../api/client";
import type { EditAnswer } from "../api/types";
import { dismiss, showError, toast } from "./toasts";

interface Change {
  text: string;
  tokens: string[];
  runs: string[];
  toast: number;
}

/** As many runs as one request may change. */
const AT_ONCE = 400_000;

const changes = signal<Change[]>([]);

type Touched = (uids: string[]) => void;
const touchListeners = new Set<Touched>();

/** Call `listener` with the runs that this page has changed. */
export function onTouched(listener: Touched): () => void {
  touchListeners.add(listener);
  return () => touchListeners.delete(listener);
}

function touched(uids: string[]): void {
  for (const listener of touchListeners) listener(uids);
}

/** Change runs through `path`, show `text` with an undo, and return whether it was done. */
export async function change(
  path: "edits" | "trash" | "restore",
  uids: string[],
  body: Record<string, unknown>,
  text: string,
): Promise<boolean> {
  const tokens: string[] = [];
  let failed: unknown = null;
  for (let start = 0; start < uids.length; start += AT_ONCE) {
    try {
      const runs = uids.slice(start, start + AT_ONCE);
      const answer = await post<EditAnswer>(path, { runs, ...body });
      if (answer.undo) tokens.push(answer.undo);
    } catch (error) {
      failed = error;
      break;
    }
  }
  if (failed && path === "trash" && failed instanceof ApiError && failed.code === "run-active") {
    const rest = uids.slice(tokens.length * AT_ONCE);
    toast(failed.message, {
      kind: "error",
      hint: failed.facts.hint,
      action: { label: "Trash anyway", run: () => void change(path, rest, { force: true }, text) },
    });
  } else if (failed) showError(failed);
  if (tokens.length) {
    const done: Change = { text, tokens, runs: uids, toast: 0 };
    done.toast = toast(text, { action: { label: "Undo", run: () => void undo(done) } });
    changes.value = [...changes.value, done];
  } else if (!failed) {
    toast("Nothing to change.");
  }
  touched(uids);
  return !failed;
}

async function undo(change: Change): Promise<void> {
  changes.value = changes.value.filter((other) => other !== change);
  dismiss(change.toast);
  try {
    for (const token of [...change.tokens].reverse()) await post("undo", { undo: token });
    toast(`Undone: ${change.text}`);
  } catch (error) {
    // What the server did not refuse can be undone later.
    if (error instanceof ApiError && [0, 503].includes(error.status)) changes.value = [...changes.value, change];
    showError(error);
  }
  touched(change.runs);
}

export function undoLast(): void {
  const last = changes.value.at(-1);
  if (last) void undo(last);
}
