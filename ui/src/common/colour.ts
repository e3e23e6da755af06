// The colour of a run: the same one in every view, chosen by its uid.

/** Okabe and Ito's colours and some more, told apart by colour-blind people; see styles/tokens.css. */
export const COLOURS = 10;
/** Dashes of lines whose colours are the same; canvas and SVG both take them. */
export const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [14, 4], [8, 2, 2, 2, 2, 2]] as const;

/** Return the place of a run's colour and of its dash. */
export function markOf(uid: string): { colour: number; dash: number } {
  // FNV-1a; neighbouring uids get colours that have nothing in common.
  let hash = 0x811c9dc5;
  for (let at = 0; at < uid.length; at++) {
    hash = Math.imul(hash ^ uid.charCodeAt(at), 0x01000193) >>> 0;
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
  return { colour: (hash >>> 8) % COLOURS, dash: (hash >>> 16) % DASHES.length };
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
