// Where a run was executed: machine, Python, packages, and what is not known of it.
import { FindInput, findText, matcher } from "../common/find";
import { formatBytes, formatCell, plural } from "../common/values";
import type { Cell } from "../api/types";
import { endpoint } from "../api/client";
import { FactTable } from "./facts";
import type { PartProps } from "./index";
import { useText } from "./loading";
import { ofRun } from "./types";

const DRAWN = 1000;
const TITLES: Record<string, string> = {
  host: "Machine",
  gpu: "GPUs",
  python: "Python",
  slurm: "Slurm",
  env: "Environment variables",
  container: "Container",
};
/** What other parts show. */
const ELSEWHERE = ["command", "git", "untracked"];

function groupOf(name: string): string {
  return name.slice(0, name.indexOf(".")) || name;
}

export function Environment({ run }: PartProps) {
  const fits = matcher(findText.value);
  const groups = new Map<string, [string, Cell][]>();
  for (const [name, value] of Object.entries(run.facts)) {
    const group = groupOf(name);
    if (ELSEWHERE.includes(group) || !fits(`${name} ${factText(name, value)}`)) continue;
    groups.set(group, [...(groups.get(group) ?? []), [name, value]]);
  }
  const unknown = Object.entries(run.unknown_facts).filter(([name, why]) => fits(`${name} ${why}`));
  return (
    <>
      <div class="part-tools bar">
        <FindInput placeholder="Filter facts and packages" />
      </div>
      <div class="columns">
        <div>
          {[...groups].map(([group, facts]) => (
            <section key={group} class="card">
              <h2>{TITLES[group] ?? group}</h2>
              <FactTable
                label={TITLES[group] ?? group}
                facts={facts.map(([name, value]) => [
                  name.slice(group.length + 1).replace(/_/g, " ") || name,
                  <bdi>{factText(name, value)}</bdi>,
                ])}
              />
            </section>
          ))}
          {unknown.length > 0 && (
            <section class="card">
              <h2>Unknown</h2>
              <FactTable
                label="Unknown facts"
                facts={unknown.map(([name, why]) => [name, <bdi class="soft">{why}</bdi>])}
              />
            </section>
          )}
          {!groups.size && !unknown.length && (
            <p class="soft">{findText.value.trim() ? "No fact matches." : "No facts about the machine were recorded."}</p>
          )}
        </div>
        <Packages uid={run.uid} has={run.documents.includes("packages")} fits={fits} />
      </div>
    </>
  );
}

function factText(name: string, value: Cell): string {
  if (name.endsWith("_bytes") && typeof value === "number") return formatBytes(value);
  if (Array.isArray(value)) return value.map(formatCell).join(", ");
  return formatCell(value);
}

interface PackagesProps {
  uid: string;
  has: boolean;
  fits: (text: string) => boolean;
}

/** Return the name and the version of a line such as `numpy==2.1`. */
function packageOf(line: string): [string, string] {
  const [, name = line, version = ""] = /^([^=@ ]+)\s*(?:==|@)?\s*(.*)$/.exec(line) ?? [];
  return [name, version];
}

function Packages({ uid, has, fits }: PackagesProps) {
  const address = has ? endpoint(ofRun(uid, "documents", "packages")) : null;
  const { value, error } = useText(address);
  if (!has) return null;
  const lines = (value ?? "").split("\n").filter((line) => line && fits(line));
  return (
    <section class="card">
      <div class="card-head bar">
        <h2>Packages</h2>
        <span class="soft">{value !== null && plural(lines.length, "package")}</span>
      </div>
      {error ? <p class="soft">The list of packages could not be read.</p> : null}
      {!value && !error && <div class="loading" role="status" aria-label="Loading" />}
      <FactTable class="tree packages" label="Packages" facts={lines.slice(0, DRAWN).map(packageOf)} />
      {lines.length > DRAWN && <p class="soft">{lines.length - DRAWN} more: filter to see them.</p>}
    </section>
  );
}
