// Why two runs have different results: what differs, the likeliest cause first.
import { useAnswer } from "../api/answer";
import { ErrorMessage, Remarks } from "../common/message";
import { RoundedNumber } from "../common/number";
import { plural } from "../common/values";
import { visibleText } from "../run/visible";
import { setQuery, word } from "../state/address";
import type { Cell } from "../api/types";
import { PairChoice } from "./pair";
import { type Gap, type NamedRun, pair } from "./state";
import { metricKey } from "../state/columns";
import { ColumnChoice } from "./plots/column-choice";

interface Cause {
  name: string;
  weight: number;
  reason: string;
  section: string;
  key: string;
  texts: string[];
}

interface Explanation {
  runs: NamedRun[];
  metric: string | null;
  values: Cell[];
  change_text: string | null;
  causes: Cause[];
  unknown: Gap[];
  remarks: string[];
  runs_seen: number;
}

const metric = word("metric");

export default function Why() {
  const [first, second] = pair.value!;
  const { answer, error, isWaiting, retry } = useAnswer<Explanation>("why", { a: first, b: second, metric: metric.value });
  return (
    <div class="why">
      <div class="plot-tools bar">
        <PairChoice />
        <ColumnChoice
          label="Result"
          value={metric.value ? `metrics.${metric.value}.last` : ""}
          none="the metric that differs most"
          onlyMetrics
          onChange={(name) => setQuery({ metric: name && metricKey(name) })}
        />
      </div>
      {error ? (
        <ErrorMessage error={error} retry={retry} />
      ) : (
        answer && (
          <div class={isWaiting ? "why-found waiting" : "why-found"}>
            <Found answer={answer} />
          </div>
        )
      )}
      {isWaiting && !answer && <div class="loading" role="status" aria-label="Loading" />}
    </div>
  );
}

function Found({ answer }: { answer: Explanation }) {
  return (
    <>
      {answer.metric !== null && answer.values.length === 2 && (
        <p class="why-result">
          <strong>{answer.metric}</strong>{" "}
          {answer.values.map((value, place) => (
            <span key={place}>
              {place > 0 && " → "}
              <RoundedNumber value={value} />
            </span>
          ))}
          {answer.change_text && <span class="why-change soft">{answer.change_text}</span>}
        </p>
      )}
      {answer.causes.length === 0 && <p>No recorded difference can explain the result.</p>}
      <ol class="why-causes">
        {answer.causes.map((cause) => (
          <CauseItem key={cause.name} cause={cause} />
        ))}
      </ol>
      <Foot answer={answer} />
    </>
  );
}

function strength(weight: number): string {
  if (weight >= 70) return "likely";
  if (weight >= 30) return "possible";
  return weight > 0 ? "unlikely" : "no sign of it";
}

function CauseItem({ cause }: { cause: Cause }) {
  const word = strength(cause.weight);
  return (
    <li class="why-cause">
      <div class="why-weight">
        <span class="why-bar" aria-hidden="true">
          <span style={{ width: `${Math.max(2, cause.weight)}%` }} />
        </span>
        <span>
          <strong>{cause.weight}</strong> <small>{word}</small>
        </span>
      </div>
      <div>
        <h2>{visibleText(cause.name)}</h2>
        {cause.texts.length === 2 && (
          <p class="why-values mono">
            <del>{visibleText(cause.texts[0]!)}</del>
            <span aria-hidden="true"> → </span>
            <ins>{visibleText(cause.texts[1]!)}</ins>
          </p>
        )}
        <p>{cause.reason[0]?.toUpperCase() + cause.reason.slice(1)}.</p>
        {cause.section === "code" && (
          <button type="button" class="button small" onClick={() => setQuery({ tab: "code" })}>
            Show the code
          </button>
        )}
      </div>
    </li>
  );
}

function Foot({ answer }: { answer: Explanation }) {
  const gaps = [...new Set(answer.unknown.map((gap) => `${gap.what} of ${gap.run} could not be compared: ${gap.reason}.`))];
  const told = [...answer.remarks, ...gaps];
  return (
    <footer class="why-foot soft">
      {answer.runs_seen > 0 && (
        <p>
          Looked for evidence among {plural(answer.runs_seen, "run")} with {answer.metric}. Weights from 0 to 100 are
          rules of thumb; other runs that differ in one thing alone count more than these.
        </p>
      )}
      {told.length > 0 && <Remarks title={plural(told.length, "remark")} texts={told} />}
    </footer>
  );
}
