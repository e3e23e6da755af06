// Pointer, wheel and keys of a chart.
import type { ChartView } from "./view";
import { zoom, zoomTo } from "./settings";
import { cursor } from "./cursor";

/** A press that moves less than this is a click, in CSS pixels. */
const STILL = 4;

/** Let the pointer and the keyboard move a chart; return a function that ends this. */
export function followPointer(host: HTMLElement, view: ChartView): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  let start: { x: number; y: number; share: number } | null = null;
  let frame = 0;

  const onMove = (event: PointerEvent) => {
    if (!view.plot) return;
    if (start && (view.dragged.peek() || Math.abs(event.clientX - start.x) >= STILL)) {
      const to = Math.min(1, Math.max(0, view.shareOf(event).x));
      view.dragged.value = { from: start.share, to };
    }
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => view.moveTo(event));
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0 || !view.plot) return;
    const share = view.shareOf(event).x;
    if (share < -0.02 || share > 1.02) return;
    start = { x: event.clientX, y: event.clientY, share: Math.min(1, Math.max(0, share)) };
    host.setPointerCapture(event.pointerId);
  };
  const onUp = (event: PointerEvent) => {
    const dragged = view.dragged.peek();
    const was = start;
    start = null;
    view.dragged.value = null;
    if (!was) return;
    if (dragged) {
      view.zoomBetween(dragged.from, dragged.to);
      return;
    }
    cancelAnimationFrame(frame);
    view.moveTo(event);
    const isApart = event.ctrlKey || event.metaKey;
    view.choose({ isOpening: isApart || event.altKey || event.shiftKey, isApart });
  };
  const onLeave = () => {
    cancelAnimationFrame(frame);
    view.leave();
  };
  const onWheel = (event: WheelEvent) => {
    if (!view.plot) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const share = Math.min(1, Math.max(0, view.shareOf(event).x));
      view.zoomBy(Math.exp(Math.min(120, Math.max(-120, event.deltaY)) / 300), share);
    } else if (zoom.peek() && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
      event.preventDefault();
      view.pan((event.deltaX || event.deltaY) / view.plot.area.width);
    }
  };
  const onCancel = () => {
    start = null;
    view.dragged.value = null;
  };

  host.addEventListener("pointerenter", () => view.enter(), { signal });
  host.addEventListener("pointermove", onMove, { signal });
  host.addEventListener("pointerleave", onLeave, { signal });
  host.addEventListener("pointerdown", onDown, { signal });
  host.addEventListener("pointerup", onUp, { signal });
  host.addEventListener("pointercancel", onCancel, { signal });
  host.addEventListener("dblclick", () => zoomTo(null), { signal });
  host.addEventListener("wheel", onWheel, { signal, passive: false });
  host.addEventListener("keydown", (event) => onKey(event, view), { signal });
  host.addEventListener("blur", () => view.leave(), { signal });
  return () => {
    stopped.abort();
    cancelAnimationFrame(frame);
  };
}

function onKey(event: KeyboardEvent, view: ChartView): void {
  const at = cursor.peek();
  const around = at?.chart === view && view.plot ? view.plot.shareOf(at.x) : 0.5;
  const isWide = event.shiftKey;
  if (event.altKey || ((event.ctrlKey || event.metaKey) && event.key !== "Enter")) return;
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowRight": {
      const direction = event.key === "ArrowLeft" ? -1 : 1;
      if (isWide) view.pan(direction * 0.2);
      else view.moveCursor(direction * 0.02);
      break;
    }
    case "ArrowUp":
      view.moveLook(-1);
      break;
    case "ArrowDown":
      view.moveLook(1);
      break;
    case "Home":
      view.moveCursor(-1);
      break;
    case "End":
      view.moveCursor(1);
      break;
    case "+":
    case "=":
      view.zoomBy(0.6, around);
      break;
    case "-":
    case "_":
      view.zoomBy(1 / 0.6, around);
      break;
    case "0":
      zoomTo(null);
      break;
    case "Escape":
      // In the enlarged chart a first Escape leaves the cursor, a second one the chart.
      if (at?.chart !== view) return;
      view.leave();
      break;
    case " ":
      view.choose({ isOpening: false, isApart: false });
      break;
    case "Enter":
      view.choose({ isOpening: true, isApart: event.ctrlKey || event.metaKey });
      break;
    default:
      return;
  }
  event.preventDefault();
  event.stopPropagation();
}
