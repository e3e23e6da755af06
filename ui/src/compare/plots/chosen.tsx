// The runs within the ranges that are chosen on axes, and what can be done with them.
import { joinNames } from "../../api/client";
import { formatCount, plural } from "../../common/values";
import { go } from "../../state/address";
import { uidsOf } from "../../state/rows";
import { showError } from "../../state/toasts";
import { clearBrushes, filterOf, type Range } from "./brush";
import type { ValueColumn, Values } from "./values";

const MOST_COMPARED = 50;

interface ChosenProps {
  values: Values;
  mask: Uint8Array | null;
  ranges: [ValueColumn, Range][];
}

export function Chosen({ values, mask, ranges }: ChosenProps) {
  const all = values.count < values.total ? `the newest ${formatCount(values.count)} of ${plural(values.total, "run")}` : plural(values.count, "run");
  if (!mask) return <p class="plot-count bar soft" role="status">{all}</p>;
  const places: number[] = [];
  mask.forEach((isIn, place) => {
    if (isIn) places.push(place);
  });
  const compare = async (): Promise<void> => {
    try {
      const uids = await uidsOf(places.slice(0, MOST_COMPARED).map((place) => values.ids[place]!));
      go("/compare", { runs: joinNames(uids) });
    } catch (error) {
      showError(error);
    }
  };
  return (
    <p class="plot-count bar soft" role="status">
      <strong>{formatCount(places.length)}</strong> of {all} in the chosen ranges
      <button type="button" class="button small" onClick={() => go("/", { filter: filterOf(values.filter, ranges) })}>
        Show in the grid
      </button>
      {places.length > 1 && places.length <= MOST_COMPARED && (
        <button type="button" class="button small" onClick={() => void compare()}>
          Compare
        </button>
      )}
      <button type="button" class="button small quiet" onClick={clearBrushes}>
        Clear
      </button>
    </p>
  );
}
