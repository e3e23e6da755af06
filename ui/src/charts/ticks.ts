// Where the axes have their marks, and what stands beside them.

const SHORT = [
  [1e15, 1e15, "e15"],
  [1e12, 1e12, "T"],
  [1e9, 1e9, "G"],
  [1e6, 1e6, "M"],
  [1e4, 1e3, "k"],
] as const;

function plain(value: number, digits: number): string {
  return value.toFixed(digits).replace("-", "−");
}

/** Write the values of an axis, all in the same way. */
export function tickTexts(values: number[]): string[] {
  const step = gapOf(values);
  const most = Math.max(...values.map(Math.abs));
  const exponent = Math.floor(Math.log10(step) + 1e-9);
  if (most < 1e-3 || most >= 1e18) return values.map((value) => scientific(value, step, exponent));
  for (const [from, unit, letter] of SHORT) {
    // Not more digits than without the letter.
    if (most < from || step < unit / 1000) continue;
    const digits = Math.max(0, Math.ceil(Math.log10(unit / step) - 1e-9));
    return values.map((value) => (value === 0 ? "0" : plain(value / unit, digits) + letter));
  }
  const digits = Math.max(0, Math.min(12, -exponent));
  return values.map((value) => (value === 0 ? "0" : plain(value, digits)));
}

function scientific(value: number, step: number, exponent: number): string {
  if (Math.abs(value) < step / 1e6) return "0";
  const digits = Math.max(0, Math.min(6, Math.floor(Math.log10(Math.abs(value))) - exponent));
  return value.toExponential(digits).replace("e+", "e").replace(/-/g, "−");
}

function gapOf(values: number[]): number {
  return values.length > 1 ? Math.abs(values[1]! - values[0]!) : Math.abs(values[0] ?? 1) || 1;
}

const MOST_MARKS = 200;

/** Below so many decades, a log axis has marks at equal distances. */
const CLOSE = 0.7;

/** Return marks of a log axis: 1, 2 and 5 of each decade, fewer when there are many decades. */
export function logTicks(least: number, most: number, most_count: number): number[] {
  if (!(least > 0)) return [];
  const first = Math.floor(Math.log10(least));
  const last = Math.ceil(Math.log10(most));
  const decades = Math.log10(most / least);
  if (decades < CLOSE) return linearTicks(least, most, most_count);
  const every = Math.max(1, Math.ceil(decades / most_count));
  const parts = decades * 3 <= most_count * 1.2 ? [1, 2, 5] : decades * 2 <= most_count ? [1, 3] : [1];
  const found: number[] = [];
  for (let exponent = first; exponent <= last; exponent++) {
    if (exponent % every) continue;
    for (const part of every === 1 ? parts : [1]) {
      const value = part * 10 ** exponent;
      if (value >= least * (1 - 1e-9) && value <= most * (1 + 1e-9)) found.push(Number(value.toPrecision(12)));
    }
  }
  return found;
}

/** Write the values of a log axis; close together they are written as on any other. */
export function logTexts(values: number[], least: number, most: number): string[] {
  return Math.log10(most / least) < CLOSE ? tickTexts(values) : values.map(logText);
}

function logText(value: number): string {
  if (value >= 1e-3 && value < 1e4) return plain(value, Math.max(0, -Math.floor(Math.log10(value) + 1e-9)));
  return value.toExponential(0).replace("e+", "e").replace(/-/g, "−");
}

/** Return round values between two ends, at most about `count`. */
export function linearTicks(least: number, most: number, count: number): number[] {
  // An axis around the largest numbers may end at infinity.
  const from = Math.max(least, -Number.MAX_VALUE);
  const to = Math.min(most, Number.MAX_VALUE);
  const step = niceStep(to / Math.max(1, count) - from / Math.max(1, count));
  return multiples(from - step * 1e-9, to + step * 1e-9, step);
}

function niceStep(least: number): number {
  if (!(least > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(least));
  const part = [1, 2, 5, 10].find((one) => one * unit >= least * (1 - 1e-9)) ?? 10;
  return part * unit;
}

/** Write times since a start beside each other. */
export function durationTexts(values: number[]): string[] {
  const step = gapOf(values);
  return values.map((value) => durationText(value, step));
}

const DURATIONS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
];

/** Return marks for seconds since the start of a run. */
export function durationTicks(least: number, most: number, count: number): number[] {
  const raw = (most - least) / Math.max(1, count);
  const step = raw < 1 ? niceStep(raw) : (DURATIONS.find((one) => one >= raw) ?? niceStep(raw / 86400) * 86400);
  return multiples(least, most, step);
}

function multiples(least: number, most: number, step: number): number[] {
  const found: number[] = [];
  // Next to a large number, a small step may not lead to another one.
  for (let place = Math.ceil(least / step); place * step <= most && found.length < MOST_MARKS; place++) {
    if (Number.isFinite(place * step)) found.push(Number((place * step).toPrecision(12)));
    else break;
  }
  return found;
}

/** Write seconds as short as an axis needs it: "90 s", "1:30 h", "2 d". */
export function durationText(seconds: number, step = 0): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size < 60 || (step && step < 1)) return `${sign}${Number(size.toPrecision(6))} s`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (size < 3600) {
    const rest = Math.round(size % 60);
    return `${sign}${Math.floor(size / 60)}${rest ? `:${two(rest)}` : ""} min`;
  }
  if (size < 86400 * 2) {
    const rest = (size % 3600) / 60;
    return `${sign}${Math.floor(size / 3600)}${rest >= 1 ? `:${two(rest)}` : ""} h`;
  }
  const hours = Math.floor((size % 86400) / 3600);
  return `${sign}${Math.floor(size / 86400)} d${hours ? ` ${hours} h` : ""}`;
}

const DAY = 86400;
const MONTH = 30 * DAY;
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200];

/** Return a round distance of times, so that about `count` of them are between two ends. */
export function timeStep(least: number, most: number, count: number): number {
  const raw = (most - least) / Math.max(1, count);
  if (raw < 1) return niceStep(raw);
  return DURATIONS.find((one) => one >= raw) ?? MONTH * (MONTHS.find((one) => one * MONTH >= raw) ?? 6000);
}

/** Return marks for times: round hours, days, months and years where the reader is. */
export function timeTicks(least: number, most: number, step: number): number[] {
  // Seconds begin at once everywhere.
  if (step < 1) return multiples(least, most, step);
  const start = new Date(least * 1000);
  const [year, month, day] = [start.getFullYear(), start.getMonth(), start.getDate()];
  // Dates count in local fields, so that marks stay at round hours when the clocks change.
  let at: (place: number) => Date;
  if (step >= MONTH) {
    const every = step / MONTH;
    const first = Math.floor((year * 12 + month) / every);
    at = (place) => new Date(1970, (first + place) * every - 1970 * 12);
  } else if (step >= DAY) {
    const every = step / DAY;
    const before = Math.floor(Date.UTC(year, month, day) / (DAY * 1000)) % every;
    at = (place) => new Date(year, month, day - before + place * every);
  } else {
    const midnight = new Date(year, month, day).getTime() / 1000;
    const first = Math.floor((least - midnight) / step) - Math.ceil(7200 / step);
    at = (place) => new Date(year, month, day, 0, 0, (first + place) * step);
  }
  const found: number[] = [];
  for (let place = 0; place < 10_000; place++) {
    const time = at(place).getTime() / 1000;
    if (!(time <= most)) break;
    if (time >= least) found.push(time);
  }
  return found;
}

const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const years = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23",
});

/** Write times of an axis; a new day is named below its first mark. */
export function timeTexts(times: number[], step: number): string[] {
  let before = "";
  return times.map((time) => {
    const date = new Date(time * 1000);
    if (step >= 86400 * 28) return years.format(date);
    const day = days.format(date);
    if (step >= 86400) return day;
    const text = (step < 60 ? seconds : minutes).format(date);
    const isNew = day !== before;
    before = day;
    return isNew ? `${text}\n${day}` : text;
  });
}

export function timeText(time: number): string {
  return whole.format(new Date(time * 1000));
}
