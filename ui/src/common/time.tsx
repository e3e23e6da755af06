// Times that stay true while the page is open.
import { signal } from "@preact/signals";
import { formatDuration, formatExact, formatRelative } from "./values";

/** The time, new every half minute. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 30_000);

export function Ago({ at }: { at: string | null }) {
  if (!at) return null;
  return (
    <time dateTime={at} title={formatExact(at)}>
      {formatRelative(at, now.value)}
    </time>
  );
}

interface LastedProps {
  duration: number | null;
  started: string | null;
  isOver: boolean;
}

/** How long a run took, or has taken until now. */
export function Lasted({ duration, started, isOver }: LastedProps) {
  if (duration !== null || isOver || !started) return <>{formatDuration(duration)}</>;
  return <>{formatDuration(Math.max(0, (now.value - Date.parse(started)) / 1000))}</>;
}
