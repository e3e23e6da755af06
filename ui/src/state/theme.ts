// Light or dark: the system's choice, or the reader's; public/theme.js has drawn the first paint.
import { computed, effect, signal } from "@preact/signals";

export type Wanted = "system" | "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", (event) => {
  systemDark.value = event.matches;
});

function recall(): Wanted {
  try {
    const text = localStorage.getItem("runstore.theme");
    return text === "light" || text === "dark" ? text : "system";
  } catch {
    return "system";
  }
}

export const wantedTheme = signal<Wanted>(recall());
/** What is drawn: "light" or "dark". Drawings on a canvas read it to draw themselves again. */
export const theme = computed<"light" | "dark">(() => {
  if (wantedTheme.value !== "system") return wantedTheme.value;
  return systemDark.value ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function chooseTheme(wanted: Wanted): void {
  wantedTheme.value = wanted;
  try {
    if (wanted === "system") localStorage.removeItem("runstore.theme");
    else localStorage.setItem("runstore.theme", wanted);
  } catch {
    // The choice then lasts as long as the page.
  }
}
