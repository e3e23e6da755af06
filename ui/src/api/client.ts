// One place that talks to the server; the browser's cache answers with ETags.
import { signal } from "@preact/signals";
import type { ErrorFacts } from "./types";

const ROOT = "/api/v1/";

/** False while the server does not answer. */
export const reachable = signal(true);

/** An error as the server describes it: what happened, what was kept, what to do next. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly facts: ErrorFacts,
  ) {
    super(facts.message);
  }

  get code(): string {
    return this.facts.code;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Return the address of an endpoint; parameters without a value are left out. */
export function endpoint(path: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") words.set(name, String(value));
  }
  const text = words.toString();
  return ROOT + path + (text && `?${text}`);
}

/** Join names for a comma list in a query: commas within a name are escaped. */
export function joinNames(names: Iterable<string>): string {
  return [...names].map((name) => name.replace(/%/g, "%25").replace(/,/g, "%2C")).join(",");
}

export function splitNames(text: string): string[] {
  if (!text) return [];
  return text.split(",").map((name) => name.replace(/%2C/gi, ",").replace(/%25/g, "%"));
}

async function ask(path: string, query: Query, options: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(endpoint(path, query), { credentials: "same-origin", ...options });
  } catch (error) {
    if (isAbort(error)) throw error;
    reachable.value = false;
    throw new ApiError(0, {
      code: "unreachable",
      message: "The server of this page did not answer.",
      hint: "Start it again with: runstore ui",
    });
  }
  reachable.value = true;
  if (answer.ok) return answer;
  throw new ApiError(answer.status, await factsOf(answer));
}

async function factsOf(answer: Response): Promise<ErrorFacts> {
  if (answer.headers.get("Content-Type")?.startsWith("application/json")) {
    const body = (await answer.json()) as { error?: ErrorFacts };
    if (body.error) return body.error;
  }
  if (answer.status === 401) {
    return {
      code: "unauthorized",
      message: "This browser is not allowed to read the store.",
      hint: "Open the address that runstore ui printed.",
    };
  }
  return { code: "http", message: `The server answered ${answer.status} ${answer.statusText}.` };
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path, query, { signal: signal ?? null })).json()) as T;
}

export async function getBytes(
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<ArrayBuffer> {
  return (await ask(path, query, { signal: signal ?? null })).arrayBuffer();
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  return (await (await ask(path, {}, options)).json()) as T;
}

/** Say whether a request ended because the page no longer wanted its answer. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
