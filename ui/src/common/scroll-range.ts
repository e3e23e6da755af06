// A list may be higher than a browser can scroll; then the scrollbar stands for parts of it.

/** Layout height that every browser scrolls; Firefox ends at 17.9 million pixels. */
const HIGHEST = 6_000_000;

/**
 * Places in a list (offsets) and places of the scrollbar (tops).
 *
 * Near both ends a pixel is a pixel; between them the scrollbar's pixels stand for more. Small
 * movements (wheel, keys, touch) move the list by as many pixels as they say.
 */
export class ScrollRange {
  /** Height of the list as it is laid out. */
  height = 0;
  private total = 0;
  private seen = 0;

  /** Take a list of `total` pixels of which `seen` are in sight. */
  resize(total: number, seen: number): void {
    this.total = total;
    this.seen = seen;
    this.height = Math.min(total, HIGHEST);
  }

  get lastOffset(): number {
    return Math.max(0, this.total - this.seen);
  }

  private get lastTop(): number {
    return Math.max(0, this.height - this.seen);
  }

  private get isMapped(): boolean {
    return this.height < this.total;
  }

  /** Pixels of the scrollbar at either end that stand for themselves. */
  private get exact(): number {
    return this.lastTop / 4;
  }

  private get ratio(): number {
    return (this.lastOffset - 2 * this.exact) / (this.lastTop - 2 * this.exact);
  }

  offsetOf(top: number): number {
    if (!this.isMapped || top <= this.exact) return top;
    if (top >= this.lastTop - this.exact) return this.lastOffset - (this.lastTop - top);
    return this.exact + (top - this.exact) * this.ratio;
  }

  topOf(offset: number): number {
    if (!this.isMapped || offset <= this.exact) return offset;
    if (offset >= this.lastOffset - this.exact) return this.lastTop - (this.lastOffset - offset);
    return this.exact + (offset - this.exact) / this.ratio;
  }

  /** Return the offset after the scrollbar went from one top to another. */
  moved(offset: number, from: number, to: number): number {
    if (!this.isMapped) return to;
    if (to <= 0) return 0;
    if (to >= this.lastTop - 0.5) return this.lastOffset;
    const step = to - from;
    if (Math.abs(step) > 2 * this.seen) return this.offsetOf(to);
    return Math.min(this.lastOffset, Math.max(0, offset + step));
  }
}
