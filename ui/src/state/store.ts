// The store that the page shows.
import { effect, signal, untracked } from "@preact/signals";
import { get } from "../api/client";
import { live, onRunsChanged, trouble } from "../api/live";
import type { StoreInfo } from "../api/types";
import { paced } from "./paced";
import { toast } from "./toasts";

export const store = signal<StoreInfo | null>(null);
/** What kept the store from being read at all. */
export const storeError = signal<unknown>(null);

export async function loadStore(): Promise<void> {
  try {
    const found = await get<StoreInfo>("store");
    // Another server may have come to the port: nothing of the page is about its store.
    if (store.value && store.value.path !== found.path) location.reload();
    store.value = found;
    storeError.value = null;
  } catch (error) {
    storeError.value = error;
  }
}

// The counts in the header are not worth a request for each change.
onRunsChanged(paced(loadStore, 1000));

// A connection that comes back may lead to another server.
let hadConnection = false;
effect(() => {
  if (live.value && hadConnection) void loadStore();
  hadConnection ||= live.value;
});

effect(() => {
  const found = trouble.value;
  if (found) untracked(() => toast(found.message, { kind: "error", hint: found.hint }));
});
