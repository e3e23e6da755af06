// A number as people read it, with all of its digits where they point at it.
import type { Cell } from "../api/types";
import { formatCell, numberOf } from "./values";

/** Writes a number; a dotted line below it shows that it has more digits. */
export function RoundedNumber({ value }: { value: Cell | undefined }) {
  const text = formatCell(value);
  const number = numberOf(value);
  const isExact = number === null || !Number.isFinite(number) || Number(text.replaceAll("−", "-")) === number;
  if (isExact) return <>{text}</>;
  return (
    <span class="rounded" title={`Rounded from ${number}`}>
      {text}
    </span>
  );
}
