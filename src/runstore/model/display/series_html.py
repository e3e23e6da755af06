"""Series and summaries of metrics in notebooks: their numbers, and a small chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from runstore.errors import NotFoundError, StoreError
from runstore.model.display.formatting import number_text
from runstore.model.display.html import ROWS_AT_MOST, Markup, escaped, html_sections, html_table
from runstore.model.display.svg import spark_svg

_POINTS = 400
_WIDTH, _HEIGHT = 480, 120
# If there are more metrics, or longer ones, only their numbers are shown, so that the table
# appears at once.
_DRAWN, _POINTS_DRAWN = 20, 1_000_000


def series_html(key: str, numbers: str, read: Callable[[], Any] | None) -> str:
    """Return a series as a chart with its numbers below.

    `read` returns its points; None if they are unavailable.
    """
    drawn = "" if read is None else _drawn(key, read, _WIDTH, _HEIGHT)
    parts = [drawn, "<br>"] if drawn else []
    return html_sections([*parts, f"<strong>{escaped(key)}</strong> {escaped(numbers)}"])


def metrics_html(metrics: Mapping[str, Any]) -> str:
    """Return a table of summaries by name, each with a small chart."""
    head = ("metric", "", "last", "min", "max", "mean", "points")
    return html_table(head, _rows(metrics), total=len(metrics))


def _rows(metrics: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for place, (name, one) in enumerate(islice(metrics.items(), ROWS_AT_MOST)):
        read = getattr(one, "_read", None)
        is_drawn = read is not None and place < _DRAWN and 1 < one.count <= _POINTS_DRAWN
        drawn = _drawn(name, read, 120, 24) if is_drawn else ""
        numbers = map(number_text, (one.last, one.min, one.max, one.mean))
        yield name, drawn, *numbers, f"{one.count:,}"


def _drawn(name: str, read: Any, width: int, height: int) -> Markup:
    """Return the chart of a series; empty if it cannot be read or drawn."""
    try:
        series = read().sampled(_POINTS)
    except (NotFoundError, StoreError):  # damaged, or removed meanwhile; its numbers are shown
        return Markup()
    by_step = sorted(zip(series.steps.tolist(), series.values.tolist(), strict=True), key=_step)
    xs, ys = [float(x) for x, _ in by_step], [y for _, y in by_step]
    return spark_svg(xs, ys, width=width, height=height, label=f"course of {name}")


def _step(point: tuple[int, float]) -> int:
    return point[0]
