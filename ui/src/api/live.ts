// Changes of the store as the server sends them; nothing is polled.
import { batch, signal } from "@preact/signals";
import { ApiError, endpoint, get, reachable } from "./client";
import type { ErrorFacts, PointsArrived, RunsChanged } from "./types";

type Listener<T> = (event: T) => void;

const changeListeners = new Set<Listener<RunsChanged>>();
const pointListeners = new Set<Listener<PointsArrived>>();
/** Whether changes arrive as they happen. */
export const live = signal(false);
/** What keeps the server from reading the store, or null. */
export const trouble = signal<ErrorFacts | null>(null);
/** How long until a server that gave an error is asked again, in milliseconds. */
export const RETRY_MS = 5_000;

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

/** Find out why no changes arrive, which a browser does not say. */
async function findReason(): Promise<void> {
  try {
    await get("store");
  } catch (error) {
    if (error instanceof ApiError && error.status) trouble.value = error.facts;
  }
}

function notify(change: RunsChanged): void {
  for (const listener of changeListeners) listener(change);
}

/** Have everything asked for again: after a gap any run may have changed, and requests have failed. */
export function notifyOfGap(): void {
  notify({ changed: 0, ids: [], gone: [], many: true });
}

/** Begin to listen to changes after `since`; the browser connects again by itself. */
export function listen(since: number): void {
  let last = since;
  const source = new EventSource(endpoint("live", { since }));
  source.addEventListener("open", () => {
    batch(() => {
      live.value = true;
      reachable.value = true;
      trouble.value = null;
    });
  });
  source.addEventListener("error", () => {
    live.value = false;
    void findReason();
    if (source.readyState !== EventSource.CLOSED) return;
    // A browser gives up for good after an error answer; a restarted server deserves another try.
    setTimeout(() => listen(last), RETRY_MS);
  });
  source.addEventListener("runs.changed", (event) => {
    const change = JSON.parse(event.data as string) as RunsChanged;
    last = Math.max(last, change.changed);
    trouble.value = null;
    notify(change);
  });
  source.addEventListener("points", (event) => {
    const points = JSON.parse(event.data as string) as PointsArrived;
    for (const listener of pointListeners) listener(points);
  });
  source.addEventListener("trouble", (event) => {
    trouble.value = (JSON.parse(event.data as string) as { error: ErrorFacts }).error;
  });
}
