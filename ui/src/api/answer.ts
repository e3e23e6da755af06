// What the server answers, kept in step with the question and with changes of runs.
import { useEffect, useState } from "preact/hooks";
import { get, isAbort, type Query } from "./client";
import { onRunsChanged } from "./live";
import type { RunsChanged } from "./types";

export interface Answered<T> {
  answer: T | null;
  error: unknown;
  isWaiting: boolean;
  retry: () => void;
}

/** Ask again when runs have changed, at most so often. */
export interface Freshness {
  everyMs: number;
  isAffected: (event: RunsChanged) => boolean;
}

interface When {
  fresh?: Freshness;
  /** Grows when there is another answer. */
  version?: number;
}

/**
 * Ask the server whenever the question changes; the answer before stays until the next is there,
 * unless it is that to another path.
 */
export function useAnswer<T>(path: string | null, query: Query = {}, { fresh, version = 0 }: When = {}): Answered<T> {
  const nothing = { path, answer: null, error: null, isWaiting: path !== null };
  const [state, setState] = useState<Omit<Answered<T>, "retry"> & { path: string | null }>(nothing);
  const [round, setRound] = useState(0);
  const retry = () => setRound((now) => now + 1);
  const words = JSON.stringify(query);
  useEffect(() => {
    if (path === null) return undefined;
    const running = new AbortController();
    setState((before) => (before.path === path ? { ...before, isWaiting: true } : nothing));
    get<T>(path, query, running.signal).then(
      (answer) => setState({ path, answer, error: null, isWaiting: false }),
      (error: unknown) => isAbort(error) || setState((before) => ({ ...before, error, isWaiting: false })),
    );
    return () => running.abort();
  }, [path, words, version, round]);
  useFresh(fresh, retry);
  return { ...(state.path === path ? state : nothing), retry };
}

/** Call a function when runs have changed. */
export function useFresh(fresh: Freshness | undefined, again: () => void): void {
  useEffect(() => {
    if (!fresh) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onRunsChanged((event) => {
      if (timer !== undefined || !fresh.isAffected(event)) return;
      timer = setTimeout(() => {
        timer = undefined;
        again();
      }, fresh.everyMs);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [fresh]);
}

/** Return a text that is being typed once it rests; at once when it is empty. */
export function useRested(text: string, afterMs = 120): string {
  const [rested, setRested] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setRested(text), text ? afterMs : 0);
    return () => clearTimeout(timer);
  }, [text]);
  return rested;
}
