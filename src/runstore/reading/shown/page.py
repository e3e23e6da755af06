"""Pages as tables: of runs, with their parameters, metrics and tags, or of anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from runstore.errors import StoreError
from runstore.model.display.formatting import counted, cropped, local_time, number_text, tags_text
from runstore.model.display.html import ROWS_AT_MOST, html_paragraphs, html_sections, html_table
from runstore.model.display.suggestions import some_of
from runstore.model.display.text_table import text_table
from runstore.model.run import Run
from runstore.reading.shown.facts import lifetime_text

_METRICS_AT_MOST = 5
_SYSTEM = "system/"  # samples of the machine
_CELL = 80

Value = dict[tuple["str | None", str], float]


def page_html(items: Sequence[Any], hints: Sequence[str], *, more: str) -> str:
    """Return a page as a notebook shows it.

    Args:
        items: The first items of the page.
        hints: Sentences above the table.
        more: A sentence below it, or none.
    """
    said = html_paragraphs(hints)
    if not items:
        return html_sections([said, "<p>(empty)</p>"])
    table = html_table(*table_of(items[:ROWS_AT_MOST]), total=len(items))
    return html_sections([said, table, html_paragraphs([more] if more else [])])


def page_text(items: Sequence[Any], hints: Sequence[str], *, has_more: bool) -> str:
    """Return a page as an interactive session shows it."""
    more = ", and there are more" if has_more else ""
    noun = "run" if all(isinstance(one, Run) for one in items) else "item"
    title = " ".join([f"<Page of {counted(len(items), noun)}{more}>", *hints])
    return text_table(*table_of(items[:ROWS_AT_MOST]), title=title, total=len(items))


def table_of(items: Sequence[Any]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the headers and the rows of a few runs or other things."""
    runs = [one for one in items if isinstance(one, Run)]
    if len(runs) < len(items):
        return ("",), ((repr(one),) for one in items)
    return _of_runs(runs)


def _of_runs(runs: Sequence[Run]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the columns that a list of the command line has, with metrics and tags."""
    values = _last_values(runs)
    columns: dict[str, Callable[[Run], str]] = {
        "run": lambda run: run.reference,
        "status": lambda run: run.status_text,
        "started": lambda run: local_time(run.started_at),
        "took": lifetime_text,
        "parameters": _parameters,
    }
    for name in _common(values):
        columns[_header(name)] = lambda run, name=name: _number(values, run, name)  # type: ignore[misc]
    columns["tags"] = lambda run: cropped(tags_text(run.tags), _CELL)
    columns["notes"] = lambda run: cropped(run.notes or "", _CELL)
    cells = {name: list(map(column, runs)) for name, column in columns.items()}
    # A column without anything in it only takes room.
    kept = {name: texts for name, texts in cells.items() if name == "run" or any(texts)}
    return list(kept), zip(*kept.values(), strict=True)


def _parameters(run: Run) -> str:
    sets = run.parameter_sets
    return sets[0].preview() if len(sets) == 1 else some_of([one.name for one in sets])


def _last_values(runs: Sequence[Run]) -> dict[str, Value]:
    source: Any = next((run.source for run in runs if run.source is not None), None)
    try:
        found: dict[str, Value] = {} if source is None else source.last_values(runs)
    except StoreError:  # the rest of the table needs no store
        return {}
    return found


def _common(values: dict[str, Value]) -> Iterator[tuple[str | None, str]]:
    """Yield the metrics that most of the runs have."""
    counts = Counter(name for one in values.values() for name in one)
    names = [name for name, _ in counts.most_common() if not name[1].startswith(_SYSTEM)]
    return islice(names, _METRICS_AT_MOST)


def _header(name: tuple[str | None, str]) -> str:
    return name[1] if name[0] is None else f"{name[0]}/{name[1]}"


def _number(values: dict[str, Value], run: Run, name: tuple[str | None, str]) -> str:
    value = values.get(run.uid, {}).get(name)
    return "" if value is None else number_text(value)
