// The cell that has the focus. Lines above the first run are negative: pinned runs, then the header.
import { signal } from "@preact/signals";

export interface Active {
  /** Line: 0 is the first run; -1 the lowest pinned run or the header. */
  line: number;
  /** Place of the column: 0 holds the marks. */
  column: number;
  /** The run at the line, so that the focus stays with it when runs come and go. */
  id: number | null;
}

export const active = signal<Active>({ line: 0, column: 1, id: null });
