// Colours of runs by the values of a column.
import { colourOf, COLOURS } from "../../common/colour";
import type { Scale } from "./scale";
import { NO_CATEGORY } from "./values";

/** Steps from low to high, each lighter than the one before; told apart by colour-blind people. */
const LIGHT = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#9fb52c", "#c9a400"];
const DARK = ["#6a58b8", "#5b7fd0", "#3f9fc0", "#35b79f", "#5cc863", "#aadc32", "#e8e337", "#fde725"];
const STEPS = 64;

export type Rgb = readonly [number, number, number];

function rgbOf(text: string): Rgb {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
}

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function mixed(one: Rgb, other: Rgb, share: number): Rgb {
  return one.map((value, at) => Math.round(value + (other[at]! - value) * share)) as unknown as Rgb;
}

export interface Colouring {
  /** Each run's place in `colours`. */
  of: Uint8Array;
  colours: Rgb[];
  /** The last colour is that of runs without a value. */
  none: number;
}

function stepsOf(theme: "light" | "dark"): Rgb[] {
  const stops = (theme === "dark" ? DARK : LIGHT).map(rgbOf);
  return Array.from({ length: STEPS }, (_, step) => {
    const at = (step / (STEPS - 1)) * (stops.length - 1);
    const below = Math.min(stops.length - 2, Math.floor(at));
    return mixed(stops[below]!, stops[below + 1]!, at - below);
  });
}

/** The colours of a gradient, from low to high, for a legend. */
export function gradient(theme: "light" | "dark"): string {
  return `linear-gradient(to right, ${(theme === "dark" ? DARK : LIGHT).join(", ")})`;
}

export function categoryColour(place: number): string {
  return `var(--run-${place % COLOURS})`;
}

/** Colour runs by a column; without one, all in the accent colour or each in its own. */
export function colouring(
  scale: Scale | null,
  count: number,
  theme: "light" | "dark",
  uids: (string | undefined)[] | null,
): Colouring {
  const of = new Uint8Array(count);
  const quiet = rgbOf(variable("--control"));
  if (!scale) {
    if (!uids) return { of, colours: [rgbOf(variable("--accent")), quiet], none: 1 };
    const known = new Map<string, number>();
    uids.forEach((uid, place) => {
      const colour = uid ? colourOf(uid) : variable("--control");
      if (!known.has(colour)) known.set(colour, known.size);
      of[place] = known.get(colour)!;
    });
    return { of, colours: [...[...known.keys()].map(rgbOf), quiet], none: known.size };
  }
  if (scale.column.kind === "category") {
    const colours = Array.from({ length: COLOURS }, (_, at) => rgbOf(variable(`--run-${at}`)));
    scale.column.values.forEach((value, place) => {
      of[place] = value === NO_CATEGORY ? COLOURS : value % COLOURS;
    });
    return { of, colours: [...colours, quiet], none: COLOURS };
  }
  for (let place = 0; place < count; place++) {
    const at = scale.places[place]!;
    of[place] = Number.isNaN(at) ? STEPS : Math.max(0, Math.min(STEPS - 1, Math.floor(at * STEPS)));
  }
  return { of, colours: [...stepsOf(theme), quiet], none: STEPS };
}
