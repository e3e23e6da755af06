// How many runs there are for each value of a field.
import { useEffect, useState } from "preact/hooks";
import { get, isAbort } from "../api/client";
import type { GroupsAnswer } from "../api/types";
import { ErrorMessage } from "../common/message";
import { formatCell, formatCount } from "../common/values";
import { setQuery, word } from "../state/address";

const by = word("rows");
const filter = word("filter");

export default function PivotView() {
  const field = by.value || "experiment";
  const [groups, setGroups] = useState<GroupsAnswer | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const running = new AbortController();
    setError(null);
    get<GroupsAnswer>("runs/order/groups", { by: field, filter: filter.value }, running.signal).then(
      setGroups,
      (reason: unknown) => isAbort(reason) || setError(reason),
    );
    return () => running.abort();
  }, [field, filter.value]);
  return (
    <div class="page">
      <div class="page-head">
        <a href="/">Runs</a>
        <h1>Pivot</h1>
      </div>
      <label class="field">
        Rows
        <input
          class="input"
          value={field}
          onChange={(event) => setQuery({ rows: event.currentTarget.value })}
        />
      </label>
      {error ? (
        <ErrorMessage error={error} />
      ) : (
        <table class="table">
          <thead>
            <tr>
              <th scope="col">{field}</th>
              <th scope="col" class="number">Runs</th>
            </tr>
          </thead>
          <tbody>
            {groups?.groups.map((group) => (
              <tr key={JSON.stringify(group.values)}>
                <th scope="row">{Object.values(group.values).map(formatCell).join(", ") || "none"}</th>
                <td class="number">{formatCount(group.count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
