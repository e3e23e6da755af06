// Where the keyboard goes on when something of the page is closed.
import { useLayoutEffect, useRef } from "preact/hooks";

/** Put the focus on the button of a form that was closed, unless it has gone elsewhere meanwhile. */
export function useFocusBack(isOpen: boolean, button: { current: HTMLElement | null }): void {
  const wasOpen = useRef(isOpen);
  useLayoutEffect(() => {
    if (wasOpen.current && !isOpen && document.activeElement === document.body) button.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
}
