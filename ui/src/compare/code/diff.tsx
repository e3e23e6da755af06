// The lines of one file's diff: fetched by windows as they come into sight.
import { useRef } from "preact/hooks";
import { usePages } from "../../api/pages";
import { ErrorMessage } from "../../common/message";
import { useScroller } from "../../common/scroller";
import { formatCount, plural } from "../../common/values";
import { highlight, languageOf } from "../../common/highlight";
import { visibleText } from "../../run/visible";
import { type ChangedFile, nameOf } from "./index";

type LineKind = "hunk" | "context" | "added" | "removed" | "note";
type Line = [kind: LineKind, old: number | null, new_: number | null, text: string, cut: number];

interface LinesAnswer {
  total: number;
  lines: Line[];
}

const WINDOW = 400;
const ROW = 19;
const OVERSCAN = 20;
const SIGNS: Record<LineKind, string> = { hunk: "", context: " ", added: "+", removed: "−", note: "\\" };

interface DiffProps {
  a: string;
  b: string;
  file: ChangedFile;
}

export function DiffView({ a, b, file }: DiffProps) {
  const place = useRef<HTMLDivElement>(null);
  const { total, at, error, retry } = usePages<LinesAnswer, Line>("diff/code/lines", {
    size: WINDOW,
    query: (from) => ({ a, b, file: file.file, from }),
    items: (answer) => answer.lines,
  });
  const scroller = useScroller(() => place.current, total ?? 0, { lineHeight: ROW, overscan: OVERSCAN });
  const language = languageOf(file.new_path ?? file.old_path ?? "");
  return (
    <section class="codediff" aria-label={nameOf(file)}>
      <header class="bar">
        <h2>{nameOf(file)}</h2>
        {file.remark && <span class="badge">{file.remark}</span>}
        {total !== null && total > 2000 && <span class="plot-count bar soft">{formatCount(total)} lines</span>}
      </header>
      {error ? <ErrorMessage error={error} retry={retry} /> : null}
      {total === 0 && <p class="code-remark soft">{file.remark ? `No lines to show: ${file.remark}.` : "The lines are the same."}</p>}
      <div
        ref={place}
        class="codediff-lines"
        tabIndex={0}
        role="region"
        aria-label={`${plural(total ?? 0, "line")} of ${nameOf(file)}`}
      >
        <div class="codediff-room" style={{ height: `${scroller.range.height}px` }}>
          {scroller.drawn().map(({ index, top }) => (
            <DiffLine key={index} line={at(index)} top={top} language={language} />
          ))}
        </div>
      </div>
    </section>
  );
}

interface DiffLineProps {
  line: Line | undefined;
  top: number;
  language: string | null;
}

function DiffLine({ line, top, language }: DiffLineProps) {
  const style = { transform: `translateY(${top}px)` };
  if (!line) return <div class="codediff-line" style={style} />;
  const [kind, old, now, text, cut] = line;
  if (kind === "hunk") {
    return (
      <div class="codediff-line codediff-hunk" style={style}>
        <code>{text}</code>
      </div>
    );
  }
  return (
    <div class={`codediff-line codediff-${kind}`} style={style}>
      <span class="codediff-number">{old ?? ""}</span>
      <span class="codediff-number">{now ?? ""}</span>
      <span class="codediff-sign" aria-label={kind === "added" || kind === "removed" ? kind : undefined}>
        {SIGNS[kind]}
      </span>
      <code>
        {kind === "note" ? text : highlight(visibleText(text), language)}
        {cut > 0 && <em>… {formatCount(cut)} more characters</em>}
      </code>
    </div>
  );
}
