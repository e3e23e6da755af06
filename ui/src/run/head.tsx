// The head of a run: what it is called, how it went, and its tags.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { useFocusBack } from "../common/focus";
import { Icon, IconButton } from "../common/icons";
import { openStore, program } from "../common/program";
import { isFinal, StatusMark } from "../common/status";
import { Ago, Lasted } from "../common/time";
import { plural } from "../common/values";
import { go, href, word } from "../state/address";
import { literal } from "../state/query-text";
import { store } from "../state/store";
import { change } from "../state/undo";
import { isTyping, singleKeys } from "../shell/keys";
import type { Around, RunRecord, ShortRun } from "./types";
import { visibleText } from "./visible";

const tab = word("tab");

/** The command and the lines of Python that show the same part of a run. */
function copied(run: RunRecord): { command: string; python: string } {
  const name = shellWord(run.reference);
  const begin = `${openStore()}run = store.get(${pythonText(run.reference)})\n`;
  const option = (document: string) => (run.documents.includes(document) ? ` --${document}` : "");
  const more: Record<string, [string, string]> = {
    params: [`show ${name}`, "run.params"],
    metrics: [`plot ${name}`, "run.metrics"],
    output: [`output ${name}`, "for line in run.output:\n    print(line.text)"],
    code: [`show ${name}${option("patch")}`, 'store.document(run, "patch")'],
    environment: [`show ${name}${option("packages")}`, "run.facts.values"],
    files: [`artifacts ${name}`, "run.artifacts"],
    media: [`artifacts ${name}`, "run.media"],
    history: [`show ${name} --history`, "store.events(run)"],
  };
  const [command, python] = more[tab.value] ?? [`show ${name}`, ""];
  return { command: `${program()} ${command}`, python: begin + python };
}

export function RunHead({ run, around }: { run: RunRecord; around: Around | null }) {
  useNeighbourKeys(around);
  return (
    <header class="run-head">
      <div class="run-title bar">
        <nav class="crumbs fine soft" aria-label="Breadcrumbs">
          <a href="/">Runs</a>
          <span aria-hidden="true">/</span>
          <a class="cut" href={href("/", { filter: `experiment = ${literal(run.experiment_name)}` })} dir="auto">
            {run.experiment_name}
          </a>
        </nav>
        <h1 dir="auto">{run.reference}</h1>
        <StatusMark status={run.status} text={run.error} />
        {run.damaged.length > 0 && (
          <span class="badge" title={`Damaged: ${run.damaged.join(", ")}. Run runstore doctor for details.`}>
            damaged
          </span>
        )}
        <span class="spring" />
        <Neighbour run={around?.previous ?? null} name="Previous run" icon="previous" keys="[" />
        <Neighbour run={around?.next ?? null} name="Next run" icon="right" keys="]" />
        <CopyAs texts={() => copied(run)} />
      </div>
      <div class="run-facts bar soft">
        <span>
          Started {run.started_at ? <Ago at={run.started_at} /> : "at an unreadable time"}
        </span>
        {(run.duration_s !== null || !isFinal(run.status)) && (
          <span>
            {isFinal(run.status) ? "took " : "for "}
            <Lasted
              duration={run.duration_s}
              started={run.started_at}
              isOver={isFinal(run.status)}
            />
          </span>
        )}
        {run.hostname && <span>on {run.hostname}</span>}
        {run.exit_code !== null && run.exit_code !== 0 && <span>exit status {run.exit_code}</span>}
        {around?.parent && (
          <span>
            in <a href={`/runs/${around.parent.uid}`}>{around.parent.reference}</a>
          </span>
        )}
        {around && around.child_count > 0 && (
          <span>with {plural(around.child_count, "run")} inside</span>
        )}
        <Tags run={run} />
      </div>
    </header>
  );
}

interface NeighbourProps {
  run: ShortRun | null;
  name: string;
  icon: "previous" | "right";
  keys: string;
}

function addressOf(run: ShortRun): string {
  return href(`/runs/${run.uid}`, tab.value ? { tab: tab.value } : {});
}

function Neighbour({ run, name, icon, keys }: NeighbourProps) {
  if (!run) {
    return (
      <IconButton icon={icon} label={`${name}: there is none`} disabled />
    );
  }
  return (
    <a
      class="icon-button"
      href={addressOf(run)}
      aria-label={`${name}: ${run.reference}`}
      title={`${name} of the experiment (${keys}): ${run.reference}`}
    >
      <Icon name={icon} />
    </a>
  );
}

/** `[` and `]` lead to the previous and the next run of the experiment. */
function useNeighbourKeys(around: Around | null): void {
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isTyping(event) || !singleKeys.value) return;
      if (event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
      const to = event.key === "[" ? around?.previous : event.key === "]" ? around?.next : null;
      if (!to) return;
      event.preventDefault();
      go(`/runs/${to.uid}`, tab.value ? { tab: tab.value } : {});
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [around]);
}

function Tags({ run }: { run: RunRecord }) {
  const [isAdding, setAdding] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const add = useRef<HTMLButtonElement>(null);
  const canEdit = !store.value?.read_only;
  useLayoutEffect(() => {
    if (isAdding) input.current?.focus();
  }, [isAdding]);
  useFocusBack(isAdding, add);
  const save = async (text: string) => {
    const [key, value] = split(text);
    if (key && (await change("edits", [run.uid], { add_tags: { [key]: value } }, `Tagged ${run.reference}: ${key}`))) {
      setAdding(false);
    }
  };
  return (
    <span class="run-tags bar" role="group" aria-label="Tags">
      {Object.entries(run.tags).map(([key, value]) => (
        <span key={key} class="run-tag" dir="auto">
          <a class="cut" href={href("/", { filter: tagFilter(key, value) })} title="Show runs with this tag">
            {visibleText(key)}
            {value && <span class="run-tag-value">{visibleText(value)}</span>}
          </a>
          {canEdit && (
            <button
              type="button"
              aria-label={`Remove the tag ${visibleText(key)}`}
              onClick={() =>
                void change("edits", [run.uid], { remove_tags: [key] }, `Removed the tag ${key}`)
              }
            >
              <Icon name="cross" size={12} />
            </button>
          )}
        </span>
      ))}
      {canEdit &&
        (isAdding ? (
          <form
            class="tag-form"
            onSubmit={(event) => {
              event.preventDefault();
              void save(input.current?.value ?? "");
            }}
          >
            <input
              ref={input}
              class="input"
              aria-label="New tag"
              placeholder="phase=pilot"
              onKeyDown={(event) => {
                if (event.key === "Escape") setAdding(false);
              }}
            />
          </form>
        ) : (
          <button
            ref={add}
            type="button"
            class="run-tag add"
            aria-label="Add a tag"
            title="Add a tag"
            onClick={() => setAdding(true)}
          >
            <Icon name="plus" size={12} /> Tag
          </button>
        ))}
    </span>
  );
}

function split(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text.trim(), ""] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function tagFilter(key: string, value: string): string {
  const field = /^[A-Za-z_]\w*$/.test(key) ? `tags.${key}` : `tags."${key.replace(/"/g, '""')}"`;
  return `${field} = ${literal(value)}`;
}

