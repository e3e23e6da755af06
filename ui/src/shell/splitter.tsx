// A line between two places that can be moved by the pointer and by the keyboard.
import type { TargetedPointerEvent } from "preact";

interface SplitterProps {
  label: string;
  /** Width of the place at the right, in percent of both. */
  value: number;
  least: number;
  most: number;
  onChange: (value: number) => void;
}

export function Splitter({ label, value, least, most, onChange }: SplitterProps) {
  const set = (next: number) => onChange(Math.min(most, Math.max(least, Math.round(next))));
  const onPointerDown = (event: TargetedPointerEvent<HTMLDivElement>) => {
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  };
  const onPointerMove = (event: TargetedPointerEvent<HTMLDivElement>) => {
    const handle = event.currentTarget;
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = handle.parentElement!.getBoundingClientRect();
    set(((box.right - event.clientX) / box.width) * 100);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: value + 2, ArrowRight: value - 2, Home: most, End: least };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    set(next);
  };
  return (
    <div
      class="splitter"
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={least}
      aria-valuemax={most}
      tabIndex={0}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    />
  );
}
