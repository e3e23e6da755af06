// Texts, images and histograms that a run logged, step by step.
import { useState } from "preact/hooks";
import { useAnswer } from "../api/answer";
import { endpoint } from "../api/client";
import { ErrorMessage } from "../common/message";
import { formatCount, formatNumber } from "../common/values";
import { word, setQuery } from "../state/address";
import type { PartProps } from "./index";
import { useText } from "./loading";
import { ofFile, ofRun } from "./types";
import { visibleText } from "./visible";

interface Series {
  kind: "text" | "image" | "histogram";
  key: string;
  steps: { step: number; paths: string[] }[];
}

const chosenStep = word("step");
const DRAWN = 60;
const PER_STEP = 24;
/** Bytes of a text that are read. */
const LONGEST = 200_000;

export function Media({ run, version }: PartProps) {
  const { answer, error } = useAnswer<{ media: Series[] }>(ofRun(run.uid, "media"), {}, { version });
  if (error && !answer) return <ErrorMessage error={error} />;
  if (!answer) return <div class="loading" role="status" aria-label="Loading" />;
  if (!answer.media.length) {
    return (
      <p class="soft">
        This run logged no media. In a program: <code>run.log_image("samples", image, step=10)</code>
      </p>
    );
  }
  return (
    <div class="media">
      {answer.media.slice(0, DRAWN).map((series) => (
        <SeriesView key={`${series.kind}/${series.key}`} series={series} uid={run.uid} />
      ))}
    </div>
  );
}

/** The step of a series that is shown: the chosen one, or the last before it. */
function placeOf(series: Series): number {
  if (!chosenStep.value) return series.steps.length - 1;
  const wanted = Number(chosenStep.value);
  const place = series.steps.findLastIndex(({ step }) => step <= wanted);
  return Math.max(0, place);
}

function SeriesView({ series, uid }: { series: Series; uid: string }) {
  const place = placeOf(series);
  const now = series.steps[place];
  if (!now) return null;
  const id = `step-${series.kind}-${series.key}`;
  return (
    <section class="card">
      <div class="card-head bar">
        <h2 dir="auto">{series.key}</h2>
        <label class="media-step fine soft" for={id}>
          Step <output>{formatCount(now.step)}</output>
          <input
            id={id}
            type="range"
            min={0}
            max={Math.max(0, series.steps.length - 1)}
            value={place}
            disabled={series.steps.length < 2}
            aria-valuetext={`step ${now.step}`}
            onInput={(event) => {
              const step = series.steps[Number(event.currentTarget.value)]?.step;
              setQuery({ step: step === undefined ? null : String(step) }, { replace: true });
            }}
          />
        </label>
      </div>
      <div class={`media-${series.kind}s`}>
        {now.paths.slice(0, PER_STEP).map((path) => {
          const address = endpoint(ofFile(uid, "artifacts", path));
          if (series.kind === "image") return <Picture key={path} address={address} name={`${series.key} at step ${now.step}`} />;
          if (series.kind === "histogram") return <HistogramView key={path} address={address} name={series.key} />;
          return <TextView key={path} address={address} />;
        })}
      </div>
    </section>
  );
}

function Picture({ address, name }: { address: string; name: string }) {
  const [isBroken, setBroken] = useState(false);
  if (isBroken) return <p class="soft">The browser cannot display this image.</p>;
  return <img src={address} alt={name} loading="lazy" onError={() => setBroken(true)} />;
}

function TextView({ address }: { address: string }) {
  const { value, error } = useText(address, LONGEST);
  if (error) return <p class="soft">The text could not be read.</p>;
  return (
    <pre class="plain-text" tabIndex={0} dir="auto">
      {visibleText(value ?? "")}
    </pre>
  );
}

interface Histogram {
  edges: number[];
  counts: number[];
  left_out: number;
}

function readHistogram(text: string | null): Histogram | null {
  if (text === null) return null;
  try {
    const found = JSON.parse(text) as Partial<Histogram>;
    const { edges, counts, left_out = 0 } = found;
    const areNumbers = (list: unknown): list is number[] =>
      Array.isArray(list) && list.every((one) => typeof one === "number");
    if (!areNumbers(edges) || !areNumbers(counts) || edges.length !== counts.length + 1) return null;
    const ascend = edges.every((edge, at) => at === 0 || edge > (edges[at - 1] ?? edge));
    if (!ascend || counts.some((count) => count < 0) || !counts.length) return null;
    return { edges, counts, left_out };
  } catch {
    return null;
  }
}

const WIDTH = 480;
const HEIGHT = 120;

function HistogramView({ address, name }: { address: string; name: string }) {
  const { value, error } = useText(address, LONGEST);
  const histogram = readHistogram(value);
  if (error || (value !== null && !histogram)) return <p class="soft">The histogram could not be read.</p>;
  if (!histogram) return <div class="loading" role="status" aria-label="Loading" />;
  const { edges, counts, left_out } = histogram;
  const low = edges[0] ?? 0;
  const high = edges.at(-1) ?? 1;
  // Bins may differ in width: the area is what counts.
  const heights = counts.map((count, at) => count / ((edges[at + 1] ?? 0) - (edges[at] ?? 0)));
  const most = Math.max(...heights, Number.MIN_VALUE);
  const x = (edge: number) => ((edge - low) / (high - low || 1)) * WIDTH;
  const path = heights
    .map((height, at) => `L${x(edges[at] ?? 0).toFixed(1)} ${y(height / most)}L${x(edges[at + 1] ?? 0).toFixed(1)} ${y(height / most)}`)
    .join("");
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Histogram of ${name}: ${total} values from ${low} to ${high}`} preserveAspectRatio="none">
        <path d={`M0 ${HEIGHT}${path}L${WIDTH} ${HEIGHT}Z`} />
      </svg>
      <figcaption class="fine soft">
        <span>{formatNumber(low)}</span>
        <span>
          {formatCount(total)} values{left_out ? `, ${formatCount(left_out)} left out` : ""}
        </span>
        <span>{formatNumber(high)}</span>
      </figcaption>
    </figure>
  );
}

function y(share: number): string {
  return (HEIGHT - share * (HEIGHT - 4)).toFixed(1);
}
