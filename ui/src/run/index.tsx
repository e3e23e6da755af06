// One run: what it was given, what came out, and what is known of it.
import { useEffect } from "preact/hooks";
import { useAnswer } from "../api/answer";
import { ApiError } from "../api/client";
import { ErrorMessage } from "../common/message";
import { href, path, word } from "../state/address";
import { Artifacts } from "./artifacts";
import { Code } from "./code";
import { Environment } from "./environment";
import { RunHead } from "./head";
import { History } from "./history";
import { useVersion } from "./loading";
import { Media } from "./media";
import { Metrics } from "./metrics";
import { Output } from "./output";
import { Overview } from "./overview";
import { Params } from "./params";
import type { Around, RunRecord } from "./types";
import { ofRun } from "./types";
import "./run.css";

export interface PartProps {
  run: RunRecord;
  around: Around | null;
  /** The row of the run, by which sparklines are asked for. */
  id: number | null;
  /** Grows when the run changes. */
  version: number;
}

const PARTS = [
  { key: "", name: "Overview", view: Overview },
  { key: "params", name: "Parameters", view: Params },
  { key: "metrics", name: "Metrics", view: Metrics },
  { key: "output", name: "Output", view: Output },
  { key: "code", name: "Code", view: Code },
  { key: "environment", name: "Environment", view: Environment },
  { key: "files", name: "Files", view: Artifacts },
  { key: "media", name: "Media", view: Media },
  { key: "history", name: "History", view: History },
] as const;

const tab = word("tab");

function hasPart(run: RunRecord, key: string): boolean {
  return key !== "media" || run.media.length > 0 || tab.value === "media";
}

function countOf(run: RunRecord, key: string): number | null {
  if (key === "metrics") return run.metrics.length;
  if (key === "files") return run.artifacts.length;
  return key === "media" ? run.media.length : null;
}

export default function RunView() {
  const name = decodeURIComponent(path.value.slice("/runs/".length));
  const first = useAnswer<RunRecord>(ofRun(name));
  const uid = first.answer?.uid ?? null;
  const { version, id } = useVersion(uid);
  const now = useAnswer<RunRecord>(uid === null ? null : ofRun(uid), {}, { version });
  const around = useAnswer<Around>(uid === null ? null : ofRun(uid, "around"), {}, { version }).answer;
  const run = now.answer ?? first.answer;
  useEffect(() => {
    const before = document.title;
    if (run) document.title = `${run.reference} · runstore`;
    return () => {
      document.title = before;
    };
  }, [run?.reference]);
  const error = first.error ?? now.error;
  const isGone = error instanceof ApiError && error.status === 404;
  if (error && (isGone || !run)) return <ErrorMessage error={error} />;
  if (!run) return <div class="loading" role="status" aria-label="Loading" />;
  const part = PARTS.find(({ key }) => key === tab.value) ?? PARTS[0];
  const Part = part.view;
  return (
    <div class={`run view run-${part.key || "overview"}`}>
      <RunHead run={run} around={around} />
      <nav class="run-tabs tabs" aria-label="Parts of the run">
        {PARTS.filter(({ key }) => hasPart(run, key)).map(({ key, name: title }) => {
          const count = countOf(run, key);
          return (
            <a
              key={key}
              href={href(path.value, key ? { tab: key } : {})}
              aria-current={key === part.key ? "page" : undefined}
            >
              {title}
              {count ? <span class="tab-count">{count}</span> : null}
            </a>
          );
        })}
      </nav>
      <div class="run-body" key={part.key} tabIndex={-1}>
        <Part run={run} around={around} id={id} version={version} />
      </div>
    </div>
  );
}
