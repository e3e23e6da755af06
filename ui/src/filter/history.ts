// The last filters of this browser, newest first.
import { remembered } from "../state/remembered";

const KEPT = 20;

export const lastFilters = remembered<string[]>("filters", []);

export function remember(text: string): void {
  const filter = text.trim();
  if (!filter || lastFilters.value[0] === filter) return;
  lastFilters.value = [filter, ...lastFilters.value.filter((other) => other !== filter)].slice(0, KEPT);
}
