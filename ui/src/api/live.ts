// Changes of the store as the server sends them; nothing is polled.
import { signal } from "@preact/signals";
import { endpoint } from "./client";
import type { PointsArrived, RunsChanged } from "./types";

type Listener<T> = (event: T) => void;

const changeListeners = new Set<Listener<RunsChanged>>();
const pointListeners = new Set<Listener<PointsArrived>>();
/** Whether changes arrive as they happen. */
export const live = signal(false);
let source: EventSource | null = null;
let interrupted = false;

/** Call `listener` for each change of runs; return a function that ends this. */
export function onRunsChanged(listener: Listener<RunsChanged>): () => void {
  changeListeners.add(listener);
  return () => changeListeners.delete(listener);
}

/** Call `listener` when runs log points; return a function that ends this. */
export function onPoints(listener: Listener<PointsArrived>): () => void {
  pointListeners.add(listener);
  return () => pointListeners.delete(listener);
}

function tellChanges(event: RunsChanged): void {
  for (const listener of changeListeners) listener(event);
}

/** Begin to listen; the browser connects again by itself. */
export function listen(): void {
  if (source) return;
  source = new EventSource(endpoint("live"));
  source.addEventListener("open", () => {
    live.value = true;
    // Changes may have passed while nobody listened.
    if (interrupted) tellChanges({ changed: 0, ids: [], gone: [], many: true });
    interrupted = false;
  });
  source.addEventListener("error", () => {
    live.value = false;
    interrupted = true;
    // A browser gives up for good after an error answer; a restarted server deserves another try.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 5000);
    }
  });
  source.addEventListener("runs.changed", (event) => {
    tellChanges(JSON.parse((event as MessageEvent<string>).data) as RunsChanged);
  });
  source.addEventListener("points", (event) => {
    const points = JSON.parse((event as MessageEvent<string>).data) as PointsArrived;
    for (const listener of pointListeners) listener(points);
  });
}
