// The runs of charts that stand alone, without a grid that names them.
import { markOf } from "../common/colour";
import { isShown, toggleHidden, toggleSolo } from "../state/hidden";
import { hovered } from "../state/selection";
import { LineMark } from "./cursor-marks";
import { type Board, nameOf } from "./runs";
import { isGrouped } from "./settings";

export function Legend({ board }: { board: Board }) {
  const uids = board.all.value;
  // Means have colours of their own.
  if (board.kind.value || uids.length < 2 || isGrouped.value) return null;
  return (
    <ul class="chart-legend" aria-label="Runs">
      {uids.map((uid) => (
        <li key={uid}>
          <button
            type="button"
            class={hovered.value === uid ? "choice hovered" : "choice"}
            aria-pressed={isShown(uid)}
            title="Click to hide or show, double click to show alone"
            onClick={() => toggleHidden(uid)}
            onDblClick={() => toggleSolo(uid)}
            onMouseEnter={() => {
              hovered.value = uid;
            }}
            onMouseLeave={() => {
              hovered.value = null;
            }}
          >
            <LineMark line={{ mark: markOf(uid) }} />
            {nameOf(uid)}
          </button>
        </li>
      ))}
    </ul>
  );
}
