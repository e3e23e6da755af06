// Lines of output by place: fetched where one looks, counted by the server as it goes, followed live.
import { signal } from "@preact/signals";
import { get, isAbort } from "../api/client";
import { ofRun } from "./types";

export interface OutLine {
  number: number;
  at: string;
  stream: "stdout" | "stderr" | "logging";
  text: string;
  length: number;
}

interface Window {
  lines: OutLine[];
  start: number;
  counts: Record<string, number>;
  size_bytes: number;
  counted_bytes: number;
  is_counted: boolean;
  is_growing: boolean;
}

export const STREAMS = ["stdout", "stderr", "logging"] as const;
const WINDOW = 200;
const AT_ONCE = 2;
const KEPT = 20_000;
const FOLLOW_MS = 1000;
/** Lines from the end that a program may still write over, such as progress bars. */
const UNSETTLED = 80;

export class OutputLines {
  /** Grows when lines or counts arrive. */
  readonly version = signal(0);
  readonly error = signal<unknown>(null);
  private info: Window | null = null;
  private readonly lines = new Map<number, OutLine>();
  private readonly inFlight = new Map<AbortController, [number, number]>();
  private wanted: [number, number] = [0, 0];
  private readonly path: string;
  private readonly closing = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    uid: string,
    readonly streams: readonly string[],
    private isLive: boolean,
  ) {
    this.path = ofRun(uid, "output");
    document.addEventListener("visibilitychange", this.onVisible);
    void this.look();
  }

  close(): void {
    this.closing.abort();
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    for (const controller of this.inFlight.keys()) controller.abort();
  }

  private readonly onVisible = () => {
    if (!document.hidden && this.timer === undefined && this.hasMore) void this.look();
  };

  /** Say whether the run still goes on, and look once more when it has ended. */
  setLive(isLive: boolean): void {
    if (isLive === this.isLive) return;
    this.isLive = isLive;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.look();
  }

  get isLoaded(): boolean {
    return this.info !== null;
  }

  get isCounted(): boolean {
    return this.info?.is_counted ?? false;
  }

  get isGrowing(): boolean {
    return this.info?.is_growing ?? false;
  }

  get size(): number {
    return this.info?.size_bytes ?? 0;
  }

  get counts(): Record<string, number> {
    return this.info?.counts ?? {};
  }

  private get hasMore(): boolean {
    return this.isLive || this.isGrowing || !this.isCounted;
  }

  /** Lines of the streams: their number, or a guess as long as they are not all counted. */
  get total(): number {
    if (!this.info) return 0;
    const counted = this.known;
    const { counted_bytes, size_bytes, is_counted } = this.info;
    if (is_counted || !counted_bytes) return counted;
    return Math.round((counted * size_bytes) / counted_bytes);
  }

  private get known(): number {
    return this.streams.reduce((sum, name) => sum + (this.info?.counts[name] ?? 0), 0);
  }

  line(place: number): OutLine | undefined {
    return this.lines.get(place);
  }

  /** Say which lines are in sight: what is missing is fetched. */
  want(first: number, last: number): void {
    this.wanted = [first, last];
    for (const [controller, [from, to]] of this.inFlight) {
      if (to < first || from > last) controller.abort();
    }
    this.pump();
  }

  private pump(): void {
    const [first, last] = this.wanted;
    for (let place = first; place <= last && this.inFlight.size < AT_ONCE; place++) {
      if (this.lines.has(place) || place >= this.total || this.isComing(place)) continue;
      const aligned = place - (place % WINDOW);
      void this.fetch(this.lines.has(aligned) ? place : aligned);
    }
  }

  private isComing(place: number): boolean {
    return [...this.inFlight.values()].some(([from, to]) => place >= from && place <= to);
  }

  private async ask(start: number, lines: number, signal: AbortSignal): Promise<Window> {
    const streams = this.streams.length === STREAMS.length ? "" : this.streams.join(",");
    return get<Window>(this.path, { start, lines, streams }, signal);
  }

  private async fetch(start: number): Promise<void> {
    const controller = new AbortController();
    this.inFlight.set(controller, [start, start + WINDOW - 1]);
    try {
      this.keep(await this.ask(start, WINDOW, controller.signal));
    } catch (error) {
      if (!controller.signal.aborted) {
        this.wanted = [0, -1]; // the next look tries again
        if (!isAbort(error)) this.error.value = error; // else the document is being left
      }
    } finally {
      this.inFlight.delete(controller);
      if (!this.closing.signal.aborted) this.pump();
    }
  }

  private keep(answer: Window): void {
    const before = this.info;
    if (before && answer.size_bytes !== before.size_bytes) {
      const settled = this.known - UNSETTLED;
      for (const place of this.lines.keys()) if (place >= settled) this.lines.delete(place);
    }
    // A later answer may have been asked for earlier.
    if (!before || answer.counted_bytes >= before.counted_bytes || answer.is_counted) this.info = answer;
    answer.lines.forEach((line, at) => this.lines.set(answer.start + at, line));
    this.forget();
    this.error.value = null;
    this.version.value++;
  }

  private forget(): void {
    if (this.lines.size <= KEPT) return;
    const [first, last] = this.wanted;
    for (const place of this.lines.keys()) {
      if (this.lines.size <= KEPT / 2) return;
      if (place < first - WINDOW || place > last + WINDOW) this.lines.delete(place);
    }
  }

  /** Count on, or see what was printed since; again while there may be more. */
  private async look(): Promise<void> {
    this.timer = undefined;
    let wait = FOLLOW_MS;
    try {
      this.keep(await this.ask(-1, 1, this.closing.signal));
      if (!this.isCounted) wait = 0;
    } catch (error) {
      if (isAbort(error)) return;
      this.error.value = error;
    }
    if (!this.closing.signal.aborted) this.pump();
    if (this.hasMore && !document.hidden && !this.closing.signal.aborted) {
      this.timer = setTimeout(() => void this.look(), wait);
    }
  }
}

export interface Hit {
  place: number;
  number: number;
  at: string;
  stream: string;
  text: string;
  spans: [number, number][];
}

export interface Wanted {
  text: string;
  regexp: boolean;
  ignoreCase: boolean;
}

/** Hits that are collected; whoever has more wants another text. */
export const HITS_AT_MOST = 10_000;

/** A search through all of the output, in parts. */
export class OutputSearch {
  readonly version = signal(0);
  readonly error = signal<unknown>(null);
  readonly hits: Hit[] = [];
  readonly spans = new Map<number, [number, number][]>();
  isOver = false;
  private readonly closing = new AbortController();

  constructor(uid: string, streams: readonly string[], wanted: Wanted) {
    void this.run(ofRun(uid, "output", "hits"), streams, wanted);
  }

  close(): void {
    this.closing.abort();
  }

  private async run(path: string, streams: readonly string[], wanted: Wanted): Promise<void> {
    let after: number | null = 0;
    try {
      while (after !== null && this.hits.length < HITS_AT_MOST) {
        const answer: { hits: Hit[]; after: number | null } = await get(
          path,
          {
            text: wanted.text,
            regexp: wanted.regexp ? 1 : null,
            ignore_case: wanted.ignoreCase ? 1 : null,
            streams: streams.length === STREAMS.length ? "" : streams.join(","),
            after,
          },
          this.closing.signal,
        );
        for (const hit of answer.hits) {
          this.hits.push(hit);
          this.spans.set(hit.number, hit.spans);
        }
        ({ after } = answer);
        this.version.value++;
      }
      this.isOver = true;
    } catch (error) {
      if (isAbort(error)) return;
      this.isOver = true;
      this.error.value = error;
    }
    this.version.value++;
  }
}
