// The store that the page shows.
import { effect, signal, untracked } from "@preact/signals";
import { get } from "../api/client";
import { live, notifyOfGap, onRunsChanged, trouble } from "../api/live";
import type { StoreInfo } from "../api/types";
import { paced } from "./paced";
import { dismiss, toast } from "./toasts";

export const store = signal<StoreInfo | null>(null);
/** What kept the store from being read at all. */
export const storeError = signal<unknown>(null);

/** Read the store's name and counts; return whether it is the store of before. */
export async function loadStore(): Promise<boolean> {
  try {
    const found = await get<StoreInfo>("store");
    const isSame = !store.value || store.value.path === found.path;
    // Another server may have come to the port: nothing of the page is about its store.
    if (!isSame) location.reload();
    store.value = found;
    storeError.value = null;
    return isSame;
  } catch (error) {
    storeError.value = error;
    return false;
  }
}

async function goOnAfterGap(): Promise<void> {
  if (await loadStore()) notifyOfGap();
}

// The counts in the header are not worth a request for each change.
onRunsChanged(paced(loadStore, 1000));

// A connection that comes back may lead to another server.
let hadConnection = false;
effect(() => {
  if (live.value && hadConnection) void goOnAfterGap();
  hadConnection ||= live.value;
});

/** The message about what is wrong now; it leaves when nothing is any more. */
let shown: number | null = null;
effect(() => {
  const found = trouble.value;
  untracked(() => {
    if (shown !== null) dismiss(shown);
    shown = found && toast(found.message, { kind: "error", hint: found.hint });
  });
});
