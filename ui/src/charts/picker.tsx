// Choose the metrics that are charted, among those of the runs that are shown.
import { useState } from "preact/hooks";
import { useAnswer, useRested } from "../api/answer";
import { matcher, SearchInput } from "../common/find";
import { formatCount, plural } from "../common/values";
import { ASKED_AT_ONCE, type KeysAnswer, type MetricInfo } from "./metrics";
import type { Board } from "./runs";
import { chooseMetrics, chosenMetrics } from "./settings";

const MOST = 200;

export function MetricPicker({ board, shown }: { board: Board; shown: () => string[] }) {
  const [search, setSearch] = useState("");
  const { answer, error } = useAnswer<KeysAnswer>("series/keys", {
    runs: board.considered.value.slice(0, ASKED_AT_ONCE).join(","),
    search: useRested(search),
    limit: MOST,
  });
  const found = error ? null : answer;
  const names = shown();
  const known = new Map(found?.keys.map((info) => [info.key, info]));
  // What is charted stands at the top, even if none of these runs has it.
  const chosen = names
    .filter(matcher(search))
    .map((key) => known.get(key) ?? { key, runs: 0, points: 0 });
  const others = (found?.keys ?? []).filter((info) => !names.includes(info.key));
  const more = (found?.total ?? 0) - (found?.keys.length ?? 0);
  return (
    <div class="picker">
      <SearchInput label="Search metrics" value={search} onSearch={setSearch} />
      <div class="metric-list" role="group" aria-label="Metrics">
        {chosen.map((info) => (
          <Choice key={info.key} info={info} isOn names={names} />
        ))}
        {chosen.length > 0 && others.length > 0 && <hr />}
        {others.map((info) => (
          <Choice key={info.key} info={info} isOn={false} names={names} />
        ))}
      </div>
      <p class="picker-count fine soft" role="status">
        {found === null
          ? error
            ? "The metrics could not be listed: the server did not answer."
            : "Searching…"
          : more > 0
            ? `${formatCount(more)} more: search by name`
            : chosen.length + others.length
              ? plural(found.total, "metric")
              : "No metric of these runs has this name."}
      </p>
      <footer>
        <button
          type="button"
          class="button small"
          disabled={chosenMetrics.value === null}
          onClick={() => chooseMetrics(null)}
        >
          Choose automatically
        </button>
        <button type="button" class="button small" disabled={!names.length} onClick={() => chooseMetrics([])}>
          None
        </button>
      </footer>
    </div>
  );
}

function Choice({ info, isOn, names }: { info: MetricInfo; isOn: boolean; names: string[] }) {
  const choose = () => chooseMetrics(isOn ? names.filter((name) => name !== info.key) : [...names, info.key]);
  return (
    <label class="picker-line" title={info.key}>
      <input type="checkbox" checked={isOn} onChange={choose} />
      <span class="picker-name cut">{info.key}</span>
      <span class="picker-runs fine soft">{info.runs ? plural(info.runs, "run") : ""}</span>
    </label>
  );
}
