// One chart over the whole page, with a table of its lines beside it.
import { render } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "../common/icons";
import { Chart } from "./chart";
import type { Board } from "./runs";
import { showFull } from "./settings";
import { Runs, Toolbar } from "./toolbar";

interface FullProps {
  metric: string;
  metrics: string[];
  board: Board;
}

/** Draws the chart above everything else; menus and messages of the page stay above it. */
export function FullChart(props: FullProps) {
  const place = useRef<HTMLElement | null>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const behind = document.querySelectorAll<HTMLElement>("#page > header, #page > main, #page > .skip-link");
    place.current = document.createElement("div");
    document.body.append(place.current);
    for (const element of behind) element.inert = true;
    return () => {
      render(null, place.current!);
      place.current!.remove();
      for (const element of behind) element.inert = false;
      if (before?.isConnected) before.focus();
    };
  }, []);
  useEffect(() => render(<Panel {...props} />, place.current!));
  return null;
}

function Panel({ metric, metrics, board }: FullProps) {
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    panel.current?.focus();
    const onKeyDown = (event: KeyboardEvent) => {
      // What lies above the chart closes first.
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (document.querySelector(":popover-open, dialog[open]")) return;
      event.preventDefault();
      showFull(null);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
  return (
    <div ref={panel} class="chart-full" role="dialog" aria-modal="true" aria-label={metric} tabIndex={-1}>
      <div class="chart-full-head">
        <Toolbar board={board} metrics={() => metrics} isSingle />
        <Runs board={board} />
        <IconButton icon="cross" label="Close" title="Close (Esc)" onClick={() => showFull(null)} />
      </div>
      <Chart metric={metric} board={board} metrics={metrics} isFull />
    </div>
  );
}
