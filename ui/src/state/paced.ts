// Work that follows changes of the store, however many there are.

/**
 * Return a function that does `work` soon after it is called. Calls meanwhile are one call, and
 * the work takes at most a sixth of the time, so that a large store is not asked without end.
 */
export function paced(work: () => Promise<unknown>, leastMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pauseMs = leastMs;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      const start = performance.now();
      void work().finally(() => {
        pauseMs = Math.max(leastMs, 5 * (performance.now() - start));
      });
    }, pauseMs);
  };
}
