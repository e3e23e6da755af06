// The beginning of every command and of every program that the page offers to copy.
import { store } from "../state/store";
import { pythonText, shellWord } from "./copy";

/** `runstore` with the store that is shown. */
export function program(): string {
  return `runstore --store ${shellWord(store.value?.path ?? ".")}`;
}

/** Lines of Python that open the store that is shown. */
export function openStore(): string {
  return `import runstore\n\nstore = runstore.Store.open(${pythonText(store.value?.path ?? ".")})\n`;
}
