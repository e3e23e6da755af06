// A canvas that is as large as its place and sharp on every screen.
import type { ComponentChildren, HTMLAttributes } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { theme } from "../../state/theme";

export interface Size {
  width: number;
  height: number;
}

export interface Ink {
  text: string;
  soft: string;
  line: string;
  surface: string;
  accent: string;
  font: string;
}

/** Return the colours of the theme that is shown. */
export function inkNow(): Ink {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: of("--text"),
    soft: of("--text-soft"),
    line: of("--line"),
    surface: of("--surface"),
    accent: of("--accent"),
    font: of("--font"),
  };
}

interface CanvasProps {
  label: string;
  draw: (context: CanvasRenderingContext2D, size: Size, ratio: number) => void;
  /** The canvas is drawn again when one of these is another. */
  on: readonly unknown[];
  children?: (size: Size) => ComponentChildren;
  handlers?: HTMLAttributes<HTMLDivElement>;
}

export function Canvas({ label, draw, on, children, handlers }: CanvasProps) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = place.current!;
    const observer = new ResizeObserver(() => {
      setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const shown = theme.value;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || !size.width || !size.height) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    element.width = Math.round(size.width * ratio);
    element.height = Math.round(size.height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    const begin = performance.now();
    draw(context, size, ratio);
    element.dataset.drawnMs = (performance.now() - begin).toFixed(1);
    element.dataset.drawn = String(Number(element.dataset.drawn ?? 0) + 1);
  }, [size.width, size.height, shown, ...on]);
  return (
    <div ref={place} class="plot-place" tabIndex={0} role="group" aria-label={label} {...handlers}>
      <canvas ref={canvas} aria-hidden="true" />
      {size.width > 0 && children?.(size)}
    </div>
  );
}
