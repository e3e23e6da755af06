// Charts of the runs in sight or selected, beside the grid.
import { useComputed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { colourVariable } from "../common/colour";
import { plural, shortReference } from "../common/values";
import { isShown } from "../state/hidden";
import { rowByUid, rowsVersion } from "../state/rows";
import { hovered, selected, visible } from "../state/selection";

const MOST = 50;

/** The runs that are charted: the selected ones, or those in sight. */
export function useChartedUids() {
  return useComputed(() => {
    const uids = selected.value.size ? [...selected.value] : visible.value;
    return uids.filter(isShown).slice(0, MOST);
  });
}

export default function Charts() {
  const uids = useChartedUids().value;
  void rowsVersion.value;
  useEffect(
    () => () => {
      hovered.value = null;
    },
    [],
  );
  return (
    <div class="charts">
      <h2>{plural(uids.length, "run")}</h2>
      <ul class="run-list">
        {uids.map((uid) => {
          const row = rowByUid(uid);
          return (
            row && (
              <li
                key={uid}
                class={hovered.value === uid ? "hovered" : undefined}
                onMouseEnter={() => {
                  hovered.value = uid;
                }}
                onMouseLeave={() => {
                  hovered.value = null;
                }}
              >
                <span class="swatch" style={{ background: colourVariable(uid) }} />
                <a href={`/runs/${uid}`}>{shortReference(row.reference)}</a>
              </li>
            )
          );
        })}
      </ul>
    </div>
  );
}
