// The store that the page shows.
import { signal } from "@preact/signals";
import { get } from "../api/client";
import { onRunsChanged } from "../api/live";
import type { StoreInfo } from "../api/types";
import { paced } from "./paced";

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

// The counts in the header are not worth a request for each change.
onRunsChanged(paced(loadStore, 1000));
