// The colour of a run, the same one in every view, and the dashes of its lines.
import { signal } from "@preact/signals";
import { remembered } from "../state/remembered";

/** Okabe and Ito's colours and some more, told apart by colour-blind people; see styles/tokens.css. */
export const COLOURS = 10;
/** Dashes of lines whose colours are the same; canvas and SVG both take them. */
export const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [14, 4], [8, 2, 2, 2, 2, 2]] as const;

/** How the lines of a run look: a place among the colours and one among the dashes. */
export interface Mark {
  colour: number;
  dash: number;
}

/** So many are kept for the next visit, the newest. */
const KEPT = 500;
const SAVE_MS = 1000;

const saved = remembered<[string, number, number][]>("marks", []);
const marks = new Map<string, Mark>(
  saved.peek().map(([id, colour, dash]) => [id, { colour: colour % COLOURS, dash: dash % DASHES.length }]),
);
/** Grows when a mark has changed that may have been drawn. */
const changes = signal(0);
/** What each chart or list shows. */
const crowds = new WeakMap<object, ReadonlySet<string>>();

/** Return how the lines of a run, of one of its sets, or of a mean look. */
export function markOf(id: string): Mark {
  void changes.value;
  return marks.get(id) ?? { colour: hashedColour(id), dash: 0 };
}

/** Return a colour to begin with: neighbouring uids get colours that have nothing in common. */
function hashedColour(id: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (let at = 0; at < id.length; at++) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193) >>> 0;
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
  return (hash >>> 8) % COLOURS;
}

/**
 * Have what is shown together look different, as far as colours and dashes go. Whatever was there
 * before keeps its look; what comes gives way.
 */
export function distinguish(owner: object, ids: readonly string[]): void {
  const before = crowds.get(owner);
  const coming = before ? ids.filter((id) => !before.has(id)) : ids;
  crowds.set(owner, new Set(ids));
  if (!coming.length) return;
  const uses = Array.from({ length: COLOURS }, () => DASHES.map(() => 0));
  const count = ({ colour, dash }: Mark) => uses[colour]![dash]!++;
  if (before) for (const id of ids) if (before.has(id)) count(markOf(id));
  let hasChanged = false;
  for (const id of coming) {
    const old = marks.get(id);
    const mark = old && !uses[old.colour]![old.dash] ? old : freeMark(uses, old?.colour ?? hashedColour(id));
    count(mark);
    if (old?.colour === mark.colour && old.dash === mark.dash) continue;
    hasChanged = true;
    marks.set(id, mark);
  }
  if (!hasChanged) return;
  // Not while something is being drawn.
  queueMicrotask(() => changes.value++);
  saveSoon();
}

/** Return the least used colour, the liked one if it is among them, with its least used dash. */
function freeMark(uses: readonly (readonly number[])[], liked: number): Mark {
  const sums = uses.map((dashes) => dashes.reduce((sum, one) => sum + one, 0));
  const least = Math.min(...sums);
  let colour = liked;
  while (sums[colour] !== least) colour = (colour + 1) % COLOURS;
  const dashes = uses[colour]!;
  return { colour, dash: dashes.indexOf(Math.min(...dashes)) };
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Keep the marks for the next visit, so that a reload gives the same picture. */
function saveSoon(): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    saved.value = [...marks].slice(-KEPT).map(([id, { colour, dash }]) => [id, colour, dash]);
  }, SAVE_MS);
}

/** Return the CSS variable with a run's colour. */
export function colourVariable(uid: string): string {
  return `var(--run-${markOf(uid).colour})`;
}

/** Return a run's colour as it is drawn on a canvas, in the theme that is shown. */
export function colourOf(uid: string): string {
  const name = `--run-${markOf(uid).colour}`;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
