// What is wrong with a filter: the place, the reason, and the nearest names to choose from.
import type { ErrorFacts } from "../api/types";

interface FilterMistakeProps {
  text: string;
  mistake: ErrorFacts;
  onReplace: (text: string) => void;
}

/** Return the end of the word that begins at `at`. */
function wordEnd(text: string, at: number): number {
  const rest = /^[\w.@[\]/-]+/.exec(text.slice(at));
  return at + Math.max(1, rest?.[0].length ?? 1);
}

export function FilterMistake({ text, mistake, onReplace }: FilterMistakeProps) {
  const at = mistake.position ?? null;
  const end = at === null ? 0 : (mistake.end ?? wordEnd(text, at));
  // The message of a terminal draws the place itself; here the line below does.
  const message = mistake.message.split("\n", 1)[0];
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
        {mistake.suggestions?.length ? (
          <>
            Did you mean{" "}
            {mistake.suggestions.map((name) => (
              <button
                key={name}
                type="button"
                class="choice"
                onClick={() => onReplace(text.slice(0, at ?? 0) + name + text.slice(end))}
              >
                {name}
              </button>
            ))}
            ?
          </>
        ) : (
          mistake.hint
        )}
      </p>
    </div>
  );
}
