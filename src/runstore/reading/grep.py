"""Searching the notes, errors and output of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstore.errors import UsageError, quoted
from runstore.model import arguments
from runstore.model.text.line_pattern import Needle
from runstore.model.text.matches import ERROR, NOTES, OUTPUT, TRACEBACK, FoundTexts
from runstore.reading.find import cursor_of, found_runs, hints_of, settle, shown_runs
from runstore.reading.pages import Page
from runstore.storage.fulltext.run_texts import RunTexts
from runstore.storage.fulltext.verify import LineCheck
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.query.tree import Query
    from runstore.storage.backend import Backend

# An error is the last line of its traceback, so both are searched together.
PLACES = {NOTES: (NOTES,), ERROR: (ERROR, TRACEBACK), OUTPUT: (OUTPUT,)}
CONTEXT_LIMIT = 1000


class GrepOptions(NamedTuple):
    """Options of a search and its results; see `Store.grep` for each field."""

    text: str
    fields: Sequence[str] = (NOTES, ERROR, OUTPUT)
    regexp: bool = False
    ignore_case: bool = False
    lines: int | None = 10
    context: int = 0


def found_texts(
    backend: Backend, asked: GrepOptions, query: Query, *, limit: int | None, after: str | None
) -> Page[FoundTexts]:
    """Return one page of runs whose texts contain a match; see `Store.grep`."""
    if not isinstance(asked.text, str):  # the needle is not cleaned
        raise arguments.refused(asked.text, "text", "text", "out of memory")
    needle = Needle(asked.text, is_regexp=asked.regexp, ignores_case=asked.ignore_case)
    places = _places(arguments.texts(asked.fields, "fields", OUTPUT))
    lines = None if asked.lines is None else arguments.count(asked.lines, "lines", 1)
    context = arguments.count(asked.context, "context", 0, CONTEXT_LIMIT)
    checks: list[LineCheck] = []

    def check_of(texts: RunTexts) -> LineCheck:
        checks.append(LineCheck(needle, places, texts, lines=lines, context=context))
        return checks[-1]

    is_settled = settle(backend, query.fields())
    found = found_runs(backend, query, limit, after, check_of)
    by_run = checks[-1].found
    runs = shown_runs(backend, [one.run for one in found.runs], is_settled=is_settled)
    items = tuple(
        FoundTexts(
            run,
            tuple(by_run[one.row_id][:lines]),
            has_more=lines is not None and len(by_run[one.row_id]) > lines,
        )
        for run, one in zip(runs, found.runs, strict=True)
    )
    return Page(items, cursor_of(found, query), hints_of(backend, query, after))


def _places(fields: Sequence[str]) -> tuple[str, ...]:
    unknown = [one for one in fields if one not in PLACES]
    if unknown or not fields:
        raise UsageError(
            f"There is no field {quoted(unknown[0])}." if unknown else "No field was named.",
            hint=f"There are {', '.join(PLACES)}.",
        )
    return tuple(place for name, places in PLACES.items() if name in fields for place in places)
