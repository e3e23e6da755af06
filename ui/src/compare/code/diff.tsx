// The lines of one file's diff: fetched by windows as they come into sight.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, isAbort } from "../../api/client";
import { ErrorMessage } from "../../common/message";
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
/** Browsers end at about 17 million pixels; a longer diff is mapped to fewer. */
const TALLEST = 8_000_000;
const BEYOND = 20;
const SIGNS: Record<LineKind, string> = { hunk: "", context: " ", added: "+", removed: "−", note: "\\" };

interface DiffProps {
  a: string;
  b: string;
  file: ChangedFile;
}

export function DiffView({ a, b, file }: DiffProps) {
  const place = useRef<HTMLDivElement>(null);
  const windows = useRef(new Map<number, Line[]>());
  const asked = useRef(new Set<number>());
  const running = useRef(new AbortController());
  const [total, setTotal] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [, drawAgain] = useState(0);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const load = (page: number): void => {
    if (asked.current.has(page)) return;
    asked.current.add(page);
    const query = { a, b, file: file.file, from: page * WINDOW, limit: WINDOW };
    get<LinesAnswer>("diff/code/lines", query, running.current.signal).then(
      (answer) => {
        windows.current.set(page, answer.lines);
        setTotal(answer.total);
        drawAgain((version) => version + 1);
      },
      (reason: unknown) => {
        asked.current.delete(page);
        if (!isAbort(reason)) setError(reason);
      },
    );
  };
  useEffect(() => {
    running.current = new AbortController();
    load(0);
    return () => running.current.abort();
  }, []);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  if (error) return <ErrorMessage error={error} retry={() => { setError(null); load(0); }} />;
  const full = (total ?? 0) * ROW;
  const shown = Math.min(full, TALLEST);
  const ratio = shown > height ? (full - height) / (shown - height) : 1;
  const offset = top * ratio;
  const first = Math.max(0, Math.floor(offset / ROW) - BEYOND);
  const last = Math.min(total ?? 0, Math.ceil((offset + height) / ROW) + BEYOND);
  const rows = [];
  const language = languageOf(file.new_path ?? file.old_path ?? "");
  for (let at = first; at < last; at++) {
    const page = Math.floor(at / WINDOW);
    if (!windows.current.has(page)) load(page);
    const line = windows.current.get(page)?.[at % WINDOW];
    rows.push(<DiffLine key={at} line={line} top={at * ROW - offset + top} language={language} />);
  }
  return (
    <section class="codediff" aria-label={nameOf(file)}>
      <header class="bar">
        <h2>{nameOf(file)}</h2>
        {file.remark && <span class="badge">{file.remark}</span>}
        {total !== null && total > 2000 && <span class="plot-count bar soft">{formatCount(total)} lines</span>}
      </header>
      {total === 0 && <p class="code-remark soft">{file.remark ? `No lines to show: ${file.remark}.` : "The lines are the same."}</p>}
      <div
        ref={place}
        class="codediff-lines"
        tabIndex={0}
        role="region"
        aria-label={`${plural(total ?? 0, "line")} of ${nameOf(file)}`}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <div class="codediff-room" style={{ height: `${shown}px` }}>
          {rows}
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
