// A line of the grid: a run or a group. Drawn again only when something of it has changed.
import { Component } from "preact";
import type { GroupInfo } from "../api/types";
import { colourVariable } from "../common/colour";
import { Icon } from "../common/icons";
import { formatGroup, plural } from "../common/values";
import { type Column, columnOf } from "../state/columns";
import type { Row } from "../state/rows";
import { CellContent, type Pinned } from "./cells";

abstract class Settled<P extends object> extends Component<P> {
  override shouldComponentUpdate(next: Readonly<P>): boolean {
    const now = this.props as Record<string, unknown>;
    return Object.entries(next).some(([name, value]) => now[name] !== value);
  }
}

export interface RunLineProps {
  line: number;
  /** Pixels from the top of the list; null for a pinned run. */
  top: number | null;
  ariaRow: number;
  id: number;
  row: Row | undefined;
  columns: Column[];
  /** Left edges of pinned columns, by place. */
  lefts: number[];
  /** The columns that are drawn besides the pinned ones: from one place to before another. */
  first: number;
  end: number;
  activeColumn: number;
  isSelected: boolean;
  isHidden: boolean;
  isSolo: boolean;
  isHovered: boolean;
  isIndented: boolean;
  pinned: Pinned;
  baseline: Row | null;
}

export class RunLine extends Settled<RunLineProps> {
  override render(props: RunLineProps) {
    const { line, top, row, columns, lefts, activeColumn } = props;
    const classes = ["line"];
    if (props.isSelected) classes.push("selected");
    if (props.isHidden) classes.push("unseen");
    if (props.isHovered) classes.push("hovered");
    if (props.pinned) classes.push("pinned-line", props.pinned);
    return (
      <div
        role="row"
        class={classes.join(" ")}
        data-line={line}
        data-id={props.id}
        aria-rowindex={props.ariaRow}
        aria-selected={props.isSelected}
        aria-level={props.isIndented ? 2 : undefined}
        style={top === null ? undefined : { top: `${top}px` }}
      >
        <Marks {...props} />
        {columns.map((column, place) => {
          const left = lefts[place];
          const isDrawn = left !== undefined || (place >= props.first && place < props.end);
          if (!isDrawn && activeColumn !== place + 1) return null;
          const classes = ["cell", column.isNumeric ? "number" : "", left === undefined ? "" : "frozen"];
          if (place === lefts.length - 1) classes.push("edge");
          return (
            <div
              key={column.name}
              role="gridcell"
              class={classes.join(" ")}
              data-c={place + 1}
              aria-colindex={place + 2}
              tabIndex={activeColumn === place + 1 ? 0 : -1}
              style={{ gridColumn: place + 2, left: left === undefined ? undefined : `${left}px` }}
            >
              {row ? (
                <CellContent column={column} row={row} baseline={props.baseline} pinned={props.pinned} />
              ) : (
                <span class="ghost" />
              )}
            </div>
          );
        })}
      </div>
    );
  }
}

/** The first cell: selected, shown in charts, shown alone. */
function Marks({ row, activeColumn, isSelected, isHidden, isSolo, pinned }: RunLineProps) {
  return (
    <div
      role="gridcell"
      class="cell marks frozen"
      data-c={0}
      aria-colindex={1}
      tabIndex={activeColumn === 0 ? 0 : -1}
      aria-label={markText(isSelected, isHidden, isSolo, pinned)}
    >
      <span class="mark" data-do="select">
        <span class={isSelected ? "box checked" : "box"}>{isSelected && <Icon name="check" size={12} />}</span>
      </span>
      {row && (
        <>
          <button
            type="button"
            class={isHidden ? "mark eye off" : "mark eye"}
            tabIndex={-1}
            data-do="hide"
            aria-pressed={isHidden}
            aria-label={`Hide ${row.reference} in charts`}
            title={isHidden ? "Show in charts (H)" : "Hide in charts (H)"}
          >
            {isHidden ? (
              <Icon name="hidden" />
            ) : (
              <span class="swatch" style={{ background: colourVariable(row.uid) }} />
            )}
          </button>
          <button
            type="button"
            class={isSolo ? "mark solo on" : "mark solo"}
            tabIndex={-1}
            data-do="solo"
            aria-pressed={isSolo}
            aria-label={`Show only ${row.reference} in charts`}
            title={isSolo ? "Show all in charts (S)" : "Show only this in charts (S)"}
          >
            <Icon name="solo" />
          </button>
        </>
      )}
    </div>
  );
}

function markText(
  isSelected: boolean,
  isHidden: boolean,
  isSolo: boolean,
  pinned: RunLineProps["pinned"],
): string {
  const words = [isSelected ? "selected" : "not selected"];
  if (pinned === "baseline") words.push("baseline");
  if (pinned === "pin") words.push("pinned");
  if (isHidden) words.push("hidden in charts");
  if (isSolo) words.push("shown alone in charts");
  return words.join(", ");
}

export interface GroupLineProps {
  line: number;
  top: number;
  ariaRow: number;
  group: GroupInfo;
  isOpen: boolean;
  isActive: boolean;
  columnCount: number;
}

export class GroupLine extends Settled<GroupLineProps> {
  override render({ line, top, ariaRow, group, isOpen, isActive, columnCount }: GroupLineProps) {
    return (
      <div
        role="row"
        class="line group-line"
        data-line={line}
        aria-rowindex={ariaRow}
        aria-level={1}
        aria-expanded={isOpen}
        style={{ top: `${top}px` }}
      >
        <div
          role="gridcell"
          class="group-cell"
          data-c={0}
          aria-colindex={1}
          aria-colspan={columnCount}
          tabIndex={isActive ? 0 : -1}
        >
          <Icon name={isOpen ? "chevron" : "right"} />
          {Object.entries(group.values).map(([name, value]) => (
            <span key={name}>
              <span class="soft">{columnOf(name).title}</span>{" "}
              <strong>{formatGroup(name, value) || "none"}</strong>
            </span>
          ))}
          <span class="soft">{plural(group.count, "run")}</span>
        </div>
      </div>
    );
  }
}
