// Questions that have to be answered first; the browser keeps the focus inside.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "./icons";

interface Open {
  title: string;
  render: () => ComponentChildren;
  isWide: boolean;
}

const open = signal<Open | null>(null);

export function openDialog(
  title: string,
  render: () => ComponentChildren,
  options: { isWide?: boolean } = {},
): void {
  open.value = { title, render, isWide: options.isWide ?? false };
}

/** Close the dialog; the browser gives the focus back. */
export function closeDialog(): void {
  document.querySelector<HTMLDialogElement>("dialog[open]")?.close();
}

export function DialogHost() {
  const now = open.value;
  return now && <OpenDialog key={now.title} {...now} />;
}

function OpenDialog({ title, render, isWide }: Open) {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => element.current?.showModal(), []);
  return (
    <dialog
      ref={element}
      class={isWide ? "dialog wide" : "dialog"}
      aria-labelledby="dialog-title"
      onClose={() => {
        open.value = null;
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) closeDialog();
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <IconButton icon="cross" label="Close" onClick={closeDialog} />
        </header>
        {render()}
      </div>
    </dialog>
  );
}
