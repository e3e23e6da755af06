// Ranges of values.

export interface Extent {
  least: number;
  most: number;
}

export function wider(one: Extent | null, other: Extent | null): Extent | null {
  if (!one || !other) return one ?? other;
  return { least: Math.min(one.least, other.least), most: Math.max(one.most, other.most) };
}
