// A chart as a table.
import { openDialog } from "../common/dialog";
import { RoundedNumber } from "../common/number";
import { formatCount } from "../common/values";
import { hovered } from "../state/selection";
import { LineMark } from "./cursor-marks";
import type { Line } from "./lines";
import type { ChartView } from "./view";

export function showTable(view: ChartView): void {
  openDialog(view.metric, () => <LineTable lines={view.lines.value} caption={`${view.metric} by run`} />, { isWide: true });
}

interface LineTableProps {
  lines: Line[];
  caption: string;
  /** Whether there is room for the most asked for only. */
  isBrief?: boolean;
}

export function LineTable({ lines, caption, isBrief = false }: LineTableProps) {
  const rows = lines.map((line) => ({ line, ...line.summary() })).sort((one, other) => other.last - one.last);
  return (
    <div class="table-place" tabIndex={0} role="region" aria-label={caption}>
      <table class="table chart-table">
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col" class="number">Last</th>
            <th scope="col" class="number">Min</th>
            <th scope="col" class="number">Max</th>
            {!isBrief && <th scope="col" class="number">First</th>}
            {!isBrief && <th scope="col" class="number">Points</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ line, last, least, most, first, points }) => (
            <tr
              key={line.id}
              class={hovered.value !== null && line.uids.includes(hovered.value) ? "hovered" : undefined}
              onMouseEnter={() => {
                hovered.value = line.uids[0] ?? null;
              }}
              onMouseLeave={() => {
                hovered.value = null;
              }}
            >
              <th scope="row">
                <LineMark line={line} />{" "}
                {line.uids.length === 1 ? <a href={`/runs/${line.uids[0]}`}>{line.name()}</a> : line.name()}
              </th>
              <td class="number"><RoundedNumber value={last} /></td>
              <td class="number"><RoundedNumber value={least} /></td>
              <td class="number"><RoundedNumber value={most} /></td>
              {!isBrief && <td class="number"><RoundedNumber value={first} /></td>}
              {!isBrief && <td class="number">{formatCount(points)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
