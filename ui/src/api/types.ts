// What the server's API sends; the reference is /api/v1/openapi.json.

/** A cell's value; "NaN", "Infinity" and "-Infinity" stand for the numbers JSON lacks. */
export type Cell = string | number | boolean | null | Cell[] | { [name: string]: Cell };

export type Status =
  | "queued"
  | "running"
  | "live"
  | "complete"
  | "error"
  | "interrupted"
  | "pruned"
  | "lost"
  | "damaged"; // it cannot be read

export interface StoreInfo {
  name: string;
  path: string;
  version: string;
  schema_version: number;
  read_only: boolean;
  author: string | null;
  changed: number;
  runs: number;
  trashed: number;
  experiments: number;
}

export interface WireRow {
  id: number;
  uid: string;
  reference: string;
  /** The short name, unique in the store: `mnist#7`. */
  name: string;
  experiment: string;
  run_number: number;
  status: Status;
  status_text: string | null;
  started_at: string | null;
  ended_at: string | null;
  duration_s: number | null;
  notes: string | null;
  tags: Record<string, string>;
  parent_uid: string | null;
  deleted_at: string | null;
  cells: Cell[];
}

export interface RowsAnswer {
  changed: number;
  rows: WireRow[];
}

export type ColumnKind = "field" | "param" | "metric" | "tag" | "fact";

export interface ColumnInfo {
  name: string;
  kind: ColumnKind;
  /** Null for fields, which every run has. */
  runs: number | null;
  /** Counting ended early: there are at least so many. */
  more?: boolean;
}

export interface ColumnsAnswer {
  total: number;
  columns: ColumnInfo[];
}

export interface ErrorFacts {
  code: string;
  message: string;
  kept?: string | null;
  hint?: string | null;
  position?: number | null;
  end?: number | null;
  suggestions?: string[];
}

export interface Completion {
  text: string;
  kind: string;
  start: number;
  end: number;
  detail: string | null;
}

export interface FilterAnswer {
  error: ErrorFacts | null;
  /** Filters that may have been meant, the likeliest first. */
  meant: string[];
  hints: string[];
  order: { field: string; descending: boolean }[];
  completions: Completion[];
}

export interface GroupInfo {
  values: Record<string, Cell>;
  count: number;
  /** Place of its first run in the order vector. */
  start: number;
}

export interface GroupsAnswer {
  changed: number;
  groups: GroupInfo[];
}

export interface EditAnswer {
  runs: string[];
  undo: string | null;
}

export interface ExperimentInfo {
  name: string;
  runs: number;
  last_run_number: number | null;
  last_started_at: string | null;
  by_status: Partial<Record<Status, number>>;
  best?: Cell;
}

/** Changes of runs since the last such event. */
export interface RunsChanged {
  changed: number;
  ids: number[];
  gone: number[];
  many: boolean;
}

export interface PointsArrived {
  runs: { id: number; uid: string; keys: Record<string, number> }[];
}
