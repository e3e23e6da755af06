// Which columns of the grid are in sight; so many are drawn that none is missing while one scrolls.
import { useEffect, useState } from "preact/hooks";

export interface Span {
  /** Place of the first drawn column, and of the one behind the last. */
  first: number;
  end: number;
}

/** Of fewer columns all are drawn. */
const FEW = 40;
/** Columns come and go so many at once, so that lines are seldom drawn again. */
const STEP = 8;

/** Return the columns to draw between two places of the list, in pixels. */
export function spanOf(edges: readonly number[], from: number, to: number): Span {
  const count = edges.length;
  if (count <= FEW) return { first: 0, end: count };
  const room = to - from;
  let first = edges.findIndex((edge) => edge > from - room / 2);
  let end = edges.findIndex((edge) => edge > to + room / 2);
  if (first < 0) first = count;
  if (end < 0) end = count;
  first = Math.max(0, Math.floor((first - 1) / STEP) * STEP);
  return { first, end: Math.min(count, Math.ceil(end / STEP) * STEP) };
}

/** Return the columns to draw in a scrolled element; `edges` are the left ends of all of them. */
export function useSpan(root: { current: HTMLElement | null }, edges: readonly number[]): Span {
  const [sight, setSight] = useState({ left: 0, width: innerWidth });
  useEffect(() => {
    if (edges.length <= FEW) return undefined;
    const element = root.current!;
    let last = spanOf(edges, sight.left, sight.left + sight.width);
    const look = () => {
      const left = element.scrollLeft;
      const width = element.clientWidth;
      const now = spanOf(edges, left, left + width);
      if (now.first === last.first && now.end === last.end) return;
      last = now;
      setSight({ left, width });
    };
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [edges]);
  return spanOf(edges, sight.left, sight.left + sight.width);
}
