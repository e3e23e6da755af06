// A chart as a file.
import { DASHES } from "../common/colour";
import { toast } from "../state/toasts";
import { xAxis } from "./settings";
import type { ChartView } from "./view";

function save(name: string, blob: Blob): void {
  const link = document.createElement("a");
  const address = URL.createObjectURL(blob);
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function fileName(metric: string, ending: string): string {
  return `${metric.replace(/[^\w.-]+/g, "-").replace(/^[-.]+/, "") || "chart"}.${ending}`;
}

const ROW = 16;

/** Save the picture with its title and the names of its lines. */
export function savePicture(view: ChartView): void {
  const { plot } = view;
  if (!plot) return;
  const { canvas } = plot;
  const ratio = plot.projection().ratio;
  const lines = view.lines.peek();
  const columns = Math.max(1, Math.floor(canvas.width / ratio / 170));
  const rows = Math.ceil(lines.length / columns);
  const made = document.createElement("canvas");
  made.width = canvas.width;
  made.height = canvas.height + (28 + rows * ROW + 8) * ratio;
  const context = made.getContext("2d")!;
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const letters = (size: number, weight = "") => `${weight} ${size * ratio}px system-ui, sans-serif`.trim();
  context.fillStyle = colour("--surface");
  context.fillRect(0, 0, made.width, made.height);
  context.fillStyle = colour("--text");
  context.font = letters(13, "600");
  context.fillText(view.metric, 12 * ratio, 19 * ratio);
  context.drawImage(canvas, 0, 28 * ratio);
  context.font = letters(11);
  context.textBaseline = "middle";
  const width = made.width / columns;
  lines.forEach((line, at) => {
    const left = (at % columns) * width + 12 * ratio;
    const top = canvas.height + (28 + Math.floor(at / columns) * ROW + ROW / 2) * ratio;
    context.strokeStyle = colour(`--run-${line.mark.colour}`);
    context.lineWidth = 2 * ratio;
    context.setLineDash(DASHES[line.mark.dash]!.map((part) => part * ratio));
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(left + 24 * ratio, top);
    context.stroke();
    context.fillStyle = colour("--text-soft");
    context.fillText(line.name(), left + 30 * ratio, top, width - 38 * ratio);
  });
  made.toBlob((blob) => {
    if (blob) save(fileName(view.metric, "png"), blob);
    else toast("The browser could not make the picture.", { kind: "error" });
  });
}

function field(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/** Save what the lines are drawn from; of long series that are blocks with their extremes. */
export function saveTable(view: ChartView): void {
  const heads = new Set(["run", "uid"]);
  const parts = view.lines.peek().map((line) => ({ line, ...line.rows() }));
  for (const { head } of parts) for (const name of head) heads.add(name);
  const names = [...heads];
  const text = [names.map((name) => (name === "x" ? xAxis.peek() : name)).join(",")];
  for (const { line, head, rows } of parts) {
    const places = names.map((name) => head.indexOf(name));
    const run = field(line.name());
    const uid = line.uids.join(" ");
    for (const row of rows) {
      text.push([run, uid, ...places.slice(2).map((place) => (place < 0 ? "" : String(row[place])))].join(","));
    }
  }
  save(fileName(view.metric, "csv"), new Blob([text.join("\n") + "\n"], { type: "text/csv" }));
}
