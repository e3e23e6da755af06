// Keys that work everywhere, and the sheet that lists all of them.
import { closeDialog, openDialog } from "../common/dialog";
import { remembered } from "../state/remembered";
import { undoLast } from "../state/undo";

/** Single letters can be switched off, for people who speak to their computer. */
export const singleKeys = remembered("single-keys", true);

const SHEET: { title: string; keys: [string, string][] }[] = [
  {
    title: "Everywhere",
    keys: [
      ["?", "This sheet"],
      ["/", "Go to the filter"],
      ["Ctrl Z", "Undo the last change"],
      ["Esc", "Close the open panel; leave the filter"],
    ],
  },
  {
    title: "Grid",
    keys: [
      ["↑ ↓ ← →", "Move from cell to cell"],
      ["Home End", "First and last column"],
      ["Ctrl Home, Ctrl End", "First and last run"],
      ["Page Up, Page Down", "One screen"],
      ["Enter", "Open the run; open or close a group"],
      ["Space", "Select the run"],
      ["Shift ↑ ↓", "Extend the selection"],
      ["Ctrl A", "Select all matching runs"],
      ["H", "Hide in charts"],
      ["S", "Show only this run in charts"],
      ["B", "Make the baseline"],
      ["T", "Tag the selected runs"],
      ["N", "Write notes"],
      ["C", "Compare the selected runs"],
      ["Del", "Move to the trash"],
    ],
  },
  {
    title: "Charts",
    keys: [
      ["← →", "Move the cursor"],
      ["↑ ↓", "Choose a line"],
      ["+ −", "Zoom in, zoom out"],
      ["Shift ← →", "Move the zoomed part"],
      ["0", "Show all"],
      ["Space", "Select the run of the line"],
      ["Enter", "Open the run"],
    ],
  },
  {
    title: "Plots of runs",
    keys: [
      ["← → or ↑ ↓", "Move from run to run"],
      ["Enter", "Open the run"],
      ["Esc", "Clear the chosen ranges"],
    ],
  },
  {
    title: "A run",
    keys: [
      ["[ ]", "Previous and next run of the experiment"],
      ["/", "Find in this part of the run"],
      ["Enter, Shift Enter", "Next and previous line found in the output"],
      ["Ctrl Enter", "Save the notes"],
    ],
  },
  {
    title: "Column headers",
    keys: [
      ["Enter", "Sort"],
      ["Alt ↓", "Menu of the column"],
      ["Shift ← →", "Narrower, wider"],
      ["Ctrl Shift ← →", "Move the column"],
    ],
  },
];

function Sheet() {
  return (
    <>
      <div class="key-sheet">
        {SHEET.map((part) => (
          <section key={part.title}>
            <h3>{part.title}</h3>
            <dl>
              {part.keys.map(([keys, meaning]) => (
                <div key={keys}>
                  <dt>
                    <kbd>{keys}</kbd>
                  </dt>
                  <dd>{meaning}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={singleKeys.value}
          onChange={(event) => {
            singleKeys.value = event.currentTarget.checked;
          }}
        />
        Use single-key shortcuts such as ? and /
      </label>
    </>
  );
}

export function showKeys(): void {
  openDialog("Keyboard", () => <Sheet />, { isWide: true });
}

/** Say whether a key belongs to a text that is being written. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement) return true;
  if (target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && target.type !== "checkbox";
}

export function followKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || isTyping(event)) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey) {
      event.preventDefault();
      undoLast();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !singleKeys.value) return;
    if (event.key === "?") {
      event.preventDefault();
      if (document.querySelector("dialog[open]")) closeDialog();
      else showKeys();
    } else if (event.key === "/") {
      const filter = document.querySelector<HTMLInputElement>("#filter");
      if (!filter || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      filter.focus();
      filter.select();
    }
  });
}
