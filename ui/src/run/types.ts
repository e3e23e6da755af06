// What the server sends of one run; the reference is /api/v1/openapi.json.
import type { Cell, Status } from "../api/types";

export interface Metric {
  key: string;
  set_name: string | null;
  count: number;
  first: Cell;
  last: Cell;
  min: Cell;
  max: Cell;
  mean: Cell;
  last_step: number;
}

export interface ArtifactInfo {
  path: string;
  digest: string;
  size_bytes: number;
  media_type: string;
  saved_at: string;
}

export interface RunRecord {
  uid: string;
  experiment_name: string;
  run_number: number;
  reference: string;
  status: Status;
  damaged: string[];
  started_at: string | null;
  ended_at: string | null;
  last_seen_at: string | null;
  duration_s: number | null;
  notes: string | null;
  error: string | null;
  traceback: string | null;
  exit_code: number | null;
  commit: string | null;
  workdir_dirty: boolean | null;
  cli: string | null;
  hostname: string | null;
  reproduce: string | null;
  tags: Record<string, string>;
  facts: Record<string, Cell>;
  unknown_facts: Record<string, string>;
  metrics: Metric[];
  artifacts: ArtifactInfo[];
  media: { kind: string; key: string; steps: number[] }[];
  documents: string[];
}

export interface ShortRun {
  uid: string;
  reference: string;
  experiment: string;
  run_number: number;
  status: Status;
  started_at: string | null;
  is_deleted: boolean;
}

export interface Around {
  previous: ShortRun | null;
  next: ShortRun | null;
  parent: ShortRun | null;
  children: ShortRun[];
  child_count: number;
  sources: ShortRun[];
  readers: ShortRun[];
}

export interface ParamRow {
  key: string;
  name: string;
  depth: number;
  type: string;
  text: string;
  size: number | null;
}

export interface ParamSet {
  name: string;
  file: string | null;
  hash: string;
  rows: ParamRow[];
  is_cut: boolean;
}

export interface RunEvent {
  at: string;
  author: string;
  field: string;
  old: string | null;
  new: string | null;
  operation: string | null;
  undoes: string | null;
}

export interface Look {
  kind: "image" | "audio" | "video" | "svg" | "html" | "table" | "json" | "markdown" | "text" | "none";
  media_type: string;
  text: string;
  columns: string[];
  rows: Cell[][];
  row_count: number | null;
  column_count: number;
  is_cut: boolean;
  why: string;
}

/** The name of a metric as grids and filters have it. */
export function metricName(metric: Metric): string {
  return metric.set_name === null ? metric.key : `${metric.set_name}/${metric.key}`;
}

/** The path of something of a run in the API. */
export function ofRun(uid: string, ...parts: string[]): string {
  return ["runs", uid, ...parts].map(encodeURIComponent).join("/");
}

/** The path of a file in the API; its folders stay folders, unless a browser would resolve them. */
export function ofFile(uid: string, kind: "artifacts" | "looks", path: string): string {
  const parts = path.split("/");
  if (parts.some((part) => part === "." || part === "..")) return ofRun(uid, kind, path);
  return `${ofRun(uid, kind)}/${parts.map(encodeURIComponent).join("/")}`;
}
