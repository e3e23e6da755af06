// Choices of this browser that are no part of a view; storage may be switched off.
import { effect, type Signal, signal } from "@preact/signals";

const PREFIX = "runstore.";

function recall<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** Return a signal whose value outlives the page. */
export function remembered<T>(name: string, otherwise: T): Signal<T> {
  const kept = signal(recall(name, otherwise));
  let first = true;
  effect(() => {
    const text = JSON.stringify(kept.value);
    if (first) {
      first = false;
      return;
    }
    try {
      localStorage.setItem(PREFIX + name, text);
    } catch {
      // The choice then lasts as long as the page.
    }
  });
  return kept;
}
