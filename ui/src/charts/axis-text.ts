// Values of the x axis in words.
import { formatCount } from "../common/values";
import { xAxis } from "./settings";
import { durationText, timeText } from "./ticks";

export function axisText(x: number): string {
  if (xAxis.value === "time") return timeText(x);
  if (xAxis.value === "relative") return x === 0 ? "0 s" : durationText(Number(x.toPrecision(4)));
  return `Step ${formatCount(Math.round(x))}`;
}
