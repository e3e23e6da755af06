// The place on the x axis that is looked at; all charts show it.
import { signal } from "@preact/signals";

export interface Cursor {
  /** The chart that the pointer or the keyboard is in. */
  chart: object;
  x: number;
  /** Pixels of the page; null when the keyboard moved it. */
  pointer: { x: number; y: number } | null;
}

export const cursor = signal<Cursor | null>(null);
