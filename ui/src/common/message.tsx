// Errors and empty places: what happened, and what to do next.
import type { ComponentChildren } from "preact";
import { ApiError } from "../api/client";

/** A text of the library, with the words between backticks as code. */
export function Sentences({ text }: { text: string }) {
  return <>{text.split(/`([^`]+)`/).map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part))}</>;
}

export function ErrorMessage({ error, retry }: { error: unknown; retry?: () => void }) {
  const facts = error instanceof ApiError ? error.facts : null;
  return (
    <div class="message" role="alert">
      <h2>{facts?.message ?? "An unexpected error occurred on the page."}</h2>
      {facts?.kept && <p>{facts.kept}</p>}
      {facts?.hint && (
        <p>
          <Sentences text={facts.hint} />
        </p>
      )}
      {!facts && <p>{String(error)}</p>}
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Remarks that open on request. */
export function Remarks({ title, texts }: { title: string; texts: string[] }) {
  return (
    <details class="remarks soft">
      <summary>{title}</summary>
      <ul>
        {texts.map((text) => (
          <li key={text}>
            <Sentences text={text} />
          </li>
        ))}
      </ul>
    </details>
  );
}

export function EmptyMessage({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="message">
      <h2>{title}</h2>
      {children}
    </div>
  );
}
