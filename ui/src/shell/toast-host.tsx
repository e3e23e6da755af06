// Shows the short messages; they leave by themselves unless somebody is about to use them.
import { useEffect, useState } from "preact/hooks";
import { IconButton } from "../common/icons";
import { Sentences } from "../common/message";
import { dismiss, type Toast, toasts } from "../state/toasts";

const SHOWN_MS = { done: 8_000, error: 20_000 };

function ToastLine({ toast }: { toast: Toast }) {
  const [isHeld, setHeld] = useState(false);
  useEffect(() => {
    if (isHeld) return undefined;
    const timer = setTimeout(() => dismiss(toast.id), SHOWN_MS[toast.kind]);
    return () => clearTimeout(timer);
  }, [isHeld, toast]);
  return (
    <div
      class={`toast toast-${toast.kind}`}
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocusCapture={() => setHeld(true)}
      onBlurCapture={() => setHeld(false)}
    >
      <div class="toast-text">
        <strong>{toast.text}</strong>
        {toast.hint && (
          <span>
            <Sentences text={toast.hint} />
          </span>
        )}
      </div>
      {toast.action && (
        <button type="button" class="button small" onClick={toast.action.run}>
          {toast.action.label}
        </button>
      )}
      <IconButton icon="cross" label="Dismiss" onClick={() => dismiss(toast.id)} />
    </div>
  );
}

export function ToastHost() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <ToastLine key={toast.id} toast={toast} />
      ))}
    </div>
  );
}
