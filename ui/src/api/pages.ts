// A long list, whose pages are fetched when one of their items is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, isAbort, type Query } from "./client";

interface PagesOf<A, T> {
  /** Items of a page. */
  size: number;
  /** The query of the page that begins with an item. */
  query: (from: number) => Query;
  items: (answer: A) => T[];
  /** The list begins anew when this changes, after a pause. */
  key?: string;
  pauseMs?: number;
}

export function usePages<A extends { total: number }, T>(path: string, of: PagesOf<A, T>) {
  const { size, query, items, key, pauseMs = 0 } = of;
  const pages = useRef(new Map<number, T[]>());
  const asked = useRef(new Set<number>());
  const running = useRef<AbortController | null>(null);
  const [total, setTotal] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [, drawAgain] = useState(0);
  const load = (page: number): void => {
    if (!running.current || asked.current.has(page)) return;
    asked.current.add(page);
    get<A>(path, { ...query(page * size), limit: size }, running.current.signal).then(
      (answer) => {
        pages.current.set(page, items(answer));
        setTotal(answer.total);
        drawAgain((version) => version + 1);
      },
      (reason: unknown) => {
        asked.current.delete(page);
        if (!isAbort(reason)) setError(reason);
      },
    );
  };
  const begin = (): void => {
    running.current = new AbortController();
    pages.current.clear();
    asked.current.clear();
    setError(null);
    load(0);
  };
  useEffect(() => {
    const timer = setTimeout(begin, pauseMs);
    return () => {
      clearTimeout(timer);
      running.current?.abort();
    };
  }, [key]);
  const at = (index: number): T | undefined => {
    const page = Math.floor(index / size);
    if (!error && !pages.current.has(page)) load(page);
    return pages.current.get(page)?.[index % size];
  };
  return { total, at, error, retry: begin };
}
