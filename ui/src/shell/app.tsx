// The frame of the page, and the view that its address names.
import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { DialogHost } from "../common/dialog";
import { EmptyMessage, ErrorMessage } from "../common/message";
import { PopoverHost } from "../common/popover";
import { path } from "../state/address";
import { store, storeError } from "../state/store";
import { RunsView } from "../grid/runs-view";
import { Header } from "./header";
import { followKeys } from "./keys";
import { lazy } from "./lazy";
import { ToastHost } from "./toast-host";

const RunView = lazy(() => import("../run"));
const CompareView = lazy(() => import("../compare"));
const PivotView = lazy(() => import("../pivot"));
const ExperimentsView = lazy(() => import("../experiments"));

followKeys();

function View() {
  const at = path.value;
  if (at === "/") return <RunsView />;
  if (at.startsWith("/runs/")) return <RunView key={at} />;
  if (at === "/compare") return <CompareView />;
  if (at === "/pivot") return <PivotView />;
  if (at === "/experiments") return <ExperimentsView />;
  return (
    <EmptyMessage title="There is no such page.">
      <p>
        <a href="/">Show all runs</a>
      </p>
    </EmptyMessage>
  );
}

/** An error in one view leaves the frame alive. */
class Guard extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state = { error: null as unknown };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ error });
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return <ErrorMessage error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}

/** Put the focus into a new view when that of the one before has gone, for keyboards and screen readers. */
function useFocusInView(): void {
  const at = path.value;
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current && document.activeElement === document.body) {
      document.getElementById("main")?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [at]);
}

export function App() {
  useFocusInView();
  return (
    <>
      <a class="skip-link" href="#main">
        Skip to the content
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        <Guard key={path.value}>
          {storeError.value && !store.value ? (
            <ErrorMessage error={storeError.value} retry={() => location.reload()} />
          ) : (
            <View />
          )}
        </Guard>
      </main>
      <ToastHost />
      <PopoverHost />
      <DialogHost />
    </>
  );
}
