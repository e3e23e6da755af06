import { render } from "preact";
import { listen } from "./api/live";
import { App } from "./shell/app";
import { followLinks } from "./state/address";
import { loadStore, store } from "./state/store";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";
import "./styles/filter.css";

followLinks();
void loadStore().then(() => {
  // Without a store the page asks for it again, and then begins anew.
  if (store.value) listen(store.value.changed);
});
render(<App />, document.getElementById("page")!);
