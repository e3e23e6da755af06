// What both plots draw runs with: colours, the ranges that are chosen, and axes that are logarithmic.
import { useMemo } from "preact/hooks";
import { joinNames, splitNames } from "../../api/client";
import { go, setQuery, word } from "../../state/address";
import { rowOf, rowsVersion, uidsOf } from "../../state/rows";
import { theme } from "../../state/theme";
import { showError } from "../../state/toasts";
import { brushesOf, maskOf, type Range, rangeOf } from "./brush";
import { colouring } from "./palette";
import { canBeLog, isBestLog, scaleOf } from "./scale";
import type { ValueColumn, Values } from "./values";

const logWord = word("log");
const linearWord = word("linear");

/** Say whether an axis is logarithmic: as somebody chose, or else as its values are read best. */
export function isLogAxis(column: ValueColumn | undefined): boolean {
  if (!column || !canBeLog(column)) return false;
  if (splitNames(logWord.value).includes(column.name)) return true;
  return isBestLog(column) && !splitNames(linearWord.value).includes(column.name);
}

export function toggleLog(column: ValueColumn): void {
  const now = isLogAxis(column);
  const without = (text: string): string[] => splitNames(text).filter((name) => name !== column.name);
  const [logs, linears] = [without(logWord.value), without(linearWord.value)];
  if (!now && !isBestLog(column)) logs.push(column.name);
  if (now && isBestLog(column)) linears.push(column.name);
  setQuery({ log: joinNames(logs), linear: joinNames(linears) }, { replace: true });
}

/** Return what the runs of a plot are drawn with. */
export function useDrawing(values: Values, axes: string[], colour: string, areChosen: boolean) {
  const { count, ids, columns } = values;
  const isLog = isLogAxis(columns.get(colour));
  const colours = useMemo(
    () => (colour ? scaleOf(columns.get(colour)!, { isLog, jitter: 0, ids }) : null),
    [values, colour, isLog],
  );
  const uids = useUids(areChosen && !colour ? ids : null);
  const shownTheme = theme.value;
  const paint = useMemo(() => colouring(colours, count, shownTheme, uids), [colours, values, shownTheme, uids]);
  const texts = [...brushesOf(axes)];
  const ranges = useMemo(() => {
    const found: [ValueColumn, Range][] = [];
    for (const [name, text] of texts) {
      const range = rangeOf(columns.get(name)!, text);
      if (range) found.push([columns.get(name)!, range]);
    }
    return found;
  }, [values, JSON.stringify(texts)]);
  const mask = useMemo(() => maskOf(count, ranges), [ranges]);
  return { colours, uids, paint, ranges, mask };
}

/** Return the uid of each run, for few runs; null until they are known. */
function useUids(ids: Uint32Array | null): (string | undefined)[] | null {
  void rowsVersion.value;
  return useMemo(() => (ids && ids.length <= 100 ? Array.from(ids, (id) => rowOf(id)?.uid) : null), [ids, rowsVersion.value]);
}

/** Open the run of a row. */
export async function openRun(id: number): Promise<void> {
  try {
    const [uid] = await uidsOf([id]);
    if (uid) go(`/runs/${uid}`);
  } catch (error) {
    showError(error);
  }
}

/** Return where a pointer is within the element that listens. */
export function spotOf(event: PointerEvent): [number, number] {
  const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
