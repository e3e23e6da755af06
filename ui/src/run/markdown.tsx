// Markdown drawn as elements of our own: no HTML of anybody is ever parsed.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { MarkdownRenderer } from "./markdown-tokens";

/** Longer texts are drawn as Markdown only if somebody asks for it. */
const DRAWN_AT_ONCE = 60_000;
const CUT_AT = 20_000;

let loaded: MarkdownRenderer | null = null;

interface MarkdownProps {
  text: string;
  /** The address of a picture that a text names by a path. */
  pictureOf?: (path: string) => string | null;
  /** Whether each line of a paragraph begins on a new one, as where it was typed. */
  keepsLines?: boolean;
}

export function Markdown({ text, pictureOf, keepsLines = false }: MarkdownProps) {
  const [isWhole, setWhole] = useState(text.length <= DRAWN_AT_ONCE);
  const [, drawAgain] = useState(0);
  useEffect(() => {
    if (loaded) return;
    void import("./markdown-tokens").then((module) => {
      loaded = module.render;
      drawAgain((count) => count + 1);
    });
  }, []);
  const renderer = loaded;
  const drawn = useMemo(
    () => (isWhole && renderer ? rendered(renderer, text, pictureOf, keepsLines) : null),
    [text, isWhole, renderer],
  );
  if (!isWhole) {
    return (
      <>
        <pre class="plain-text" dir="auto" tabIndex={0}>
          {text.slice(0, CUT_AT)}
        </pre>
        <button type="button" class="button" onClick={() => setWhole(true)}>
          Show all {Math.round(text.length / 1000).toLocaleString("en-US")} kB
        </button>
      </>
    );
  }
  if (!drawn) return <div class="loading" role="status" aria-label="Loading" />;
  return (
    <div class="markdown" dir="auto">
      {drawn}
    </div>
  );
}

function rendered(
  render: MarkdownRenderer,
  text: string,
  pictureOf: MarkdownProps["pictureOf"],
  keepsLines: boolean,
): ComponentChildren {
  try {
    return render(text, pictureOf ?? (() => null), keepsLines);
  } catch (error) {
    // Brackets in brackets without an end; the text itself can always be shown.
    console.info("The Markdown could not be read.", error);
    return (
      <pre class="plain-text" tabIndex={0}>
        {text}
      </pre>
    );
  }
}
