// Series as the server sends them: a JSON head, then columns of float64.

/** What a chart shows of one series: extremes of blocks, or the points themselves. */
export interface Series {
  uid: string;
  key: string;
  setName: string | null;
  /** Points of the whole answer, not blocks. */
  count: number;
  /** Whether each block is one point; the columns are then the same arrays. */
  exact: boolean;
  x: Float64Array;
  first: Float64Array;
  min: Float64Array;
  max: Float64Array;
  last: Float64Array;
  xLast: Float64Array;
}

interface Head {
  series: {
    uid: string;
    key: string;
    set_name: string | null;
    count: number;
    blocks: number;
    exact: boolean;
    columns: string[];
    offset: number;
  }[];
}

/** Return the head of a binary answer, and a function that cuts a column out of the rest. */
export function readColumns<T>(bytes: ArrayBuffer): {
  head: T;
  column: (offset: number, place: number, length: number) => Float64Array;
} {
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as T;
  const start = 4 + length;
  return {
    head,
    column: (offset, place, length) =>
      new Float64Array(bytes, start + offset + place * length * 8, length),
  };
}

export function decodeSeries(bytes: ArrayBuffer): Series[] {
  const { head, column } = readColumns<Head>(bytes);
  return head.series.map((one) => {
    const named = (name: string): Float64Array => {
      const place = one.columns.indexOf(name);
      if (place < 0) throw new Error(`The series of ${one.key} has no column ${name}.`);
      return column(one.offset, place, one.blocks);
    };
    const common = {
      uid: one.uid,
      key: one.key,
      setName: one.set_name,
      count: one.count,
      exact: one.exact,
      x: named("x"),
    };
    if (one.exact) {
      const value = named("value");
      return { ...common, first: value, min: value, max: value, last: value, xLast: common.x };
    }
    return {
      ...common,
      first: named("first"),
      min: named("min"),
      max: named("max"),
      last: named("last"),
      xLast: named("x_last"),
    };
  });
}

const COLUMNS = ["x", "first", "min", "max", "last", "xLast"] as const;

/** Return blocks one after another; of an empty list a series without blocks. */
function glued(like: Series, parts: { of: Series; from: number; to: number }[]): Series {
  const made = { ...like, exact: parts.every((part) => part.of.exact) };
  for (const name of COLUMNS) {
    const length = parts.reduce((sum, part) => sum + part.to - part.from, 0);
    const column = new Float64Array(length);
    let at = 0;
    for (const part of parts) {
      column.set(part.of[name].subarray(part.from, part.to), at);
      at += part.to - part.from;
    }
    made[name] = column;
  }
  return made;
}

/** Return the first place whose value is at least (or, `above`, more than) `value`. */
export function placeOf(column: Float64Array, value: number, above = false): number {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const here = column[middle]!;
    if (here < value || (above && here === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Replace what a coarse series shows of a window by a finer answer for it. */
export function withDetail(coarse: Series, fine: Series | undefined, from: number, to: number): Series {
  if (!fine || coarse.exact) return coarse;
  let before = placeOf(coarse.x, from);
  while (before > 0 && coarse.xLast[before - 1]! >= from) before--;
  const after = placeOf(coarse.x, to, true);
  return glued(coarse, [
    { of: coarse, from: 0, to: before },
    { of: fine, from: 0, to: placeOf(fine.x, to, true) },
    { of: coarse, from: after, to: coarse.x.length },
  ]);
}

/** Return blocks joined side by side while they are not wider than `width` together. */
function joined(series: Series, width: number): Series {
  const begins: number[] = [];
  let start = -Infinity;
  series.x.forEach((_, at) => {
    if (series.xLast[at]! - start <= width) return;
    start = series.x[at]!;
    begins.push(at);
  });
  const made: Series = { ...series, exact: false };
  for (const name of COLUMNS) made[name] = new Float64Array(begins.length);
  begins.forEach((begin, place) => {
    const end = begins[place + 1] ?? series.x.length;
    made.x[place] = series.x[begin]!;
    made.first[place] = series.first[begin]!;
    made.last[place] = series.last[end - 1]!;
    made.xLast[place] = series.xLast[end - 1]!;
    made.min[place] = extreme(series.min, begin, end, (one, other) => one < other);
    made.max[place] = extreme(series.max, begin, end, (one, other) => one > other);
  });
  return made;
}

/** Return the extreme of a part of a column, NaN left out. */
function extreme(
  column: Float64Array,
  begin: number,
  end: number,
  isBetter: (one: number, other: number) => boolean,
): number {
  let found = Number.NaN;
  for (let at = begin; at < end; at++) {
    const value = column[at]!;
    if (Number.isNaN(found) || isBetter(value, found)) found = value;
  }
  return found;
}

/** Replace the end of a series by an answer that begins at `from`, the start of a block. */
export function withTail(old: Series, tail: Series, from: number, points: number): Series {
  const kept = placeOf(old.x, from);
  const width = ((old.xLast.at(-1) ?? 0) - (old.x[0] ?? 0)) / points;
  // Blocks of the end are as wide as the others, so that it looks as they do.
  const end = old.exact ? tail : joined(tail, width);
  const made = glued(old, [
    { of: old, from: 0, to: kept },
    { of: end, from: 0, to: end.x.length },
  ]);
  return { ...made, exact: old.exact && tail.exact };
}
