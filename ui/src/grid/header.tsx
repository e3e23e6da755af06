// The header of the grid: sort, resize, move, and a menu for each column.
import { signal } from "@preact/signals";
import type { TargetedPointerEvent } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../common/icons";
import { closePopover, MenuItem, openPopover } from "../common/popover";
import { beginCondition } from "../filter/line";
import { list, setList } from "../state/address";
import {
  AGGREGATES, type Column, columnNames, columnOf, columns, dragged, frozenNames, metricName, moveColumn, NARROWEST,
  replaceColumn, sameField, setWidth, sorting, sortBy, sparklineName, toggleColumn, toggleFrozen, widthOf,
} from "../state/columns";
import { clearSelection, selectAll, selectedCount } from "../state/selection";

const groups = list("group");
/** A column that is being dragged, and the one before which it would go; null is the end. */
const moving = signal<{ name: string; before: string | null } | null>(null);

function ariaSort(column: Column): "ascending" | "descending" | undefined {
  const key = sorting.value[0];
  if (!key || !sameField(key.field, column)) return undefined;
  return key.descending ? "descending" : "ascending";
}

export function canGroup(column: Column): boolean {
  if (column.kind === "metric" || column.kind === "sparkline") return false;
  return !["reference", "started", "ended", "duration", "notes", "tags", "uid", "run_number"].includes(column.name);
}

function StepChoice({ column }: { column: Column }) {
  const { key, of } = column.metric!;
  const [step, setStep] = useState(of.startsWith("@") ? of.slice(1) : "");
  return (
    <form
      class="step-choice"
      onSubmit={(event) => {
        event.preventDefault();
        if (!/^-?\d+$/.test(step)) return;
        closePopover();
        replaceColumn(column.name, metricName(key, `@${step}`));
      }}
    >
      <label>
        Value at step
        <input
          class="input"
          inputMode="numeric"
          pattern="-?[0-9]+"
          value={step}
          onInput={(event) => setStep(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="button small">
        Show
      </button>
    </form>
  );
}

function ColumnMenu({ name }: { name: string }) {
  const column = columnOf(name);
  const names = columnNames.value;
  const place = names.indexOf(name);
  const isFrozen = frozenNames.value.includes(name);
  const { metric } = column;
  return (
    <div class="menu">
      <div class="menu-title fine soft cut">{name}</div>
      {column.sortField && (
        <>
          <MenuItem onClick={() => sortBy(column, "ascending")} checked={ariaSort(column) === "ascending"}>
            Sort ascending
          </MenuItem>
          <MenuItem onClick={() => sortBy(column, "descending")} checked={ariaSort(column) === "descending"}>
            Sort descending
          </MenuItem>
        </>
      )}
      {metric && (
        <>
          <hr />
          <div class="choices" role="group" aria-label="Value">
            {AGGREGATES.map((of) => (
              <button
                key={of}
                type="button"
                class="choice"
                aria-pressed={metric.of === of}
                onClick={() => {
                  closePopover();
                  replaceColumn(name, metricName(metric.key, of));
                }}
              >
                {of}
              </button>
            ))}
            <button
              type="button"
              class="choice"
              aria-pressed={metric.of === "line"}
              onClick={() => {
                closePopover();
                replaceColumn(name, sparklineName(metric.key));
              }}
            >
              line
            </button>
          </div>
          <StepChoice column={column} />
        </>
      )}
      <hr />
      {column.sortField && (
        <MenuItem onClick={() => beginCondition(column.sortField!)}>Filter by this column</MenuItem>
      )}
      {canGroup(column) && (
        <MenuItem
          onClick={() => setList("group", groups.value.includes(name) ? [] : [name])}
          checked={groups.value.includes(name)}
        >
          Group by this column
        </MenuItem>
      )}
      <MenuItem onClick={() => toggleFrozen(name)} checked={isFrozen}>
        Pin to the left
      </MenuItem>
      <MenuItem disabled={place <= 0} onClick={() => moveColumn(name, names[place - 1]!)} keys="Ctrl Shift ←">
        Move left
      </MenuItem>
      <MenuItem
        disabled={place === names.length - 1}
        onClick={() => moveColumn(name, names[place + 2] ?? null)}
        keys="Ctrl Shift →"
      >
        Move right
      </MenuItem>
      <MenuItem onClick={() => setWidth(name, null)}>Default width</MenuItem>
      <MenuItem disabled={names.length === 1} onClick={() => toggleColumn(name)}>
        Remove this column
      </MenuItem>
    </div>
  );
}

export function openColumnMenu(anchor: HTMLElement, name: string): void {
  openPopover(anchor, `Column ${name}`, () => <ColumnMenu name={name} />);
}

/** Drag the right edge of a header cell. */
function ResizeHandle({ column }: { column: Column }) {
  const onPointerDown = (event: TargetedPointerEvent<HTMLSpanElement>) => {
    event.stopPropagation();
    event.preventDefault();
    const handle = event.currentTarget;
    const from = event.clientX;
    const before = widthOf(column);
    handle.setPointerCapture(event.pointerId);
    const onMove = (move: PointerEvent) => {
      dragged.value = { name: column.name, width: Math.max(NARROWEST, before + move.clientX - from) };
    };
    const onUp = () => {
      handle.removeEventListener("pointermove", onMove);
      const last = dragged.value;
      if (last) setWidth(last.name, last.width);
      dragged.value = null;
    };
    handle.addEventListener("pointermove", onMove);
    handle.addEventListener("lostpointercapture", onUp, { once: true });
  };
  return (
    <span
      class="resize"
      onPointerDown={onPointerDown}
      onClick={(event) => event.stopPropagation()}
      onDblClick={(event) => {
        event.stopPropagation();
        setWidth(column.name, null);
      }}
    />
  );
}

/** Follow a header cell that is dragged beside others; a short press is a click. */
function onHeaderPointerDown(event: TargetedPointerEvent<HTMLDivElement>, column: Column): void {
  if (event.button !== 0 || event.pointerType === "touch") return;
  const cell = event.currentTarget;
  const from = event.clientX;
  const onMove = (move: PointerEvent) => {
    if (!moving.value && Math.abs(move.clientX - from) < 6) return;
    const cells = [...cell.parentElement!.querySelectorAll<HTMLElement>("[data-name]")];
    const after = cells.find((other) => {
      const box = other.getBoundingClientRect();
      return move.clientX < box.left + box.width / 2;
    });
    moving.value = { name: column.name, before: after?.dataset.name ?? null };
  };
  const onUp = () => {
    removeEventListener("pointermove", onMove);
    const last = moving.value;
    if (!last) return;
    moveColumn(last.name, last.before);
    // The click that ends the drag sorts nothing.
    setTimeout(() => {
      moving.value = null;
    });
  };
  addEventListener("pointermove", onMove);
  addEventListener("pointerup", onUp, { once: true });
}

interface HeaderLineProps {
  line: number;
  lefts: number[];
  activeColumn: number;
}

export function HeaderLine({ line, lefts, activeColumn }: HeaderLineProps) {
  const target = moving.value;
  return (
    <div role="row" class="line header-line" aria-rowindex={1} data-line={line}>
      <div
        role="columnheader"
        class="cell marks frozen"
        data-c={0}
        aria-colindex={1}
        tabIndex={activeColumn === 0 ? 0 : -1}
        aria-label="Selection"
      >
        <span
          class="mark"
          title={selectedCount.value ? "Select none" : "Select all matching runs"}
          onClick={() => (selectedCount.value ? clearSelection() : selectAll())}
        >
          <span class={selectedCount.value ? "box some" : "box"} />
        </span>
      </div>
      {columns.value.map((column, place) => {
        const left = lefts[place];
        const classes = ["cell", "head", column.isNumeric ? "number" : "", left === undefined ? "" : "frozen"];
        if (place === lefts.length - 1) classes.push("edge");
        if (target?.name === column.name) classes.push("moving");
        if (target && target.before === column.name) classes.push("drop");
        const sort = ariaSort(column);
        return (
          <div
            key={column.name}
            role="columnheader"
            class={classes.join(" ")}
            data-c={place + 1}
            data-name={column.name}
            aria-colindex={place + 2}
            aria-sort={sort}
            tabIndex={activeColumn === place + 1 ? 0 : -1}
            title={column.name}
            style={left === undefined ? undefined : { left: `${left}px` }}
            onPointerDown={(event) => onHeaderPointerDown(event, column)}
            onClick={() => moving.value || sortBy(column)}
            onContextMenu={(event) => {
              event.preventDefault();
              const anchor = event.currentTarget;
              const open = () => openColumnMenu(anchor, column.name);
              // Where the event comes with the press of the button, its release would close the menu.
              if (event.buttons) addEventListener("pointerup", () => setTimeout(open), { once: true });
              else open();
            }}
          >
            <span class="head-title">{column.title}</span>
            {column.detail && <span class="head-detail">{column.detail}</span>}
            {sort && <Icon name={sort === "ascending" ? "up" : "down"} size={12} />}
            <button
              type="button"
              class="head-menu"
              tabIndex={-1}
              aria-label={`Menu of ${column.name}`}
              onPointerDown={(event) => event.stopPropagation()}
              onClick={(event) => {
                event.stopPropagation();
                openColumnMenu(event.currentTarget, column.name);
              }}
            >
              <Icon name="chevron" size={14} />
            </button>
            <ResizeHandle column={column} />
          </div>
        );
      })}
    </div>
  );
}
