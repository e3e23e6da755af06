// Which lines of the grid are in sight.
import { type Rect, Virtualizer } from "@tanstack/virtual-core";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ScrollRange } from "./scroll-range";

export const ROW_HEIGHT = 32;
const OVERSCAN = 8;
/** After so long without a scroll event the scrollbar is put where the list is. */
const SETTLED_MS = 150;

export interface Line {
  index: number;
  /** Pixels from the top of the laid-out list. */
  top: number;
}

/** The state between the scroll element, the scroll range and virtual-core. */
export class Viewport {
  readonly range = new ScrollRange();
  readonly virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  /** Pixels of the list above the sight. */
  offset = 0;
  /** 1 when the list was last moved down, -1 up. */
  direction = 1;
  private top = 0;
  /** Height of the scroll element, without a scrollbar. */
  private height = 800;
  private count = 0;
  private kept = -1;
  private tell: ((offset: number, isScrolling: boolean) => void) | null = null;
  private element: HTMLElement | null = null;

  constructor(
    private readonly getElement: () => HTMLElement | null,
    private readonly getHead: () => number,
    private readonly onChange: () => void,
  ) {
    this.virtualizer = new Virtualizer(this.options());
  }

  private options() {
    return {
      count: this.count,
      getScrollElement: this.getElement,
      estimateSize: () => ROW_HEIGHT,
      overscan: OVERSCAN,
      initialRect: { width: 1000, height: this.height },
      observeElementRect: (_: unknown, tell: (rect: Rect) => void) => this.observeSize(tell),
      observeElementOffset: (_: unknown, tell: (offset: number, isScrolling: boolean) => void) =>
        this.observe(tell),
      scrollToFn: (offset: number) => this.scrollTo(offset),
      rangeExtractor: (range: { startIndex: number; endIndex: number; overscan: number; count: number }) =>
        this.lines(range),
      onChange: this.onChange,
    };
  }

  /** Take the number of lines, and one that stays drawn wherever it is because it has the focus. */
  update(count: number, kept: number): void {
    this.count = count;
    this.kept = kept;
    this.virtualizer.setOptions(this.options());
    this.measure();
  }

  private measure(): void {
    this.range.resize(this.count * ROW_HEIGHT, this.seen);
    if (this.offset > this.range.lastOffset) this.offset = this.range.lastOffset;
  }

  /** Pixels of the list in sight, without the head of the grid. */
  get seen(): number {
    return Math.max(ROW_HEIGHT, this.height - this.getHead());
  }

  private lines(range: { startIndex: number; endIndex: number; overscan: number; count: number }): number[] {
    const first = Math.max(0, range.startIndex - range.overscan);
    const last = Math.min(range.count - 1, range.endIndex + range.overscan);
    const indexes = [];
    if (this.kept >= 0 && this.kept < first) indexes.push(this.kept);
    for (let index = first; index <= last; index++) indexes.push(index);
    if (this.kept > last && this.kept < range.count) indexes.push(this.kept);
    return indexes;
  }

  /** Read the size only when it changes: after the lines were drawn, reading it lays them out. */
  private observeSize(tell: (rect: Rect) => void): () => void {
    const element = this.getElement();
    if (!element) return () => undefined;
    const look = () => {
      this.height = element.clientHeight;
      tell({ width: element.clientWidth, height: this.height });
    };
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    return () => resized.disconnect();
  }

  private observe(tell: (offset: number, isScrolling: boolean) => void): () => void {
    const element = (this.element = this.getElement());
    if (!element) return () => undefined;
    this.tell = tell;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onScroll = () => {
      const top = element.scrollTop;
      if (top === this.top) return; // sideways
      this.measure();
      const before = this.offset;
      this.offset = this.range.moved(before, this.top, top);
      this.top = top;
      this.direction = this.offset < before ? -1 : 1;
      tell(this.offset, true);
      clearTimeout(timer);
      timer = setTimeout(() => {
        // The scrollbar was moved, and its event is still to come.
        if (element.scrollTop !== this.top) return;
        this.scrollTo(this.offset);
        tell(this.offset, false);
      }, SETTLED_MS);
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    tell(this.offset, false);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("scroll", onScroll);
      this.tell = null;
    };
  }

  /** Put the list at an offset. */
  scrollTo(offset: number): void {
    this.measure();
    this.offset = Math.min(this.range.lastOffset, Math.max(0, offset));
    if (!this.element) return;
    const top = this.range.topOf(this.offset);
    if (Math.abs(this.element.scrollTop - top) >= 1) this.element.scrollTop = top;
    this.top = this.element.scrollTop;
    this.tell?.(this.offset, false);
    this.onChange();
  }

  /** Move as little as it takes to see a line. */
  reveal(index: number): void {
    const start = index * ROW_HEIGHT;
    if (start < this.offset) this.scrollTo(start);
    else if (start + ROW_HEIGHT > this.offset + this.seen) this.scrollTo(start + ROW_HEIGHT - this.seen);
  }

  /** Whole lines that fit into the sight. */
  get page(): number {
    return Math.max(1, Math.floor(this.seen / ROW_HEIGHT) - 1);
  }

  get firstVisible(): number {
    return Math.floor(this.offset / ROW_HEIGHT);
  }

  get lastVisible(): number {
    return Math.min(this.count - 1, Math.floor((this.offset + this.seen - 1) / ROW_HEIGHT));
  }

  drawn(): Line[] {
    const shift = this.top - this.offset;
    return this.virtualizer.getVirtualItems().map((item) => ({
      index: item.index,
      top: Math.round(item.index * ROW_HEIGHT + shift),
    }));
  }
}

/** Return the viewport of a scroll element, drawn again when what is in sight changes. */
export function useViewport(
  getElement: () => HTMLElement | null,
  getHead: () => number,
  count: number,
  kept: number,
): Viewport {
  const [, drawAgain] = useState(0);
  const viewport = useRef<Viewport | null>(null);
  viewport.current ??= new Viewport(getElement, getHead, () => drawAgain((version) => version + 1));
  const now = viewport.current;
  now.update(count, kept);
  useLayoutEffect(() => now.virtualizer._didMount(), [now]);
  useLayoutEffect(() => now.virtualizer._willUpdate());
  return now;
}
