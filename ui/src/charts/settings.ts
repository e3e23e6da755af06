// How charts show their lines; all of it stands in the address.
import { batch, computed, signal } from "@preact/signals";
import { list, setList, setQuery, word } from "../state/address";
import type { Window, XAxis } from "./series";

const axis = word("x");
export const xAxis = computed<XAxis>(() =>
  axis.value === "relative" || axis.value === "time" ? axis.value : "step",
);
const logXWord = word("logx");
const logYWord = word("logy");
/** Wall times have no logarithm worth a picture. */
export const logX = computed(() => logXWord.value === "1" && xAxis.value !== "time");
export const logY = computed(() => logYWord.value === "1");
const wholeYWord = word("wholey");
/** Whether a linear axis shows lines that leave the others far behind. */
export const wholeY = computed(() => wholeYWord.value === "1");

const smooth = word("smooth");
export const MOST_SMOOTHING = 0.99;
/** A value while the slider moves; the address follows when it rests. */
const sliding = signal<number | null>(null);
export const smoothing = computed(() => {
  if (sliding.value !== null) return sliding.value;
  const value = Number(smooth.value);
  return value > 0 ? Math.min(MOST_SMOOTHING, value) : 0;
});

let slideTimer: ReturnType<typeof setTimeout> | undefined;

export function setSmoothing(value: number): void {
  sliding.value = Math.min(MOST_SMOOTHING, Math.max(0, value));
  clearTimeout(slideTimer);
  slideTimer = setTimeout(() => {
    batch(() => {
      setQuery({ smooth: value > 0 ? String(Number(value.toFixed(2))) : null }, { replace: true });
      sliding.value = null;
    });
  }, 200);
}

const mean = word("mean");
/** Whether runs that are equal but for their seed are drawn as their mean. */
export const isGrouped = computed(() => mean.value === "1");

export function setXAxis(value: XAxis): void {
  // A window of steps means nothing in seconds.
  setQuery({ x: value === "step" ? null : value, from: null, to: null });
}

export function toggle(name: "logx" | "logy" | "wholey" | "mean", isOn: boolean): void {
  setQuery({ [name]: isOn ? null : "1" });
}

// The zoom

const fromWord = word("from");
const toWord = word("to");
/** The window while it moves; the address follows when it rests. */
const moving = signal<Window | null | undefined>(undefined);
const kept = computed<Window | null>(() => {
  if (!fromWord.value || !toWord.value) return null;
  const from = Number(fromWord.value);
  const to = Number(toWord.value);
  return from < to ? { from, to } : null;
});

let shown: Window | null = null;

/** The part of the x axis that is shown; null for all of it. */
export const zoom = computed<Window | null>(() => {
  const now = moving.value === undefined ? kept.value : moving.value;
  // The address has rounded ends, which are no other window.
  const span = now ? now.to - now.from : 0;
  const isSame = now && shown && Math.abs(now.from - shown.from) + Math.abs(now.to - shown.to) < span / 1000;
  if (!isSame) shown = now;
  return shown;
});

let zoomTimer: ReturnType<typeof setTimeout> | undefined;

/** Write an end of a window with as many digits as its width deserves. */
function rounded(value: number, span: number): string {
  const digits = Math.max(0, Math.min(12, 4 - Math.floor(Math.log10(span))));
  return String(Number(value.toFixed(digits)));
}

/** Show a part of the x axis; with `isMoving` the address waits until it rests. */
export function zoomTo(window: Window | null, options: { isMoving?: boolean } = {}): void {
  clearTimeout(zoomTimer);
  const settle = (replace: boolean) => {
    const span = window ? window.to - window.from : 1;
    batch(() => {
      const words = {
        from: window && rounded(window.from, span),
        to: window && rounded(window.to, span),
      };
      setQuery(words, { replace });
      moving.value = undefined;
    });
  };
  if (!options.isMoving) {
    settle(false);
    return;
  }
  moving.value = window;
  zoomTimer = setTimeout(() => settle(true), 300);
}

// Which metrics, and which of them alone

const NONE = "none";
const metricList = list("charts");
/** The metrics that somebody chose; null when nobody has. */
export const chosenMetrics = computed<string[] | null>(() => {
  const names = metricList.value;
  if (!names.length) return null;
  return names.length === 1 && names[0] === NONE ? [] : [...new Set(names)];
});

export function chooseMetrics(names: string[] | null): void {
  if (names === null) setQuery({ charts: null });
  else setList("charts", names.length ? names : [NONE]);
}

const alone = word("chart");
/** The metric whose chart fills the page; "" when none does. */
export const fullMetric = computed(() => alone.value);

export function showFull(metric: string | null): void {
  setQuery({ chart: metric });
}

// How many lines

const FEWEST_LINES = 20;
/** As many runs as one request for means names. */
const MOST_IN_MEANS = 300;
const lines = word("lines");
/** A mean is drawn as one line, however many runs it has. */
export const mostLines = computed(() =>
  isGrouped.value ? MOST_IN_MEANS : Math.max(1, Number(lines.value) || FEWEST_LINES),
);

export function allowLines(count: number): void {
  setQuery({ lines: count > FEWEST_LINES ? String(count) : null }, { replace: true });
}
