// Parameters as a tree of typed values, by set.
import { useMemo, useState } from "preact/hooks";
import { useAnswer } from "../api/answer";
import { copyText } from "../common/copy";
import { FindInput, findText, matcher } from "../common/find";
import { Icon, IconButton } from "../common/icons";
import { plural } from "../common/values";
import { setQuery, word } from "../state/address";
import { FactTable } from "./facts";
import type { PartProps } from "./index";
import type { ParamRow, ParamSet, RunRecord, ShortRun } from "./types";
import { ofRun } from "./types";
import { visibleText } from "./visible";

const differences = word("diff");
/** Rows drawn at once; a page with more is slow, and nobody reads them. */
const DRAWN = 1500;
const SHORT = 14;
/** Levels that are indented. */
const DEEPEST = 12;
/** Items of a list that are shown in its line. */
const IN_LINE = 12;

export function Params({ run, around, version }: PartProps) {
  const previous = around?.previous ?? null;
  return (
    <div class="params">
      <div class="part-tools bar">
        <FindInput placeholder="Filter keys and values" label="Filter parameters" />
        {previous && (
          <label class="check">
            <input
              type="checkbox"
              checked={differences.value === "1"}
              onChange={(event) => setQuery({ diff: event.currentTarget.checked ? "1" : null })}
            />
            Only differences from {previous.reference}
          </label>
        )}
      </div>
      <ParamTree
        run={run}
        version={version}
        filter={findText.value}
        against={differences.value === "1" ? previous : null}
      />
    </div>
  );
}

interface ParamTreeProps {
  run: RunRecord;
  version: number;
  filter?: string;
  against?: ShortRun | null;
  /** Only the first rows, for an overview. */
  isShort?: boolean;
}

type Values = Map<string, ParamRow>;

/** Return a key for each value, the same in two runs if the sets have the same name or are alone. */
function valuesOf(sets: ParamSet[]): Values {
  const found: Values = new Map();
  for (const set of sets) {
    for (const row of set.rows) {
      if (row.size === null || row.size === 0) found.set(fullKey(set, sets, row.key), row);
    }
  }
  return found;
}

function fullKey(set: ParamSet, sets: ParamSet[], key: string): string {
  return sets.length === 1 ? key : `${set.name}\0${key}`;
}

export function ParamTree({ run, version, filter = "", against = null, isShort = false }: ParamTreeProps) {
  const mine = useAnswer<{ sets: ParamSet[] }>(ofRun(run.uid, "params"), {}, { version }).answer;
  const theirs = useAnswer<{ sets: ParamSet[] }>(against && ofRun(against.uid, "params")).answer;
  const others = useMemo(() => (against && theirs ? valuesOf(theirs.sets) : null), [against, theirs]);
  if (!mine || (against && !theirs)) return <div class="loading" role="status" aria-label="Loading" />;
  const { sets } = mine;
  if (!sets.some((set) => set.rows.length)) {
    return <p class="soft">This run has no parameters{sets.length ? " whose values are known" : ""}.</p>;
  }
  const gone = others ? goneFrom(others, valuesOf(sets)) : [];
  return (
    <>
      {sets.map((set) => (
        <SetTree
          key={`${set.file ?? ""}\0${set.name}`}
          set={set}
          sets={sets}
          filter={filter}
          others={others}
          isShort={isShort}
        />
      ))}
      {gone.length > 0 && (
        <section>
          <h2>Only in {against?.reference}</h2>
          <FactTable facts={gone.map(([key, row]) => [visibleText(key.replace("\0", ": ")), <Value row={row} />])} />
        </section>
      )}
    </>
  );
}

function goneFrom(others: Values, mine: Values): [string, ParamRow][] {
  return [...others].filter(([key]) => !mine.has(key));
}

interface SetTreeProps {
  set: ParamSet;
  sets: ParamSet[];
  filter: string;
  others: Values | null;
  isShort: boolean;
}

/** Return the rows that are shown: those that fit, and the heads that they are in. */
function shownRows(set: ParamSet, fits: (row: ParamRow) => boolean, closed: Set<string>): ParamRow[] {
  const shown: ParamRow[] = [];
  const heads: ParamRow[] = [];
  const written = new Set<ParamRow>();
  let hiddenBelow = Number.POSITIVE_INFINITY;
  for (const row of set.rows) {
    heads.length = Math.min(heads.length, row.depth);
    if (row.depth > hiddenBelow) continue;
    hiddenBelow = Number.POSITIVE_INFINITY;
    if (row.size) heads[row.depth] = row;
    if (row.size && closed.has(row.key)) hiddenBelow = row.depth;
    if (!fits(row)) continue;
    for (const head of heads) {
      if (!written.has(head)) {
        written.add(head);
        shown.push(head);
      }
    }
    if (!written.has(row)) shown.push(row);
  }
  return shown;
}

/** Lists of numbers and words, which are read in one line; with their values. */
function linesOf(set: ParamSet): Map<string, string> {
  const found = new Map<string, string>();
  set.rows.forEach((head, place) => {
    if (!head.size || head.type === "mapping" || head.size > IN_LINE) return;
    const items = set.rows.slice(place + 1, place + 1 + head.size);
    if (items.length < head.size || items.some((row) => row.size !== null || row.text.length > 40)) return;
    found.set(head.key, `[${items.map((row) => row.text || "''").join(", ")}]`);
  });
  return found;
}

function SetTree({ set, sets, filter, others, isShort }: SetTreeProps) {
  const inLine = useMemo(() => linesOf(set), [set]);
  const [changed, setClosed] = useState<Set<string> | null>(null);
  const closed = changed ?? new Set(others || filter ? [] : inLine.keys());
  const [isWhole, setWhole] = useState(false);
  const hasWords = matcher(filter);
  const fits = (row: ParamRow) => {
    if (others) {
      if (row.size) return false; // a head is there for what is in it
      const other = others.get(fullKey(set, sets, row.key));
      if (other && other.type === row.type && other.text === row.text && other.size === row.size) return false;
    }
    return hasWords(`${row.key} ${row.text}`);
  };
  const all = shownRows(set, fits, closed);
  const most = isShort && !isWhole ? SHORT : DRAWN;
  const rows = all.length > most + 3 ? all.slice(0, most) : all;
  const heads = set.rows.filter((row) => row.size);
  const toggle = (key: string) => {
    const next = new Set(closed);
    if (!next.delete(key)) next.add(key);
    setClosed(next);
  };
  const Title = isShort ? "h3" : "h2";
  const title = set.file ? `${set.file}: ${set.name}` : set.name;
  return (
    <section class="param-set">
      {(sets.length > 1 || !isShort) && (
        <div class="card-head bar">
          <Title dir="auto">
            {title} <code class="soft" title={`Hash ${set.hash}`}>{set.hash.slice(0, 8)}</code>
          </Title>
          {heads.length > 0 && !isShort && (
            <span>
              <button type="button" class="button small quiet" onClick={() => setClosed(new Set())}>
                Expand all
              </button>
              <button
                type="button"
                class="button small quiet"
                onClick={() => setClosed(new Set(heads.map((row) => row.key)))}
              >
                Collapse all
              </button>
            </span>
          )}
        </div>
      )}
      {rows.length === 0 ? (
        <p class="soft">{others ? "Nothing differs." : "No parameter matches."}</p>
      ) : (
        <table class="tree" aria-label={`Parameters of ${title}`}>
          <tbody>
            {rows.map((row) => (
              <TreeRow
                key={row.key}
                row={row}
                isClosed={closed.has(row.key)}
                inLine={inLine.get(row.key)}
                onToggle={toggle}
                other={others ? (others.get(fullKey(set, sets, row.key)) ?? null) : undefined}
              />
            ))}
          </tbody>
        </table>
      )}
      {all.length > rows.length && (
        <button
          type="button"
          class="button small quiet"
          onClick={() => (isShort && !isWhole ? setWhole(true) : undefined)}
          disabled={!(isShort && !isWhole)}
        >
          {isShort && !isWhole
            ? `Show ${plural(all.length - rows.length, "more", "more")}`
            : `${all.length - rows.length} more: filter to see them`}
        </button>
      )}
      {set.is_cut && <p class="soft">Not all values are shown here; runstore show prints all of them.</p>}
    </section>
  );
}

interface TreeRowProps {
  row: ParamRow;
  isClosed: boolean;
  /** The values of a list. */
  inLine: string | undefined;
  onToggle: (key: string) => void;
  /** The same value of another run; null if it has none, undefined if no other run is shown. */
  other: ParamRow | null | undefined;
}

function TreeRow({ row, isClosed, inLine, onToggle, other }: TreeRowProps) {
  return (
    <tr>
      <th scope="row" style={{ paddingLeft: `${Math.min(row.depth, DEEPEST) * 18}px` }}>
        {row.size ? (
          <button
            type="button"
            class="tree-toggle"
            aria-expanded={!isClosed}
            onClick={() => onToggle(row.key)}
          >
            <Icon name={isClosed ? "right" : "chevron"} size={14} />
            <bdi>{visibleText(row.name)}</bdi>
          </button>
        ) : (
          <span class="tree-name">
            <bdi>{visibleText(row.name) || "''"}</bdi>
          </span>
        )}
      </th>
      <td>
        {inLine && isClosed ? (
          <bdi class="value value-int" title={row.type}>
            {visibleText(inLine)}
          </bdi>
        ) : (
          <Value row={row} />
        )}
        {other !== undefined && row.size === null && (
          <span class="was">
            {other ? (
              <>
                was <Value row={other} />
              </>
            ) : (
              "was not there"
            )}
          </span>
        )}
      </td>
      <td class="tree-copy">
        <IconButton
          icon="copy"
          label={`Copy the key ${visibleText(row.key)}`}
          title={`Copy params.${visibleText(row.key)}`}
          onClick={() => void copyText(`params.${row.key}`)}
          size={14}
        />
      </td>
    </tr>
  );
}

function Value({ row }: { row: ParamRow }) {
  if (row.size !== null) {
    const what = row.type === "mapping" ? plural(row.size, "value") : plural(row.size, "item");
    return <span class="soft">{row.type === "mapping" || row.type === "list" ? what : `${row.type}, ${what}`}</span>;
  }
  const isBasic = ["int", "float", "bool", "none", "text"].includes(row.type);
  return (
    <>
      <bdi class={`value value-${isBasic ? row.type : "other"}`} title={row.type}>
        {row.text === "" ? "''" : visibleText(row.text)}
      </bdi>
      {!isBasic && <span class="type">{row.type}</span>}
    </>
  );
}
