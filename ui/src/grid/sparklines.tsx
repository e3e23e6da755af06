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

/** By key and row id; null while it is on its way. */
const lines = new Map<string, Cell[] | null>();
const version = signal(0);

const place = (key: string, id: number) => `${id} ${key}`;

/** Fetch what is missing of the sparklines of some rows. */
export function wantSparklines(ids: number[], keys: string[]): void {
  for (const key of keys) {
    const lacking = ids.filter((id) => !lines.has(place(key, id))).slice(0, AT_ONCE);
    if (lacking.length) void load(lacking, key);
  }
}

async function load(ids: number[], key: string): Promise<void> {
  for (const id of ids) lines.set(place(key, id), null);
  try {
    const query = { ids: ids.join(","), key: bare(key), points: POINTS };
    const answer = await get<{ sparklines: Record<string, Cell[]> }>("sparklines", query);
    for (const id of ids) lines.set(place(key, id), answer.sparklines[String(id)] ?? []);
  } catch (error) {
    for (const id of ids) lines.set(place(key, id), []);
    if (!isAbort(error)) console.warn(error);
  }
  for (const old of lines.keys()) {
    if (lines.size <= KEPT) break;
    lines.delete(old);
  }
  version.value++;
}

onPoints((event) => {
  for (const { id, keys } of event.runs) {
    for (const line of lines.keys()) {
      if (line.startsWith(`${id} `) && bare(line.slice(line.indexOf(" ") + 1)) in keys) lines.delete(line);
    }
  }
  version.value++;
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
  const values = lines.get(place(metric, id))?.map((value) => numberOf(value) ?? Number.NaN);
  if (!values?.length) return null;
  return (
    <svg class="sparkline" width={WIDTH} height={HEIGHT} role="img" aria-label={`Course of ${metric}`}>
      <path d={pathOf(values)} style={{ stroke: colourVariable(uid) }} />
    </svg>
  );
}
