// What colours mean: a gradient with its ends, or categories.
import { colourVariable } from "../../common/colour";
import { formatNumber, plural } from "../../common/values";
import { visibleText } from "../../run/visible";
import { rowByUid, rowsVersion } from "../../state/rows";
import { theme } from "../../state/theme";
import { columnTitle } from "./column-choice";
import { categoryColour, gradient } from "./palette";
import type { Scale } from "./scale";

const SHOWN = 24;

export function Legend({ scale }: { scale: Scale | null }) {
  if (!scale) return null;
  const { column } = scale;
  return (
    <div class="legend fine bar" role="group" aria-label={`Colours: ${columnTitle(column.name)}`}>
      <span class="legend-title">{columnTitle(column.name)}</span>
      {column.kind === "category" ? (
        <ul>
          {column.categories.slice(0, SHOWN).map((text, place) => (
            <li key={text}>
              <span class="swatch" style={{ background: categoryColour(place) }} />
              {visibleText(text) || "(empty)"}
            </li>
          ))}
          {column.categories.length > SHOWN && <li>and {plural(column.categories.length - SHOWN, "other")}</li>}
          {scale.apart > 0 && <NoValue text={scale.apartText} count={scale.apart} />}
        </ul>
      ) : (
        <ul>
          <li class="legend-gradient">
            {endText(scale, scale.low)}
            <span style={{ background: gradient(theme.value) }} />
            {endText(scale, scale.high)}
            {scale.isLog && <small>log</small>}
          </li>
          {scale.apart > 0 && <NoValue text={scale.apartText} count={scale.apart} />}
        </ul>
      )}
    </div>
  );
}

const RUNS_SHOWN = 20;

/** The colours of runs that were chosen one by one. */
export function RunLegend({ uids }: { uids: (string | undefined)[] | null }) {
  void rowsVersion.value;
  const rows = (uids ?? []).flatMap((uid) => (uid ? (rowByUid(uid) ?? []) : []));
  if (!rows.length) return null;
  return (
    <ul class="legend fine bar" aria-label="Colours of runs">
      {rows.slice(0, RUNS_SHOWN).map((row) => (
        <li key={row.uid}>
          <span class="swatch" style={{ background: colourVariable(row.uid) }} />
          <a href={`/runs/${row.uid}`}>{row.name}</a>
        </li>
      ))}
      {rows.length > RUNS_SHOWN && <li>and {plural(rows.length - RUNS_SHOWN, "other")}</li>}
    </ul>
  );
}

function endText(scale: Scale, value: number): string {
  if (scale.column.kind !== "time") return formatNumber(Number(value.toPrecision(3)));
  return new Date(value * 1000).toLocaleDateString();
}

function NoValue({ text, count }: { text: string; count: number }) {
  return (
    <li>
      <span class="swatch legend-none" />
      {text} ({plural(count, "run")})
    </li>
  );
}
