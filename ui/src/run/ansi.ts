// Lines of terminals: colours and bold are shown; nothing else of an escape sequence is obeyed.
export interface Style {
  /** Classes of run.css. */
  classes: string[];
  /** Colours beyond the sixteen of terminals. */
  colour: string | null;
  ground: string | null;
}

export interface Piece extends Style {
  text: string;
  isMarked: boolean;
}

type Span = readonly [number, number];

/** As the server takes them out of a line: CSI sequences, titles and links. */
const SEQUENCE = /\x1b\[([0-9;:?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

interface State {
  looks: readonly string[];
  colour: number | string | null;
  ground: number | string | null;
}

const PLAIN: State = { looks: [], colour: null, ground: null };

/** What a code turns on, and which ones another turns off. */
const ON: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const OFF: Record<number, string[]> = {
  21: ["bold", "dim"], 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"],
};

/** Cut a line into pieces of one style each; `spans` are places in its text without sequences. */
export function readLine(line: string, spans: readonly Span[] = []): Piece[] {
  const pieces: Piece[] = [];
  let state = PLAIN;
  let begin = 0;
  let place = 0;
  const add = (text: string) => {
    if (!text) return;
    for (const [part, isMarked] of cutAt(text, place, spans)) {
      pieces.push({ ...styleOf(state), text: part, isMarked });
    }
    place += text.length;
  };
  for (const found of line.matchAll(SEQUENCE)) {
    add(line.slice(begin, found.index));
    begin = found.index + found[0].length;
    if (found[2] === "m" && !found[1]?.includes("?")) state = changed(state, found[1] ?? "");
  }
  add(line.slice(begin));
  return pieces;
}

function cutAt(text: string, place: number, spans: readonly Span[]): [string, boolean][] {
  const parts: [string, boolean][] = [];
  let at = 0;
  for (const [first, last] of spans) {
    const from = Math.min(text.length, Math.max(at, first - place));
    const to = Math.min(text.length, Math.max(from, last - place));
    if (from > at) parts.push([text.slice(at, from), false]);
    if (to > from) parts.push([text.slice(from, to), true]);
    at = Math.max(at, to);
  }
  if (at < text.length) parts.push([text.slice(at), false]);
  return parts;
}

function changed(before: State, codes: string): State {
  const state = { ...before };
  const numbers = codes.split(/[;:]/).map(Number);
  while (numbers.length) {
    const code = numbers.shift() ?? 0;
    const [on, off] = [ON[code], OFF[code]];
    if (code === 0) Object.assign(state, PLAIN);
    else if (on) state.looks = [...new Set([...state.looks, on])];
    else if (off) state.looks = state.looks.filter((look) => !off.includes(look));
    else if (code === 39) state.colour = null;
    else if (code === 49) state.ground = null;
    else if (code >= 30 && code <= 37) state.colour = code - 30;
    else if (code >= 90 && code <= 97) state.colour = code - 90 + 8;
    else if (code >= 40 && code <= 47) state.ground = code - 40;
    else if (code >= 100 && code <= 107) state.ground = code - 100 + 8;
    else if (code === 38) state.colour = longColour(numbers) ?? state.colour;
    else if (code === 48) state.ground = longColour(numbers) ?? state.ground;
    else if (code === 58) longColour(numbers);
  }
  return state;
}

/** Take the parts of a colour from the front: 5 and a number, or 2 and three. */
function longColour(numbers: number[]): number | string | null {
  const kind = numbers.shift();
  if (kind === 5) {
    const at = numbers.shift() ?? -1;
    if (!(at >= 0 && at <= 255)) return null;
    if (at < 16) return at;
    if (at >= 232) return grey(8 + (at - 232) * 10);
    const level = (value: number) => (value ? 55 + value * 40 : 0);
    const [red, green, blue] = [Math.floor((at - 16) / 36), Math.floor((at - 16) / 6) % 6, (at - 16) % 6];
    return `rgb(${level(red)} ${level(green)} ${level(blue)})`;
  }
  if (kind !== 2) return null;
  const parts = numbers.splice(0, 3);
  const isColour = parts.length === 3 && parts.every((part) => part >= 0 && part <= 255);
  return isColour ? `rgb(${parts.join(" ")})` : null;
}

function grey(level: number): string {
  return `rgb(${level} ${level} ${level})`;
}

function styleOf(state: State): Style {
  const classes = state.looks.map((look) => `ansi-${look}`);
  if (typeof state.colour === "number") classes.push(`ansi-${state.colour}`);
  if (typeof state.ground === "number") classes.push(`ansi-on-${state.ground}`);
  return {
    classes,
    colour: typeof state.colour === "string" ? state.colour : null,
    ground: typeof state.ground === "string" ? state.ground : null,
  };
}

/** Turn places counted in characters, as Python counts, into places of this language's strings. */
export function inUnits(text: string, spans: readonly Span[]): Span[] {
  if (!/[\ud800-\udbff]/.test(text)) return [...spans];
  const places = [0];
  for (const sign of text) places.push((places.at(-1) ?? 0) + sign.length);
  const at = (place: number) => places[place] ?? text.length;
  return spans.map(([first, last]) => [at(first), at(last)] as const);
}

/** Return a line's text without its sequences. */
export function plainLine(line: string): string {
  return line.replace(SEQUENCE, "");
}
