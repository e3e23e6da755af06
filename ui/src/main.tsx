import { render } from "preact";
import { listen, RETRY_MS } from "./api/live";
import { App } from "./shell/app";
import { followLinks } from "./state/address";
import { loadStore, store } from "./state/store";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";
import "./styles/filter.css";

followLinks();
/** Without a store, the page asks for it until it is there, and then begins anew. */
async function ask(): Promise<void> {
  await loadStore();
  if (store.value) location.reload();
  else setTimeout(ask, RETRY_MS);
}

void loadStore().then(() => {
  if (store.value) listen(store.value.changed);
  else setTimeout(ask, RETRY_MS);
});
render(<App />, document.getElementById("page")!);
