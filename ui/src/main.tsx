import { render } from "preact";
import { listen } from "./api/live";
import { App } from "./shell/app";
import { followLinks } from "./state/address";
import { loadStore } from "./state/store";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";
import "./styles/filter.css";

followLinks();
void loadStore();
listen();
render(<App />, document.getElementById("page")!);
