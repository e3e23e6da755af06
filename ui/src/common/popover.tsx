// One floating panel for every menu of the page; the browser closes it at Escape or a click beside it.
import { signal } from "@preact/signals";
import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface Open {
  anchor: HTMLElement;
  label: string;
  render: () => ComponentChildren;
}

const open = signal<Open | null>(null);
/** Whose panel was open when the pointer was last pressed, for which the browser closes it. */
let pressedWith: HTMLElement | null = null;
const onPress = () => {
  pressedWith = open.peek()?.anchor ?? null;
};
addEventListener("pointerdown", onPress, { capture: true });

export function openPopover(
  anchor: HTMLElement,
  label: string,
  render: () => ComponentChildren,
): void {
  const isOpen = [open.peek()?.anchor, pressedWith].includes(anchor);
  pressedWith = null;
  open.value = isOpen ? null : { anchor, label, render };
}

export function closePopover(): void {
  open.value = null;
}

/** Show the panel below its anchor, or above it when there is more room, within the window. */
function place(panel: HTMLElement, anchor: HTMLElement): void {
  const box = anchor.getBoundingClientRect();
  const isLow = box.top > innerHeight * 0.65;
  const isRight = box.left + box.width / 2 > innerWidth / 2;
  const most = Math.max(8, innerWidth - 8 - panel.offsetWidth);
  panel.style.top = isLow ? "auto" : `${box.bottom + 4}px`;
  panel.style.bottom = isLow ? `${innerHeight - box.top + 4}px` : "auto";
  panel.style.left = isRight ? "auto" : `${Math.min(most, Math.max(8, box.left))}px`;
  panel.style.right = isRight ? `${Math.min(most, Math.max(8, innerWidth - box.right))}px` : "auto";
  panel.style.maxHeight = `${(isLow ? box.top : innerHeight - box.bottom) - 12}px`;
}

const FOCUSABLE = "button:not(:disabled), input, select, textarea, a[href]";

function moveFocus(event: TargetedKeyboardEvent<HTMLElement>): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  const from = document.activeElement;
  if (!step || from instanceof HTMLSelectElement || from instanceof HTMLTextAreaElement) return;
  const stops = [...event.currentTarget.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const place = stops.indexOf(from as HTMLElement);
  stops[(place + step + stops.length) % stops.length]?.focus();
  event.preventDefault();
}

/** The place of the panel; the page has it once. */
export function PopoverHost() {
  const panel = useRef<HTMLDivElement>(null);
  const now = open.value;
  useLayoutEffect(() => {
    const element = panel.current;
    if (!element || !now) return undefined;
    element.showPopover();
    place(element, now.anchor); // a hidden panel has no width
    now.anchor.setAttribute("aria-expanded", "true");
    (element.querySelector<HTMLElement>("[autofocus]") ??
      element.querySelector<HTMLElement>(FOCUSABLE))?.focus();
    const { anchor } = now;
    return () => {
      anchor.setAttribute("aria-expanded", "false");
      const hadFocus = element.contains(document.activeElement);
      if (element.matches(":popover-open")) element.hidePopover();
      if (hadFocus && anchor.isConnected) anchor.focus();
    };
  }, [now]);
  const onToggle = (event: Event) => {
    if ((event as ToggleEvent).newState !== "closed") return;
    open.value = null;
  };
  return (
    <div
      ref={panel}
      class="popover"
      popover="auto"
      role="dialog"
      aria-label={now?.label ?? ""}
      onToggle={onToggle}
      onKeyDown={moveFocus}
    >
      {now?.render()}
    </div>
  );
}

interface MenuButtonProps {
  label: string;
  /** Shown instead of the label; the label then names the button. */
  children?: ComponentChildren;
  class?: string;
  menu: () => ComponentChildren;
}

/** A button that opens a panel. */
export function MenuButton({ label, children, class: name = "button", menu }: MenuButtonProps) {
  return (
    <button
      type="button"
      class={name}
      aria-haspopup="dialog"
      aria-expanded="false"
      aria-label={children ? label : undefined}
      title={children ? label : undefined}
      onClick={(event) => openPopover(event.currentTarget, label, menu)}
    >
      {children ?? label}
    </button>
  );
}

interface MenuItemProps {
  children: ComponentChildren;
  onClick: () => void;
  checked?: boolean;
  disabled?: boolean;
  keys?: string;
}

/** A line of a menu; choosing it closes the menu. */
export function MenuItem({ children, onClick, checked, disabled, keys }: MenuItemProps) {
  const choose = () => {
    closePopover();
    onClick();
  };
  return (
    <button
      type="button"
      class="menu-item"
      disabled={disabled}
      aria-pressed={checked}
      onClick={choose}
    >
      <span>{children}</span>
      {keys && <kbd>{keys}</kbd>}
    </button>
  );
}
