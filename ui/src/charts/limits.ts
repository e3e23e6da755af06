// Limits of an axis over several lines, of which some may leave the others far behind.
// The same rule as in src/runstore/model/display/limits.py.
import { type Extent, wider } from "./extent";

/** Most lines would take less than this part of the axis; no line would be seen beside another. */
const MANY_TIMES = 20;
export const OUT_OF_SIGHT = 1000;

/** Return the limits of a linear axis without lines that diverged; null to show all lines. */
export function robustLimits(extents: Extent[], manyTimes = MANY_TIMES): Extent | null {
  const bySize = [...extents].sort((one, other) => sizeOf(one) - sizeOf(other));
  const all = bySize.reduce<Extent | null>(wider, null);
  let kept: Extent | null = null;
  for (let count = 1; count < bySize.length; count++) {
    kept = wider(kept, bySize[count - 1]!)!;
    const times = 2 * count > bySize.length ? manyTimes : OUT_OF_SIGHT;
    const last = sizeOf(bySize[count - 1]!);
    // Beside a value that converged to 0, none has diverged.
    if (last === 0 || Math.max(1, last) * times > sizeOf(bySize[count]!)) continue;
    if ((kept.most / 2 - kept.least / 2) * times <= all!.most / 2 - all!.least / 2) return withNearEnds(bySize, kept);
  }
  return null;
}

/** Return limits widened to the ends of lines that are near, such as those that fell first. */
function withNearEnds(extents: Extent[], limits: Extent): Extent {
  let { least, most } = limits;
  const near = most / 2 - least / 2;
  for (const extent of extents) {
    if (extent.least >= limits.least - near) least = Math.min(least, extent.least);
    if (extent.most <= limits.most + near) most = Math.max(most, extent.most);
  }
  return { least, most };
}

function sizeOf({ least, most }: Extent): number {
  return Math.max(Math.abs(least), Math.abs(most));
}
