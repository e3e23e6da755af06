// Small lines of a metric's course, fetched for the rows in sight.
import { signal } from "@preact/signals";
import { get, isAbort } from "../api/client";
import { onPoints } from "../api/live";
import type { Cell } from "../api/types";
import { colourVariable } from "../common/colour";
import { numberOf } from "../common/values";
import { bare } from "../state/columns";

const POINTS = 32;
const AT_ONCE = 100;
const KEPT = 20_000;
const WIDTH = 110;
const HEIGHT = 22;

interface Kept {
  values: Cell[];
  isLoading: boolean;
  /** Points have arrived that it lacks; it is shown until it is fetched again. */
  isBehind: boolean;
}

/** By key and row id. */
const lines = new Map<string, Kept>();
const version = signal(0);

const place = (key: string, id: number) => `${id} ${key}`;

/** Fetch what is missing of the sparklines of some rows. */
export function wantSparklines(ids: number[], keys: string[]): void {
  for (const key of keys) {
    const lacking = ids.filter((id) => {
      const found = lines.get(place(key, id));
      return !found || (found.isBehind && !found.isLoading);
    });
    if (lacking.length) void load(lacking.slice(0, AT_ONCE), key);
  }
}

async function load(ids: number[], key: string): Promise<void> {
  const mine = ids.map((id): [number, Kept] => {
    const made = { values: lines.get(place(key, id))?.values ?? [], isLoading: true, isBehind: false };
    lines.set(place(key, id), made);
    return [id, made];
  });
  try {
    const query = { ids: ids.join(","), key: bare(key), points: POINTS };
    const answer = await get<{ sparklines: Record<string, Cell[]> }>("sparklines", query);
    for (const [id, one] of mine) one.values = answer.sparklines[String(id)] ?? [];
  } catch (error) {
    if (!isAbort(error)) console.warn(error);
  }
  for (const [, one] of mine) one.isLoading = false;
  for (const old of lines.keys()) {
    if (lines.size <= KEPT) break;
    lines.delete(old);
  }
  version.value++;
}

onPoints((event) => {
  for (const { id, keys } of event.runs) {
    for (const [line, one] of lines) {
      if (line.startsWith(`${id} `) && bare(line.slice(line.indexOf(" ") + 1)) in keys) one.isBehind = true;
    }
  }
});

function pathOf(values: number[]): string {
  const finite = values.filter(Number.isFinite);
  const least = Math.min(...finite);
  // Halves, since the difference of the largest numbers is infinite.
  const span = Math.max(...finite) / 2 - least / 2 || 1;
  const step = WIDTH / Math.max(1, values.length - 1);
  let text = "";
  let isDown = false; // a gap where a value is no number
  values.forEach((value, at) => {
    if (!Number.isFinite(value)) {
      isDown = false;
      return;
    }
    const y = HEIGHT - 2 - ((value / 2 - least / 2) / span) * (HEIGHT - 4);
    text += `${isDown ? "L" : "M"}${(at * step).toFixed(1)} ${y.toFixed(1)}`;
    isDown = true;
  });
  return text;
}

export function Sparkline({ id, uid, metric }: { id: number; uid: string; metric: string }) {
  void version.value;
  const values = lines.get(place(metric, id))?.values.map((value) => numberOf(value) ?? Number.NaN);
  if (!values?.length) return null;
  return (
    <svg class="sparkline" width={WIDTH} height={HEIGHT} role="img" aria-label={`Curve of ${metric}`}>
      <path d={pathOf(values)} style={{ stroke: colourVariable(uid) }} />
    </svg>
  );
}
