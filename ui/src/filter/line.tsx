// The filter line: completion while typing, the place of a mistake, results at once.
import { effect, signal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { ApiError, get, isAbort } from "../api/client";
import { onRunsChanged } from "../api/live";
import type { Completion, ErrorFacts, FilterAnswer } from "../api/types";
import { Icon, IconButton } from "../common/icons";
import { setQuery } from "../state/address";
import { filter, orderError } from "../state/order";
import { conditionsOf, orderOf, withOrder } from "../state/query-text";
import { showError } from "../state/toasts";
import { lastFilters, remember } from "./history";
import { FilterMistake } from "./mistake";

/** Keys that follow each other so quickly are checked together; the first one at once. */
const DEBOUNCE_MS = 40;

/** What is in the line; the address has the last text without a mistake. */
const text = signal(filter.peek());
const mistake = signal<ErrorFacts | null>(null);
/** Filters that may be meant by what is in the line. */
const meant = signal<string[]>([]);
const hints = signal<string[]>([]);
const completions = signal<Completion[]>([]);
/** The text that the completions fit. */
let completed = "";
/** The chosen completion, -1 for none. */
const chosen = signal(-1);
const isListOpen = signal(false);

/** What the line itself has put into the address. */
let applied = filter.peek();
let typing = false;
let lastKey = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let running: AbortController | null = null;
/** The last check had no answer: what is in the line has not been applied. */
let isUnchecked = false;
/** How often the server was back. */
let returns = 0;

// Back, forward, sorting and links change the address; the line follows.
effect(() => {
  const now = filter.value;
  if (now === applied) return;
  // What is still being checked is not wanted any more.
  clearTimeout(timer);
  running?.abort();
  applied = now;
  typing = false;
  text.value = now;
  mistake.value = null;
});

/** Check what is in the line, show runs that match it, and offer what may follow. */
async function check(at: number, offer: boolean): Promise<void> {
  running?.abort();
  const mine = (running = new AbortController());
  const asked = text.value;
  const before = returns;
  isUnchecked = false;
  try {
    const answer = await get<FilterAnswer>("filter", { text: asked || " ", at }, mine.signal);
    hints.value = answer.hints;
    meant.value = answer.meant;
    completions.value = offer ? answer.completions : [];
    completed = asked;
    chosen.value = -1;
    if (!answer.error) {
      mistake.value = null;
      // The first change of the line is a step for the browser's Back, the others belong to it.
      const replace = typing;
      typing = true;
      applied = asked.trim();
      setQuery({ filter: applied || null }, { replace });
    } else if (!offer || !answer.completions.length) {
      mistake.value = answer.error;
    }
  } catch (error) {
    if (isAbort(error)) return;
    isUnchecked = true;
    showError(error);
    // It failed before the server was back, and the page heard of it later.
    if (returns !== before) await check(text.value.length, false);
  }
}

// A server that answers again may apply what is in the line.
onRunsChanged((event) => {
  if (!event.many) return;
  returns++;
  if (isUnchecked) void check(text.value.length, false);
});

function changeText(next: string, at: number): void {
  text.value = next;
  if (mistake.value) mistake.value = null;
  chosen.value = -1; // what was chosen fitted the text of before
  isListOpen.value = true;
  clearTimeout(timer);
  const now = performance.now();
  const pause = now - lastKey < DEBOUNCE_MS ? DEBOUNCE_MS : 0;
  lastKey = now;
  timer = setTimeout(() => void check(at, true), pause);
}

/** Begin another condition in the line, about a field; what may follow is offered. */
export function beginCondition(field: string): void {
  const conditions = conditionsOf(text.value);
  const begun = `${conditions && `${conditions} and `}${field} `;
  const order = withOrder("", orderOf(text.value));
  const next = order ? `${begun} ${order}` : begun;
  const input = document.querySelector<HTMLInputElement>("#filter");
  if (!input) return;
  input.value = next;
  input.focus();
  input.setSelectionRange(begun.length, begun.length);
  changeText(next, begun.length);
}

/** Apply the line as it is and say what is wrong with it. */
function apply(): void {
  clearTimeout(timer);
  isListOpen.value = false;
  completions.value = [];
  void check(text.value.length, false).then(() => {
    if (!mistake.value) remember(text.value);
    typing = false;
  });
}

/** The mistake that the list met, or the one that was found while typing. */
function shownMistake(): ErrorFacts | null {
  if (mistake.value) return mistake.value;
  const error = orderError.value;
  if (error instanceof ApiError && error.code.startsWith("filter") && filter.value === text.value) {
    return error.facts;
  }
  return null;
}

type Offer = { text: string; detail: string | null; use: () => void };

function offers(input: HTMLInputElement | null): Offer[] {
  if (!isListOpen.value) return [];
  if (!text.value.trim()) {
    return lastFilters.value.map((old) => ({
      text: old,
      detail: "before",
      use: () => {
        text.value = old;
        apply();
      },
    }));
  }
  return completions.value.map((completion) => ({
    text: completion.text,
    detail: completion.detail ?? completion.kind,
    use: () => {
      // Its place is one in the text that it was made for.
      if (completed !== text.value) return;
      const before = text.value.slice(0, completion.start) + completion.text;
      const after = text.value.slice(completion.end);
      const next = `${before}${after.startsWith(" ") || /[.([]$/.test(before) ? "" : " "}${after}`;
      const at = Math.min(next.length, before.length + (/[.([]$/.test(before) ? 0 : 1));
      if (input) {
        // At once: the next key may come before the line is drawn again.
        input.value = next;
        input.setSelectionRange(at, at);
      }
      changeText(next, at);
    },
  }));
}

export function FilterLine() {
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const offered = offers(input.current);
  const place = Math.min(chosen.value, offered.length - 1);
  const shown = shownMistake();
  useEffect(() => () => clearTimeout(timer), []);
  useLayoutEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [place]);

  const onKeyDown = (event: TargetedKeyboardEvent<HTMLInputElement>) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isListOpen.value) {
        isListOpen.value = true;
        void check(event.currentTarget.selectionStart ?? 0, true);
        return;
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      chosen.value = offered.length ? (place + step + offered.length + (place < 0 && step < 0 ? 1 : 0)) % offered.length : -1;
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (place >= 0 && offered[place]) offered[place].use();
      else apply();
    } else if (event.key === "Tab" && !event.shiftKey && isListOpen.value && offered.length && text.value.trim()) {
      event.preventDefault();
      const { currentTarget } = event;
      if (completed === text.value) offered[Math.max(0, place)]!.use();
      else {
        // Faster than the completions: they are waited for.
        clearTimeout(timer);
        void check(currentTarget.selectionStart ?? 0, true).then(() => offers(currentTarget)[0]?.use());
      }
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (isListOpen.value && offered.length) isListOpen.value = false;
      else document.querySelector<HTMLElement>('.grid [tabindex="0"]')?.focus();
    }
  };

  return (
    <div class="filter">
      <div class={shown ? "filter-box wrong" : "filter-box"}>
        <Icon name="search" />
        <input
          ref={input}
          id="filter"
          type="text"
          role="combobox"
          aria-label="Filter"
          aria-expanded={offered.length > 0}
          aria-controls="filter-list"
          aria-autocomplete="list"
          aria-activedescendant={place >= 0 ? `filter-option-${place}` : undefined}
          aria-invalid={shown !== null}
          aria-describedby={shown ? "filter-mistake" : undefined}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder="Filter: params.lr > 0.01 and status = error"
          value={text.value}
          onInput={(event) => changeText(event.currentTarget.value, event.currentTarget.selectionStart ?? 0)}
          onClick={() => {
            if (!text.value.trim()) isListOpen.value = true;
          }}
          onBlur={() => {
            if (isListOpen.value || typing) apply();
          }}
          onKeyDown={onKeyDown}
        />
        {text.value && (
          <IconButton
            icon="cross"
            label="Clear the filter"
            title="Clear the filter"
            onClick={() => {
              text.value = "";
              apply();
              input.current?.focus();
            }}
          />
        )}
      </div>
      <ul ref={list} id="filter-list" class="filter-list" role="listbox" aria-label="Completions" hidden={!offered.length}>
        {offered.map((offer, at) => (
          <li
            key={`${at} ${offer.text}`}
            id={`filter-option-${at}`}
            role="option"
            aria-selected={at === place}
            onPointerDown={(event) => {
              event.preventDefault(); // the focus stays in the line
              offer.use();
            }}
          >
            <span class="offer-text cut">{offer.text}</span>
            <span class="offer-detail fine soft">{offer.detail}</span>
          </li>
        ))}
      </ul>
      {shown && (
        <FilterMistake
          text={text.value}
          mistake={shown}
          meant={meant.value}
          onReplace={(next) => {
            text.value = next;
            apply();
            input.current?.focus();
          }}
        />
      )}
      {!shown && hints.value.length > 0 && !offered.length && (
        <p class="filter-hint" role="status">
          {hints.value.join(" ")}
        </p>
      )}
    </div>
  );
}
