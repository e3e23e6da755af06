// A filter text taken apart: conditions, and the order at its end.

/** Return where `order by` begins outside quotes, or -1. */
export function orderStart(text: string): number {
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (quote) {
      if (sign === quote) quote = ""; // a doubled quote ends and begins again
    } else if (sign === "'" || sign === '"' || sign === "`") {
      quote = sign;
    } else if (/^order\s+by\b/i.test(text.slice(at)) && !/[\w.]/.test(text[at - 1] ?? " ")) {
      return at;
    }
  }
  return -1;
}

export function conditionsOf(text: string): string {
  const start = orderStart(text);
  return (start < 0 ? text : text.slice(0, start)).trim();
}

export interface Order {
  field: string;
  descending: boolean;
}

export function orderOf(text: string): Order[] {
  const start = orderStart(text);
  if (start < 0) return [];
  return splitFields(text.slice(start).replace(/^order\s+by\s+/i, "")).map((part) => {
    const match = /^(.*?)(?:\s+(asc|desc))?\s*$/is.exec(part)!;
    return { field: match[1]!.trim(), descending: match[2]?.toLowerCase() === "desc" };
  });
}

/** Names with commas between, as the server reads them: a comma within quotes belongs to a name. */
export function splitFields(text: string): string[] {
  const parts = [""];
  let quote = "";
  for (const sign of text) {
    if (quote ? sign === quote : sign === "'" || sign === '"' || sign === "`") {
      quote = quote ? "" : sign;
    }
    if (sign === "," && !quote) parts.push("");
    else parts[parts.length - 1] += sign;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** Return `text` with another order; an empty one is the newest first. */
export function withOrder(text: string, order: Order[]): string {
  const conditions = conditionsOf(text);
  if (!order.length) return conditions;
  const parts = order.map(({ field, descending }) => field + (descending ? " desc" : ""));
  return `${conditions} order by ${parts.join(", ")}`.trim();
}

/** Write a text or number as the filter language does. */
export function literal(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return `'${String(value).replace(/'/g, "''")}'`;
}
