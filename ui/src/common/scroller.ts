// Which lines of one height are in sight, in a scrollbar that may stand for more than a browser can scroll.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ScrollRange } from "./scroll-range";

/** After so long without a scroll event the scrollbar is put where the list is. */
const SETTLED_MS = 150;

interface Look {
  lineHeight: number;
  /** Lines drawn beyond those in sight. */
  overscan: number;
  /** Pixels of the element that are always above the lines. */
  headHeight?: number;
  /** A line that stays drawn wherever it is because it has the focus. */
  kept?: number;
  /** Called after the list was moved by hand. */
  onSettled?: () => void;
}

/** The state between a scroll element and the lines in it. */
export class Scroller {
  readonly range = new ScrollRange();
  /** Pixels of the list above the sight. */
  offset = 0;
  /** 1 when the list was last moved down, -1 up. */
  direction = 1;
  private top = 0;
  /** Height of the scroll element, without a scrollbar. */
  private height = 800;
  private count = 0;
  private element: HTMLElement | null = null;

  constructor(
    private look: Look,
    private readonly onChange: () => void,
  ) {}

  update(count: number, look: Look): void {
    this.count = count;
    this.look = look;
    this.measure();
  }

  private measure(): void {
    this.range.resize(this.count * this.look.lineHeight, this.seen);
    if (this.offset > this.range.lastOffset) this.offset = this.range.lastOffset;
  }

  /** Pixels of the list in sight. */
  private get seen(): number {
    return Math.max(this.look.lineHeight, this.height - (this.look.headHeight ?? 0));
  }

  observe(element: HTMLElement): () => void {
    this.element = element;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onScroll = () => {
      const top = element.scrollTop;
      if (top === this.top) return; // sideways, or put there by us
      const drawn = this.drawnText();
      this.measure();
      const before = this.offset;
      this.offset = this.range.moved(before, this.top, top);
      this.top = top;
      this.direction = this.offset < before ? -1 : 1;
      if (this.drawnText() !== drawn) this.onChange();
      clearTimeout(timer);
      timer = setTimeout(() => {
        // The scrollbar was moved, and its event is still to come.
        if (element.scrollTop !== this.top) return;
        this.scrollTo(this.offset);
        this.look.onSettled?.();
      }, SETTLED_MS);
    };
    // Read only when it changes: after the lines were drawn, reading it lays them out.
    const resize = () => {
      if (this.height === element.clientHeight) return;
      this.height = element.clientHeight;
      this.measure();
      this.onChange();
    };
    resize();
    const resized = new ResizeObserver(resize);
    element.addEventListener("scroll", onScroll, { passive: true });
    resized.observe(element);
    return () => {
      clearTimeout(timer);
      resized.disconnect();
      element.removeEventListener("scroll", onScroll);
      this.element = null;
    };
  }

  /** Put the list at an offset. */
  scrollTo(offset: number): void {
    this.measure();
    this.offset = Math.min(this.range.lastOffset, Math.max(0, offset));
    if (this.element) {
      const top = this.range.topOf(this.offset);
      if (Math.abs(this.element.scrollTop - top) >= 1) this.element.scrollTop = top;
      this.top = this.element.scrollTop;
    }
    this.onChange();
  }

  toEnd(): void {
    this.measure();
    this.scrollTo(this.range.lastOffset);
  }

  get isAtEnd(): boolean {
    return this.offset >= this.range.lastOffset - this.look.lineHeight;
  }

  /** Move as little as it takes to see a line. */
  reveal(place: number): void {
    const start = place * this.look.lineHeight;
    const end = start + this.look.lineHeight;
    if (start < this.offset) this.scrollTo(start);
    else if (end > this.offset + this.seen) this.scrollTo(end - this.seen);
  }

  /** Put a line into the upper third, if it is not in sight. */
  goTo(place: number): void {
    const start = place * this.look.lineHeight;
    if (start >= this.offset && start + this.look.lineHeight <= this.offset + this.seen) return;
    this.scrollTo(start - Math.floor(this.seen / 3));
  }

  /** Whole lines that fit into the sight. */
  get page(): number {
    return Math.max(1, Math.floor(this.seen / this.look.lineHeight) - 1);
  }

  get first(): number {
    return Math.floor(this.offset / this.look.lineHeight);
  }

  get last(): number {
    return Math.min(this.count - 1, Math.floor((this.offset + this.seen - 1) / this.look.lineHeight));
  }

  /** The lines that are drawn, with pixels from the top of the laid-out list. */
  drawn(): { index: number; top: number }[] {
    const { overscan, kept = -1, lineHeight } = this.look;
    const first = Math.max(0, this.first - overscan);
    const last = Math.min(this.count - 1, this.last + overscan);
    const indexes = Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
    if (kept >= 0 && kept < first) indexes.unshift(kept);
    if (kept > last && kept < this.count) indexes.push(kept);
    const shift = this.top - this.offset;
    return indexes.map((index) => ({ index, top: Math.round(index * lineHeight + shift) }));
  }

  private drawnText(): string {
    return `${this.first} ${this.last} ${this.top - this.offset}`;
  }
}

/** Return the scroller of an element, drawn again when what is in sight changes. */
export function useScroller(getElement: () => HTMLElement | null, count: number, look: Look): Scroller {
  const [, drawAgain] = useState(0);
  const scroller = useRef<Scroller | null>(null);
  scroller.current ??= new Scroller(look, () => drawAgain((version) => version + 1));
  const now = scroller.current;
  now.update(count, look);
  useLayoutEffect(() => {
    const element = getElement();
    return element ? now.observe(element) : undefined;
  }, [now]);
  return now;
}
