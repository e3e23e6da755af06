// What stands in a cell.
import type { ComponentChildren } from "preact";
import { Icon } from "../common/icons";
import { isFinal, StatusMark } from "../common/status";
import { Ago, Lasted } from "../common/time";
import { formatCell, formatDifference, numberOf, TAGGED } from "../common/values";
import type { Column } from "../state/columns";
import type { Row } from "../state/rows";
import { Sparkline } from "./sparklines";

function Tags({ tags }: { tags: Record<string, string> }) {
  return (
    <span class="tags">
      {Object.entries(tags).map(([key, value]) => (
        <span key={key} class="tag" title={value ? `${key}=${value}` : key}>
          {key}
          {value && <span class="tag-value">{value}</span>}
        </span>
      ))}
    </span>
  );
}

/** Why a run stands at the top. */
export type Pinned = "baseline" | "pin" | null;
const PINNED_TEXTS = { baseline: "The baseline: other runs show their difference", pin: "Pinned" };

/** The name of a run; of a long one the end is kept, since it has the number. */
function RunName({ row, pinned }: { row: Row; pinned: Pinned }) {
  const name = row.name;
  const end = /[#_]\d+(~[0-9a-f]+)?$/.exec(name)?.[0] ?? "";
  return (
    <a class="run-name" href={`/runs/${row.uid}`} tabIndex={-1} title={row.reference}>
      {pinned && (
        <span class="pinned-mark" title={PINNED_TEXTS[pinned]}>
          <Icon name={pinned === "baseline" ? "flag" : "pin"} size={13} />
        </span>
      )}
      <span>{name.slice(0, name.length - end.length)}</span>
      {end}
    </a>
  );
}

function field(name: string, row: Row, pinned: Pinned): ComponentChildren {
  switch (name) {
    case "reference":
      return <RunName row={row} pinned={pinned} />;
    case "experiment":
      return <span title={row.experiment}>{row.experiment}</span>;
    case "run_number":
      return row.run_number;
    case "status":
      return <StatusMark status={row.status} text={row.status_text} />;
    case "started":
      return <Ago at={row.started_at} />;
    case "ended":
      return <Ago at={row.ended_at} />;
    case "duration":
      return (
        <Lasted duration={row.duration_s} started={row.started_at} isOver={isFinal(row.status)} />
      );
    case "notes":
      return row.notes && <span title={row.notes}>{row.notes.split("\n", 1)[0]}</span>;
    case "tags":
      return <Tags tags={row.tags} />;
    case "parent":
      return (
        row.parent_uid && (
          <a href={`/runs/${row.parent_uid}`} tabIndex={-1}>
            {row.parent_uid.slice(0, 13)}
          </a>
        )
      );
    case "uid":
      return row.uid;
    default:
      return null;
  }
}

function measured(column: Column, row: Row): number | null {
  if (column.name === "duration") return row.duration_s;
  return numberOf(row.cells[column.name]);
}

/** How a cell differs from the baseline's: a signed number, or a sign that it does. */
function Difference({ column, row, baseline }: { column: Column; row: Row; baseline: Row }) {
  const here = measured(column, row);
  const there = measured(column, baseline);
  if (here !== null && there !== null) {
    if (here === there || (Number.isNaN(here) && Number.isNaN(there))) return null;
    return <span class="difference">{formatDifference(here - there)}</span>;
  }
  const same = formatCell(row.cells[column.name]) === formatCell(baseline.cells[column.name]);
  if (same) return null;
  return (
    <span class="difference" title="Differs from the baseline">
      ≠
    </span>
  );
}

interface CellContentProps {
  column: Column;
  row: Row;
  baseline: Row | null;
  pinned: Pinned;
}

export function CellContent({ column, row, baseline, pinned }: CellContentProps) {
  if (column.kind === "sparkline") {
    return <Sparkline id={row.id} uid={row.uid} metric={column.metric!.key} />;
  }
  const difference = baseline && baseline.uid !== row.uid && (
    <Difference column={column} row={row} baseline={baseline} />
  );
  if (column.kind === "field") {
    return (
      <>
        {column.name === "duration" && difference}
        {field(column.name, row, pinned)}
      </>
    );
  }
  const value = row.cells[column.name];
  const text = column.kind === "tag" && value === "" ? TAGGED : formatCell(value);
  return (
    <>
      {difference}
      <span class={value === null || value === undefined ? "value none" : "value"} title={exactly(value, text)}>
        {text}
      </span>
    </>
  );
}

/** Return the whole value when the cell shows less of it. */
function exactly(value: Row["cells"][string] | undefined, text: string): string | undefined {
  if (typeof value === "number") return String(value);
  return text.length > 12 ? text : undefined;
}
