// What is wrong with a filter: the place, the reason, and the nearest names to choose from.
import type { ErrorFacts } from "../api/types";
import { Sentences } from "../common/message";

interface FilterMistakeProps {
  text: string;
  mistake: ErrorFacts;
  /** Whole filters to choose from. */
  meant: string[];
  onReplace: (text: string) => void;
}

/** Return the end of the word that begins at `at`. */
function wordEnd(text: string, at: number): number {
  const rest = /^[\w.@[\]/-]+/.exec(text.slice(at));
  return at + Math.max(1, rest?.[0].length ?? 1);
}

export function FilterMistake({ text, mistake, meant, onReplace }: FilterMistakeProps) {
  const at = mistake.position ?? null;
  const end = at === null ? 0 : (mistake.end ?? wordEnd(text, at));
  // The message of a terminal draws the place itself; here the line below does.
  const message = mistake.message.split("\n", 1)[0];
  const names = (mistake.suggestions ?? []).map((name) => ({
    label: name,
    filter: text.slice(0, at ?? 0) + name + text.slice(end),
  }));
  const whole = meant.map((filter) => ({ label: filter, filter }));
  const choices = [...whole, ...names.filter((one) => !meant.includes(one.filter))];
  return (
    <div class="filter-mistake" id="filter-mistake" role="alert">
      {at !== null && (
        <pre aria-hidden="true">
          {text.slice(0, at)}
          <mark>{text.slice(at, end) || " "}</mark>
          {text.slice(end)}
          {"\n"}
          {" ".repeat(at)}
          {"^".repeat(Math.max(1, end - at))}
        </pre>
      )}
      <p>
        {message}{" "}
        {choices.length ? (
          <>
            Did you mean:{" "}
            {choices.map(({ label, filter }) => (
              <button key={filter} type="button" class="choice" onClick={() => onReplace(filter)}>
                {label}
              </button>
            ))}
          </>
        ) : (
          mistake.hint && <Sentences text={mistake.hint} />
        )}
      </p>
    </div>
  );
}
