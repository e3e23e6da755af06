// What is under the pointer: the run, and what it has in the columns that are drawn.
import { useEffect } from "preact/hooks";
import { colourVariable } from "../../common/colour";
import { StatusMark } from "../../common/status";
import { rowOf, rowsVersion, wantRows } from "../../state/rows";
import type { Size } from "./canvas";
import { columnTitle } from "./column-choice";
import { shownValue } from "./scale";
import type { Values } from "./values";

interface TipProps {
  values: Values;
  place: number;
  names: string[];
  x: number;
  y: number;
  size: Size;
}

const WIDTH = 260;

export function Tip({ values, place, names, x, y, size }: TipProps) {
  const id = values.ids[place]!;
  useEffect(() => {
    const timer = setTimeout(() => wantRows([id], 1, []), 60);
    return () => clearTimeout(timer);
  }, [id]);
  void rowsVersion.value;
  const row = rowOf(id);
  const isRight = x > size.width - WIDTH - 20;
  const style: Record<string, string> = {
    left: isRight ? "auto" : `${x + 14}px`,
    right: isRight ? `${size.width - x + 14}px` : "auto",
    top: y > size.height / 2 ? "auto" : `${y + 14}px`,
    bottom: y > size.height / 2 ? `${size.height - y + 14}px` : "auto",
  };
  return (
    <div class="plot-tip tip" style={style} role="status">
      <div class="plot-tip-run">
        {row ? (
          <>
            <span class="swatch" style={{ background: colourVariable(row.uid) }} />
            <strong>{row.name}</strong>
            <StatusMark status={row.status} text={row.status_text} />
          </>
        ) : (
          "…"
        )}
      </div>
      <dl>
        {[...new Set(names)].map((name) => {
          const column = values.columns.get(name);
          return (
            column && (
              <div key={name}>
                <dt>{columnTitle(name)}</dt>
                <dd>{shownValue(column, place)}</dd>
              </div>
            )
          );
        })}
      </dl>
    </div>
  );
}
