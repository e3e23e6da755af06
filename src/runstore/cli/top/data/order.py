"""The order in which runs are shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from runstore.cli.top.data.reading import Row, Snapshot
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.value_classes import dataclass, replace

STARTED, TOOK, STATUS = "started", "took", "status"
METRIC, PARAMETER, FACT = "metrics.", "params.", "facts."
_STATUSES = tuple(Status)
# Numbers come before texts.
_Value = tuple[int, float, str]


@dataclass(frozen=True, slots=True)
class TopOrder:
    """The sort key.

    Attributes:
        by: `started`, `took`, `status`, `metrics.<key>`, `params.<key>` or `facts.<name>`.
        is_reversed: Whether the smallest or oldest come first.
    """

    by: str = STARTED
    is_reversed: bool = False

    def reversed(self) -> TopOrder:
        """Return the same key in the other direction."""
        return replace(self, is_reversed=not self.is_reversed)


def names_in(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the names of all metrics, parameters and facts of runs."""
    metrics: dict[str, None] = {}
    parameters: dict[str, None] = {}
    facts: dict[str, None] = {}
    for row in rows:
        metrics.update(dict.fromkeys(row.metrics))
        parameters.update(dict.fromkeys(row.parameters))
        facts.update(dict.fromkeys(row.run.facts.values))
    return (
        *(f"{METRIC}{key}" for key in metrics),
        *(f"{PARAMETER}{key}" for key in parameters),
        *(f"{FACT}{key}" for key in sorted(facts)),
    )


def ordered(snapshot: Snapshot, order: TopOrder) -> list[Row]:
    """Return the rows in an order: the newest, longest or largest first.

    Runs without a value come last in both directions. By start, running runs come first.
    """
    # Sorting is stable, so equal runs stay newest first.
    newest = sorted(snapshot.rows, key=lambda row: row.run.started_at, reverse=True)
    known = [(row, _value(row, order.by, snapshot.at)) for row in newest]
    there = [(row, value) for row, value in known if value is not None]
    there.sort(key=lambda pair: pair[1], reverse=not order.is_reversed)
    rows = [row for row, _ in there] + [row for row, value in known if value is None]
    return sorted(rows, key=lambda row: row.run.status.is_final) if order.by == STARTED else rows


def _value(row: Row, by: str, now: datetime) -> _Value | None:
    run = row.run
    if by.startswith(METRIC):
        one = row.metrics.get(by.removeprefix(METRIC))
        return None if one is None else _number(one.last)
    if by.startswith((PARAMETER, FACT)):
        text = text_of(row, by)
        return None if text is None else _number_or_text(text)
    if by == TOOK:
        return _number(took_s(run, now))
    if by == STATUS:
        return _number(-_STATUSES.index(run.status))
    return _number(run.started_at.timestamp())


def text_of(row: Row, name: str) -> str | None:
    """Return a parameter or a fact of a run as text; None if the run does not have it."""
    if name.startswith(PARAMETER):
        return row.parameters.get(name.removeprefix(PARAMETER))
    fact = row.run.facts.values.get(name.removeprefix(FACT))
    if fact is None:
        return None
    return " ".join(map(str, fact)) if isinstance(fact, tuple) else str(fact)


def _number_or_text(text: str) -> _Value:
    try:
        number = float(text)
    except ValueError:
        return 1, 0.0, text
    return _number(number) or (1, 0.0, text)


def _number(value: float) -> _Value | None:
    return None if math.isnan(value) else (0, value, "")


def took_s(run: Run, now: datetime) -> float:
    """Return how long a run took, or takes by now, in seconds; NaN if its end is not known."""
    if run.status.is_final and run.ended_at is None:
        return math.nan
    return ((run.ended_at or now) - run.started_at).total_seconds()
