// The table itself, and what is in one of its cells.
import type { Cell } from "../api/types";
import { joinNames } from "../api/client";
import { type Extent, wider } from "../charts/extent";
import { OUT_OF_SIGHT, robustLimits } from "../charts/limits";
import { MenuButton } from "../common/popover";
import { numberOf, plural } from "../common/values";
import { columnTitle } from "../compare/plots/column-choice";
import { visibleText } from "../run/visible";
import { go, href } from "../state/address";

interface Mean {
  n: number;
  mean: Cell;
  text: string;
}

interface Setting extends Mean {
  label: string;
  uids: string[];
}

export interface PivotCell extends Mean {
  row: number;
  column: number;
  mark: "best" | "statistically tied" | "";
  settings: Setting[];
  more_settings: number;
}

interface Key {
  values: Cell[];
  labels: string[];
}

export interface PivotAnswer {
  metric: string;
  statistic: string;
  direction: "min" | "max" | null;
  level: number;
  over: string[];
  row_fields: string[];
  column_fields: string[];
  rows: Key[];
  columns: Key[];
  cells: PivotCell[];
  remarks: string[];
  more_remarks: number;
  markdown: string;
  latex: string;
  csv: string;
}

export function PivotTable({ answer }: { answer: PivotAnswer }) {
  const cells = new Map(answer.cells.map((cell) => [`${cell.row} ${cell.column}`, cell]));
  const shade = shades(answer);
  const counts = new Set(answer.cells.map((cell) => cell.n));
  const stubs = answer.row_fields.length;
  return (
    <div class="pivot-scroll" tabIndex={0} role="region" aria-label="Pivot table">
      <table class="pivot-table">
        <thead>
          {answer.column_fields.length > 0 && (
            <tr>
              <td colSpan={stubs} />
              <th scope="colgroup" colSpan={answer.columns.length} class="pivot-title">
                {answer.column_fields.map(columnTitle).join(", ")}
              </th>
            </tr>
          )}
          <tr>
            {answer.row_fields.map((name) => (
              <th key={name} scope="col" class="pivot-stub">
                {columnTitle(name)}
              </th>
            ))}
            {answer.columns.map((key, at) => (
              <th key={at} scope="col" class="pivot-column">
                {answer.column_fields.length ? visibleText(key.labels.join(", ")) : `${answer.metric} (${answer.statistic})`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {answer.rows.map((key, row) => (
            <tr key={row}>
              {key.labels.map((label, at) => (
                <th key={at} scope="row" class="pivot-stub">
                  {visibleText(label)}
                </th>
              ))}
              {answer.columns.map((_, column) => {
                const cell = cells.get(`${row} ${column}`);
                return (
                  <td key={column} class="pivot-cell" style={cell ? shade(cell) : undefined}>
                    {cell ? <Filled answer={answer} cell={cell} showsCount={counts.size > 1} /> : <span class="pivot-empty">–</span>}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {counts.size === 1 && <p class="pivot-note">{plural([...counts][0]!, "run")} in each cell.</p>}
    </div>
  );
}

/** Return how a cell is shaded: the better its mean, the stronger. */
function shades(answer: PivotAnswer): (cell: PivotCell) => Record<string, string> {
  const means = answer.cells.map((cell) => numberOf(cell.mean)).filter((one) => one !== null && Number.isFinite(one)) as number[];
  const extents = means.map((mean) => ({ least: mean, most: mean }));
  // A mean that diverged leaves the shades to the others.
  const { least: low, most: high } = robustLimits(extents, OUT_OF_SIGHT) ??
    extents.reduce<Extent | null>(wider, null) ?? { least: 0, most: 0 };
  return (cell) => {
    const mean = numberOf(cell.mean);
    const none: Record<string, string> = {};
    if (mean === null || !Number.isFinite(mean) || low === high) return none;
    const share = Math.min(1, Math.max(0, (mean - low) / (high - low)));
    const strength = answer.direction === "min" ? 1 - share : share;
    return { "--strength": `${Math.round(strength * 100)}%` };
  };
}

interface FilledProps {
  answer: PivotAnswer;
  cell: PivotCell;
  showsCount: boolean;
}

function Filled({ answer, cell, showsCount }: FilledProps) {
  const settings = cell.settings.length + cell.more_settings;
  const at = visibleText([...answer.rows[cell.row]!.labels, ...answer.columns[cell.column]!.labels].join(", "));
  const mark = cell.mark === "best" ? "best" : cell.mark;
  return (
    <MenuButton
      label={`${at}: ${cell.text}, ${plural(cell.n, "run")}${mark && `, ${mark}`}`}
      class={cell.mark === "best" ? "pivot-value pivot-best" : "pivot-value"}
      menu={() => <Inside title={at} cell={cell} />}
    >
      <span>
        {cell.text}
        {cell.mark && (
          <span class="pivot-mark" title={cell.mark === "best" ? "Best" : "Not distinguishable from the best"}>
            {cell.mark === "best" ? " ★" : " ≈"}
          </span>
        )}
      </span>
      <small>
        {showsCount && `n = ${cell.n}`}
        {showsCount && settings > 1 && ", "}
        {settings > 1 && `${settings} settings`}
      </small>
    </MenuButton>
  );
}

/** The settings of a cell, the best first, with a way to their runs. */
function Inside({ title, cell }: { title: string; cell: PivotCell }) {
  return (
    <div class="pivot-inside">
      <h2>{title}</h2>
      <ol>
        {cell.settings.map((setting) => (
          <li key={setting.label}>
            <strong>{setting.text}</strong> <small>{plural(setting.n, "run")}</small>
            <p>{visibleText(setting.label)}</p>
            <a href={href("/", { filter: filterOf(setting.uids) })}>Show in the grid</a>
            {setting.uids.length > 1 && (
              <button type="button" class="button small" onClick={() => go("/compare", { runs: joinNames(setting.uids) })}>
                Compare
              </button>
            )}
          </li>
        ))}
      </ol>
      {cell.more_settings > 0 && <p>and {plural(cell.more_settings, "other setting")}</p>}
    </div>
  );
}

function filterOf(uids: string[]): string {
  return `uid in (${uids.map((uid) => `'${uid}'`).join(", ")})`;
}
