// Short messages at the edge of the page.
import { signal } from "@preact/signals";
import { ApiError, isAbort } from "../api/client";

export interface Toast {
  id: number;
  text: string;
  hint?: string | null | undefined;
  kind: "done" | "error";
  action?: { label: string; run: () => void } | undefined;
}

export const toasts = signal<Toast[]>([]);
let next = 1;

/** Show a short message; return its id, which a message with the same text keeps. */
export function toast(text: string, options: Partial<Omit<Toast, "id" | "text">> = {}): number {
  const isSame = (other: Toast) => other.text === text && !other.action;
  const id = toasts.value.find(isSame)?.id ?? next++;
  // Three are as many as can be read.
  const others = toasts.value.filter((other) => !isSame(other));
  toasts.value = [...others, { id, text, kind: "done" as const, ...options }].slice(-3);
  return id;
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Show an error, with the server's advice. */
export function showError(error: unknown): void {
  if (isAbort(error)) return;
  if (error instanceof ApiError) {
    const hint = [error.facts.kept, error.facts.hint].filter(Boolean).join(" ");
    toast(error.message, { kind: "error", hint });
    return;
  }
  toast("An unexpected error occurred on the page.", { kind: "error", hint: String(error) });
  console.error(error);
}
