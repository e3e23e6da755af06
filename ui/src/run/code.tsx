// The code that ran: its commit, what was changed since, and the command to run it again.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { endpoint } from "../api/client";
import { CopyCode } from "../common/code";
import { copyText, shellWord } from "../common/copy";
import { highlight, languageOf } from "../common/highlight";
import { Icon, IconButton } from "../common/icons";
import { formatCell } from "../common/values";
import { type DiffFile, readDiff } from "./diff";
import { FactTable } from "./facts";
import type { PartProps } from "./index";
import { useText } from "./loading";
import { type RunRecord, ofRun } from "./types";
import { visibleText } from "./visible";

/** Lines of a patch that are drawn at once. */
const DRAWN = 2000;
/** Captured texts with views of their own. */
const ELSEWHERE = ["patch", "packages"];
const NAMES: Record<string, string> = {
  untracked: "Untracked files",
  modules: "Modules",
  cells: "Notebook cells",
};
/** Facts of the code by their names. */
const TITLES: Record<string, string> = {
  "git.commit": "Commit",
  "git.branch": "Branch",
  "git.remote": "Remote",
  "git.dirty": "Work tree",
};

export function Code({ run }: PartProps) {
  const fact = (name: string) => {
    const value = run.facts[name];
    return value === undefined || value === null ? null : formatCell(value);
  };
  const command = fact("command.line") ?? run.cli;
  const again = commandAgain(run, command);
  const documents = run.documents.filter((name) => !ELSEWHERE.includes(name));
  const unknown = Object.entries(run.unknown_facts).filter(([name]) => /^(git|command)\./.test(name));
  const commit = run.commit && (
    <>
      <code>{run.commit}</code>
      <IconButton icon="copy" label="Copy the commit" onClick={() => void copyText(run.commit ?? "")} size={14} />
    </>
  );
  const facts: [string, ComponentChildren][] = [];
  if (commit || !("git.commit" in run.unknown_facts)) facts.push(["Commit", commit || <span class="soft">unknown</span>]);
  for (const name of ["git.branch", "git.remote"]) {
    if (fact(name)) facts.push([TITLES[name]!, <bdi>{fact(name)}</bdi>]);
  }
  if (run.workdir_dirty !== null) {
    facts.push(["Work tree", run.workdir_dirty ? "with uncommitted changes" : "no uncommitted changes"]);
  }
  for (const [name, why] of unknown) facts.push([TITLES[name] ?? name, <span class="soft">unknown: {why}</span>]);
  return (
    <div class="code-part">
      <section class="card">
        <h2>Command</h2>
        {command ? (
          <CopyCode text={command} />
        ) : (
          <p class="soft">No command was recorded.</p>
        )}
        {fact("command.cwd") && (
          <p class="soft">
            in <code>{fact("command.cwd")}</code>
            {fact("command.user") && <> by {fact("command.user")}</>}
          </p>
        )}
        {again && (
          <>
            <p class="soft">To run it again on the same code:</p>
            <CopyCode text={again} />
          </>
        )}
      </section>
      <section class="card">
        <h2>Code</h2>
        <FactTable label="Code" facts={facts} />
      </section>
      {run.documents.includes("patch") && <Patch uid={run.uid} />}
      {documents.map((name) => (
        <TextDocument key={name} uid={run.uid} name={name} />
      ))}
    </div>
  );
}

/** The commands that check out the code of a run, put its changes on top, and run it again. */
function commandAgain(run: RunRecord, command: string | null): string | null {
  if (run.reproduce) return run.reproduce;
  if (!run.commit || !command) return null;
  const lines = [`git checkout ${run.commit}`];
  if (run.workdir_dirty && run.documents.includes("patch")) {
    lines.push(`runstore show ${shellWord(run.reference)} --patch | git apply`);
  }
  return [...lines, command].join("\n");
}

function Patch({ uid }: { uid: string }) {
  const address = endpoint(ofRun(uid, "documents", "patch"));
  const { value, error } = useText(address);
  const files = value === null ? [] : readDiff(value);
  return (
    <section class="card" aria-labelledby="patch-title">
      <div class="card-head bar">
        <h2 id="patch-title">Uncommitted changes</h2>
        <span>
          {value && (
            <button type="button" class="button small quiet" onClick={() => void copyText(value)}>
              <Icon name="copy" /> Copy
            </button>
          )}
          <a class="button small quiet" href={`${address}?save=1`} download>
            <Icon name="download" /> Download
          </a>
        </span>
      </div>
      {error ? <p class="soft">The patch could not be read.</p> : null}
      {value === null && !error && <div class="loading" role="status" aria-label="Loading" />}
      {files.map((file, place) => (
        <PatchFile key={place} file={file} />
      ))}
    </section>
  );
}

const SIGNS = { add: "+", remove: "−", same: " ", hunk: " ", note: " " } as const;
const WORDS = { add: "added", remove: "removed", same: "", hunk: "", note: "" } as const;

function PatchFile({ file }: { file: DiffFile }) {
  const [isWhole, setWhole] = useState(false);
  const lines = isWhole ? file.lines : file.lines.slice(0, DRAWN);
  return (
    <details class="diff" open>
      <summary class="mono">
        <bdi>{file.name || "Text"}</bdi>{" "}
        <span class="good">+{file.added}</span> <span class="bad">−{file.removed}</span>
      </summary>
      <div class="wide" tabIndex={0} role="region" aria-label={`Changes of ${file.name || "a text"}`}>
        <table class="mono" aria-label={`Changes of ${file.name || "a text"}`}>
          <tbody>
            {lines.map((line, place) => (
              <tr key={place} class={`diff-${line.kind}`}>
                <td class="diff-number">{line.before ?? ""}</td>
                <td class="diff-number">{line.after ?? ""}</td>
                <td class="diff-sign">
                  <span aria-hidden="true">{SIGNS[line.kind]}</span>
                  <span class="visually-hidden">{WORDS[line.kind]}</span>
                </td>
                <td class="diff-text">
                  {highlight(visibleText(line.text), line.kind === "hunk" || line.kind === "note" ? null : languageOf(file.name))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {lines.length < file.lines.length && (
        <button type="button" class="button small" onClick={() => setWhole(true)}>
          Show all {file.lines.length} lines
        </button>
      )}
    </details>
  );
}

function TextDocument({ uid, name }: { uid: string; name: string }) {
  const [isOpen, setOpen] = useState(false);
  const address = endpoint(ofRun(uid, "documents", name));
  const { value, error } = useText(isOpen ? address : null);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{NAMES[name] ?? name}</summary>
      {error ? <p class="soft">The text could not be read.</p> : null}
      {value !== null && (
        <pre class="plain-text" tabIndex={0}>
          {visibleText(value.slice(0, 200_000))}
        </pre>
      )}
      <a class="button small" href={`${address}?save=1`} download>
        <Icon name="download" /> Download
      </a>
    </details>
  );
}
