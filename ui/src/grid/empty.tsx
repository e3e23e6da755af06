// What the grid says when there is nothing to show.
import { CopyCode } from "../common/code";
import { Icon } from "../common/icons";
import { EmptyMessage } from "../common/message";
import { setQuery } from "../state/address";
import { filter, inTrash } from "../state/order";
import { conditionsOf, orderOf, withOrder } from "../state/query-text";

const FIRST_RUN = `import runstore

with runstore.start_run("mnist", params={"lr": 0.1}) as run:
    for step in range(100):
        run.log(loss=1 / (step + 1))`;

/** Split a filter at its outermost `and`, as far as its quotes and brackets allow. */
function parts(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let quote = "";
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (quote) quote = sign === quote ? "" : quote;
    else if (/['"`]/.test(sign)) quote = sign;
    else if (sign === "(") depth++;
    else if (sign === ")") depth--;
    else if (!depth && /^\sor\s/i.test(text.slice(at))) return [];
    else if (!depth && /^\sand\s/i.test(text.slice(at))) {
      found.push(text.slice(start, at).trim());
      start = at + 4;
    }
  }
  return [...found, text.slice(start).trim()];
}

export function EmptyGrid() {
  const conditions = conditionsOf(filter.value);
  if (conditions) return <NoMatch conditions={conditions} />;
  if (inTrash.value) {
    return (
      <EmptyMessage title="The trash is empty">
        <p>Runs in the trash stay here until you restore them or delete them permanently with runstore gc.</p>
        <button type="button" class="button" onClick={() => setQuery({ trash: null })}>
          Show the runs
        </button>
      </EmptyMessage>
    );
  }
  return (
    <EmptyMessage title="No runs yet">
      <p>Run this code in your project; the run appears here immediately.</p>
      <CopyCode text={FIRST_RUN} />
      <p>
        Commands can be recorded too: <code>runstore exec -- python train.py</code>
      </p>
    </EmptyMessage>
  );
}

function NoMatch({ conditions }: { conditions: string }) {
  const all = parts(conditions);
  const keepOrder = (text: string) => withOrder(text, orderOf(filter.value));
  return (
    <EmptyMessage title="No run matches the filter">
      {all.length > 1 && (
        <>
          <p>Remove a condition:</p>
          <div class="choices">
            {all.map((part, place) => (
              <button
                key={part}
                type="button"
                class="choice"
                onClick={() => setQuery({ filter: keepOrder(all.filter((_, at) => at !== place).join(" and ")) })}
              >
                {part} <Icon name="cross" size={12} />
              </button>
            ))}
          </div>
        </>
      )}
      <p>
        Names and values must match exactly; use <code>contains</code> or <code>like '%…%'</code> for partial matches.
        Conditions on missing values are false; use <code>is missing</code> to find them.
      </p>
      <button type="button" class="button" onClick={() => setQuery({ filter: keepOrder("") || null })}>
        Show all runs
      </button>
    </EmptyMessage>
  );
}
