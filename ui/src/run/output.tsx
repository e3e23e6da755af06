// What a run printed: all of it, searched, and followed while it goes on.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { endpoint, get } from "../api/client";
import { openDialog } from "../common/dialog";
import { Icon, IconButton } from "../common/icons";
import { ErrorMessage } from "../common/message";
import { type Scroller, useScroller } from "../common/scroller";
import { formatBytes, formatCount, plural } from "../common/values";
import { list, setQuery, word } from "../state/address";
import { remembered } from "../state/remembered";
import { showError } from "../state/toasts";
import { inUnits, plainLine, readLine } from "./ansi";
import type { PartProps } from "./index";
import { HITS_AT_MOST, type OutLine, OutputLines, OutputSearch, STREAMS } from "./lines";
import { ofRun } from "./types";
import { visibleText } from "./visible";

const LINE_HEIGHT = 18;
const OVERSCAN = 15;
const TYPED_MS = 250;
const ACTIVE = new Set(["running", "live", "queued"]);
/** Runs whose end says most. */
const FAILED = new Set(["error", "interrupted", "lost"]);

const streamsWanted = list("streams");
const findText = word("find");
const isRegexp = word("regexp");
const isExact = word("case");
const chosenLine = word("line");
const chosenPlace = word("at");
const withTimes = remembered("output-times", false);

function shownStreams(): string[] {
  const wanted = streamsWanted.value.filter((name) => (STREAMS as readonly string[]).includes(name));
  return wanted.length ? wanted : [...STREAMS];
}

export function Output({ run }: PartProps) {
  const streams = shownStreams();
  const key = `${run.uid} ${streams.join(",")}`;
  const isActive = ACTIVE.has(run.status);
  const lines = useMemo(() => new OutputLines(run.uid, streams, isActive), [key]);
  useEffect(() => () => lines.close(), [lines]);
  useEffect(() => lines.setLive(isActive), [lines, isActive]);
  void lines.version.value;
  const search = useSearch(run.uid, streams, key);
  const [isFollowing, setFollowing] = useState(
    () => (isActive || FAILED.has(run.status)) && !chosenPlace.value && !chosenLine.value,
  );
  const element = useRef<HTMLDivElement>(null);
  const goal = useRef<number | null>(null);
  const scroller = useScroller(() => element.current, lines.total, {
    lineHeight: LINE_HEIGHT,
    overscan: OVERSCAN,
    onSettled: () => {
      goal.current = null;
      const isAtEnd = scroller.isAtEnd && lines.isCounted;
      setFollowing(isAtEnd && (isActive || lines.isGrowing));
      setQuery({ at: isAtEnd && isActive ? null : String(scroller.first) }, { replace: true });
    },
  });
  useStart(lines, scroller);
  useLayoutEffect(() => {
    if (isFollowing && lines.isLoaded) scroller.toEnd();
  }, [isFollowing, lines, lines.total, lines.isLoaded]);
  const drawn = scroller.drawn();
  const [first, last] = [drawn[0]?.index ?? 0, drawn.at(-1)?.index ?? -1];
  useEffect(() => lines.want(first, last), [lines, first, last, lines.version.value]);

  // A line may lie beyond those that were only guessed: it is gone to again once they are counted.
  useLayoutEffect(() => {
    if (goal.current === null) return;
    scroller.goTo(goal.current);
    if (lines.isCounted) goal.current = null;
  }, [lines, lines.version.value]);
  const goTo = (place: number, number: number) => {
    setFollowing(false);
    goal.current = lines.isCounted ? null : place;
    scroller.goTo(place);
    setQuery({ line: String(number), at: String(scroller.first) }, { replace: true });
  };
  if (lines.error.value && !lines.isLoaded) return <ErrorMessage error={lines.error.value} />;
  const isEmpty = lines.isLoaded && lines.isCounted && lines.size === 0;
  return (
    <div class="output">
      <Tools
        lines={lines}
        search={search}
        uid={run.uid}
        scroller={scroller}
        isFollowing={isFollowing}
        canFollow={isActive || lines.isGrowing}
        onFollow={(follows) => {
          setFollowing(follows);
          if (follows) setQuery({ at: null, line: null }, { replace: true });
        }}
        onMove={(place) => {
          setFollowing(false);
          scroller.scrollTo(place * LINE_HEIGHT);
          setQuery({ at: String(scroller.first) }, { replace: true });
        }}
        onHit={goTo}
      />
      {isEmpty && (
        <p class="soft output-empty">
          {isActive ? "No output yet." : "No output was recorded."} To record it, call <code>run.keep_output()</code> in
          your program or start it with <code>runstore exec</code>.
        </p>
      )}
      <div
        ref={element}
        class={withTimes.value ? "output-scroll with-times" : "output-scroll"}
        tabIndex={0}
        role="region"
        aria-label="Output"
        hidden={isEmpty}
      >
        <div class="output-sizer" style={{ height: `${scroller.range.height}px` }}>
          {drawn.map(({ index: place, top }) => (
            <LineView
              key={place}
              place={place}
              line={lines.line(place)}
              top={top}
              spans={spansOf(search, lines.line(place))}
              isChosen={lines.line(place)?.number === Number(chosenLine.value)}
              onChoose={goTo}
              uid={run.uid}
              streams={streams}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function spansOf(search: OutputSearch | null, line: OutLine | undefined): [number, number][] | undefined {
  return line && search?.spans.get(line.number);
}

/** Go to the line that the address names, once lines are there. */
function useStart(lines: OutputLines, scroller: Scroller): void {
  const isDone = useRef<OutputLines | null>(null);
  useLayoutEffect(() => {
    if (isDone.current === lines || !lines.isLoaded) return;
    const place = chosenPlace.value ? Number(chosenPlace.value) : null;
    const number = chosenLine.value ? Number(chosenLine.value) : null;
    const wanted = place ?? (number === null ? null : Math.max(0, number - 1));
    if (wanted !== null && Number.isFinite(wanted)) {
      // As long as the lines are guessed, the place may lie beyond them.
      if (wanted >= lines.total && !lines.isCounted) return;
      if (place !== null) scroller.scrollTo(place * LINE_HEIGHT);
      else scroller.goTo(wanted);
    }
    isDone.current = lines;
  }, [lines, lines.version.value]);
}

function useSearch(uid: string, streams: string[], key: string): OutputSearch | null {
  const wanted = { text: findText.value, regexp: isRegexp.value === "1", ignoreCase: isExact.value !== "1" };
  const search = useMemo(
    () => (wanted.text ? new OutputSearch(uid, streams, wanted) : null),
    [key, wanted.text, wanted.regexp, wanted.ignoreCase],
  );
  useEffect(() => () => search?.close(), [search]);
  void search?.version.value;
  return search;
}

interface ToolsProps {
  lines: OutputLines;
  search: OutputSearch | null;
  uid: string;
  scroller: Scroller;
  isFollowing: boolean;
  canFollow: boolean;
  onFollow: (follows: boolean) => void;
  onMove: (place: number) => void;
  onHit: (place: number, number: number) => void;
}

function Tools(props: ToolsProps) {
  const { lines, search, uid, scroller, isFollowing, canFollow, onFollow, onMove } = props;
  const { streams } = lines;
  const address = endpoint(ofRun(uid, "output", "text"), {
    streams: streams.length === STREAMS.length ? "" : streams.join(","),
  });
  return (
    <div class="part-tools output-tools bar">
      <Finder {...props} />
      <div class="segments" role="group" aria-label="Streams">
        <StreamButton name="All" streams={[]} count={null} isOn={streams.length === STREAMS.length} />
        {STREAMS.map((name) => {
          const count = lines.counts[name] ?? 0;
          const isOn = streams.length < STREAMS.length && streams.includes(name);
          if (!count && !isOn && name === "logging") return null;
          return <StreamButton key={name} name={name} streams={[name]} count={count} isOn={isOn} />;
        })}
      </div>
      <button
        type="button"
        class={withTimes.value ? "button small on" : "button small"}
        aria-pressed={withTimes.value}
        onClick={() => {
          withTimes.value = !withTimes.value;
        }}
      >
        <Icon name="clock" /> Times
      </button>
      {canFollow && (
        <button
          type="button"
          class={isFollowing ? "button small on" : "button small"}
          aria-pressed={isFollowing}
          onClick={() => onFollow(!isFollowing)}
        >
          Follow
        </button>
      )}
      <span class="spring" />
      <span class="soft output-size" role="status">
        {lines.isLoaded &&
          `${lines.isCounted ? "" : "about "}${plural(lines.total, "line")}, ${formatBytes(lines.size)}`}
      </span>
      <IconButton icon="up" label="First line" title="First line" onClick={() => onMove(0)} />
      <IconButton
        icon="down"
        label="Last line"
        title="Last line"
        onClick={() => {
          if (canFollow) onFollow(true);
          else onMove(lines.total);
          scroller.toEnd();
        }}
      />
      <a
        class="icon-button"
        href={address}
        download
        aria-label="Download the output"
        title="Download as text"
      >
        <Icon name="download" />
      </a>
      {search?.error.value ? (
        <p class="finder-error bad" role="alert">
          {messageOf(search.error.value)}
        </p>
      ) : null}
    </div>
  );
}

interface StreamButtonProps {
  name: string;
  streams: string[];
  count: number | null;
  isOn: boolean;
}

function StreamButton({ name, streams, count, isOn }: StreamButtonProps) {
  return (
    <button
      type="button"
      class={isOn ? "on" : undefined}
      aria-pressed={isOn}
      onClick={() => setQuery({ streams: streams.join(","), line: null, at: null })}
    >
      {name}
      {count !== null && <span class="tab-count">{formatCount(count)}</span>}
    </button>
  );
}

function Finder({ search, scroller, lines, onHit }: ToolsProps) {
  const [typed, setTyped] = useState(findText.value);
  const [place, setPlace] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (typed === findText.value) return undefined;
    const timer = setTimeout(() => setQuery({ find: typed, line: null }, { replace: true }), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    setPlace(-1);
    if (document.activeElement !== input.current) setTyped(findText.value);
  }, [search, findText.value]);
  const hits = search?.hits ?? [];
  // The first hit at or below what is in sight, as soon as it is found.
  const isFirst = useRef<OutputSearch | null>(null);
  useEffect(() => {
    if (!search || isFirst.current === search || !lines.isLoaded) return;
    const top = scroller.first;
    const found = hits.findIndex((hit) => hit.place >= top);
    const at = found >= 0 ? found : search.isOver && hits.length ? 0 : -1;
    if (at < 0) return;
    isFirst.current = search;
    setPlace(at);
    // A reload shows what was seen before.
    if (document.activeElement === input.current) move(at);
  }, [search, hits.length, search?.isOver, lines.isLoaded]);
  const move = (at: number) => {
    const hit = hits[at];
    if (!hit) return;
    setPlace(at);
    onHit(hit.place, hit.number);
  };
  const step = (by: number) => {
    if (hits.length) move((Math.max(place, by > 0 ? place : 0) + by + hits.length) % hits.length);
  };
  const count = formatCount(hits.length) + (hits.length >= HITS_AT_MOST ? "+" : search && !search.isOver ? "…" : "");
  return (
    <div class="finder">
      <Icon name="search" />
      <input
        ref={input}
        id="filter"
        class="input"
        type="search"
        placeholder="Find in all of the output"
        aria-label="Find in the output"
        value={typed}
        aria-invalid={search?.error.value ? true : undefined}
        aria-describedby="find-status"
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={() => {
          if (typed !== findText.value) setQuery({ find: typed, line: null }, { replace: true });
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          if (typed !== findText.value) setQuery({ find: typed, line: null }, { replace: true });
          else step(event.shiftKey ? -1 : 1);
        }}
      />
      <Toggle label="Regular expression" sign=".*" name="regexp" isOn={isRegexp.value === "1"} />
      <Toggle label="Match case" sign="Aa" name="case" isOn={isExact.value === "1"} />
      <span id="find-status" class="finder-count cut" role="status">
        {search?.error.value
          ? "Error"
          : search && (hits.length ? `${place >= 0 ? `${formatCount(place + 1)} of ` : ""}${count}` : search.isOver ? "None" : "…")}
      </span>
      <IconButton
        icon="up"
        label="Previous hit"
        title="Previous hit (Shift Enter)"
        disabled={!hits.length}
        onClick={() => step(-1)}
      />
      <IconButton
        icon="down"
        label="Next hit"
        title="Next hit (Enter)"
        disabled={!hits.length}
        onClick={() => step(1)}
      />
    </div>
  );
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0] ?? text;
}

function Toggle({ label, sign, name, isOn }: { label: string; sign: string; name: string; isOn: boolean }) {
  return (
    <button
      type="button"
      class={isOn ? "toggle mono on" : "toggle mono"}
      aria-label={label}
      title={label}
      aria-pressed={isOn}
      onClick={() => setQuery({ [name]: isOn ? null : "1", line: null }, { replace: true })}
    >
      {sign}
    </button>
  );
}

interface LineViewProps {
  place: number;
  line: OutLine | undefined;
  top: number;
  spans: [number, number][] | undefined;
  isChosen: boolean;
  onChoose: (place: number, number: number) => void;
  uid: string;
  streams: readonly string[];
}

function LineView({ place, line, top, spans, isChosen, onChoose, uid, streams }: LineViewProps) {
  if (!line) {
    return (
      <div class="output-line" style={{ top: `${top}px` }}>
        <span class="output-number" />
        <span class="ghost" />
      </div>
    );
  }
  const classes = ["output-line", `from-${line.stream}`];
  if (isChosen) classes.push("chosen");
  const marks = spans ? inUnits(plainLine(line.text), spans) : [];
  const rest = line.length - line.text.length;
  return (
    <div class={classes.join(" ")} style={{ top: `${top}px` }} dir="ltr">
      <button
        type="button"
        class="output-number"
        tabIndex={-1}
        aria-label={`Line ${line.number}`}
        onClick={() => onChoose(place, line.number)}
      >
        {line.number}
      </button>
      {withTimes.value && <time class="output-time">{timeOf(line.at)}</time>}
      <span class="output-stream" title={line.stream}>
        {line.stream === "stdout" ? "" : line.stream === "stderr" ? "E" : "L"}
      </span>
      <span class="output-text">
        {readLine(line.text, marks).map((piece, at) => {
          const style = { color: piece.colour ?? undefined, backgroundColor: piece.ground ?? undefined };
          const text = visibleText(piece.text);
          const name = piece.classes.join(" ") || undefined;
          if (piece.isMarked) return <mark key={at}>{text}</mark>;
          if (!name && !piece.colour && !piece.ground) return text;
          return (
            <span key={at} class={name} style={style}>
              {text}
            </span>
          );
        })}
      </span>
      {rest > 0 && (
        <button
          type="button"
          class="output-more"
          onClick={() => void showWhole(uid, place, streams, line.number)}
        >
          {plural(rest, "more character", "more characters")}
        </button>
      )}
    </div>
  );
}

function timeOf(at: string): string {
  const time = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

const WHOLE = 1 << 20;

async function showWhole(
  uid: string,
  place: number,
  streams: readonly string[],
  number: number,
): Promise<void> {
  try {
    const words = streams.length === STREAMS.length ? "" : streams.join(",");
    const answer = await get<{ lines: OutLine[] }>(ofRun(uid, "output"), {
      start: place,
      lines: 1,
      width: WHOLE,
      streams: words,
    });
    const text = visibleText(plainLine(answer.lines[0]?.text ?? ""));
    openDialog(`Line ${formatCount(number)}`, () => <pre class="plain-text wrapped" tabIndex={0}>{text}</pre>, {
      isWide: true,
    });
  } catch (error) {
    showError(error);
  }
}
