// The store that the page shows.
import { signal } from "@preact/signals";
import { get } from "../api/client";
import { onRunsChanged } from "../api/live";
import type { StoreInfo } from "../api/types";

export const store = signal<StoreInfo | null>(null);
/** What kept the store from being read at all. */
export const storeError = signal<unknown>(null);

export async function loadStore(): Promise<void> {
  try {
    store.value = await get<StoreInfo>("store");
    storeError.value = null;
  } catch (error) {
    storeError.value = error;
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;
onRunsChanged(() => {
  // The counts in the header are not worth a request for each change.
  timer ??= setTimeout(() => {
    timer = undefined;
    void loadStore();
  }, 1000);
});
