// Lines of one height in a scrollbar that may stand for more of them than a browser can scroll.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ScrollRange } from "../grid/scroll-range";

const SETTLED_MS = 150;
const OVERSCAN = 15;

/** The state between a scroll element and the lines in it. */
export class Scroller {
  readonly range = new ScrollRange();
  /** Pixels of the list above the sight. */
  offset = 0;
  private top = 0;
  private count = 0;
  private element: HTMLElement | null = null;

  constructor(
    private readonly height: number,
    private readonly onChange: () => void,
    private readonly onSettled: (isByHand: boolean) => void,
  ) {}

  update(count: number): void {
    this.count = count;
    this.measure();
  }

  get seen(): number {
    return Math.max(this.height, this.element?.clientHeight ?? 600);
  }

  private measure(): void {
    this.range.resize(this.count * this.height, this.seen);
    if (this.offset > this.range.lastOffset) this.offset = this.range.lastOffset;
  }

  observe(element: HTMLElement): () => void {
    this.element = element;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onScroll = () => {
      const top = element.scrollTop;
      if (top === this.top) return; // sideways, or put there by us
      this.measure();
      this.offset = this.range.moved(this.offset, this.top, top);
      this.top = top;
      this.onChange();
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.put(this.offset);
        this.onSettled(true);
      }, SETTLED_MS);
    };
    const resized = new ResizeObserver(() => {
      this.measure();
      this.onChange();
    });
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
  private put(offset: number): void {
    this.measure();
    this.offset = Math.min(this.range.lastOffset, Math.max(0, offset));
    if (!this.element) return;
    const top = this.range.topOf(this.offset);
    if (Math.abs(this.element.scrollTop - top) >= 1) this.element.scrollTop = top;
    this.top = this.element.scrollTop;
  }

  scrollTo(offset: number): void {
    this.put(offset);
    this.onChange();
  }

  /** Put a line into the upper third, if it is not in sight. */
  reveal(place: number): void {
    const start = place * this.height;
    if (start >= this.offset && start + this.height <= this.offset + this.seen) return;
    this.scrollTo(start - Math.floor(this.seen / 3));
  }

  toEnd(): void {
    this.measure();
    this.scrollTo(this.range.lastOffset);
  }

  get isAtEnd(): boolean {
    return this.offset >= this.range.lastOffset - this.height;
  }

  get first(): number {
    return Math.floor(this.offset / this.height);
  }

  /** The lines that are drawn. */
  drawn(): { first: number; last: number; shift: number } {
    const first = Math.max(0, this.first - OVERSCAN);
    const last = Math.min(this.count - 1, Math.ceil((this.offset + this.seen) / this.height) + OVERSCAN);
    return { first, last, shift: this.top - this.offset };
  }
}

/** Return the scroller of an element, drawn again when it moves. */
export function useScroller(
  getElement: () => HTMLElement | null,
  height: number,
  count: number,
  onSettled: (isByHand: boolean) => void,
): Scroller {
  const [, drawAgain] = useState(0);
  const settled = useRef(onSettled);
  settled.current = onSettled;
  const scroller = useRef<Scroller | null>(null);
  scroller.current ??= new Scroller(
    height,
    () => drawAgain((version) => version + 1),
    (isByHand) => settled.current(isByHand),
  );
  const now = scroller.current;
  now.update(count);
  useLayoutEffect(() => {
    const element = getElement();
    return element ? now.observe(element) : undefined;
  }, [now]);
  return now;
}
