"""The metrics of a past run, in the forms that an importing program can pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runstore.errors import InvalidValueError, UsageError, shown
from runstore.model import arguments
from runstore.model.display.formatting import counted
from runstore.model.logged.values import (
    column_of,
    is_likely_time,
    metric_key,
    metric_step,
    metric_time,
    metric_value,
)
from runstore.model.metrics import Series
from runstore.recording.points.log import OF_RUN
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import KeyOf

_COLUMNS = ("values", "steps", "times")
_NONE: Mapping[KeyOf, int] = {}


def points_of(
    metrics: Mapping[Any, Any],
    set_names: Sequence[str],
    at: int,
    last_steps: Mapping[KeyOf, int] = _NONE,
) -> dict[KeyOf, Columns]:
    """Return the points of each metric; metrics without points are skipped.

    Args:
        metrics: By key, or by (set name, key): a number, a column of values, a `Series`, or a
            mapping with `values` and, if they are known, `steps` and `times`.
        set_names: Names of the run's parameter sets.
        at: The time of points without one, in microseconds.
        last_steps: The last steps of series that continue.

    Raises:
        InvalidValueError: A number, step or time is invalid, or the columns differ in length.
        UsageError: The run has no such parameter set.
    """
    found: dict[KeyOf, Columns] = {}
    for name, given in arguments.mapping(metrics, "metrics", {"loss": [0.5, 0.4]}).items():
        series = _series_of(name, set_names)
        points = _points(series.key, given, at, last_steps.get(series, -1) + 1)
        if points.values:
            found[series] = points
    return found


def _series_of(name: Any, set_names: Sequence[str]) -> KeyOf:
    if not isinstance(name, tuple):
        return KeyOf(OF_RUN, metric_key(name))
    set_name, key = name if len(name) == 2 else (None, None)  # noqa: PLR2004 - a pair
    if set_name not in set_names:
        raise UsageError(
            f"The run has no parameter set for the metric {shown(name)}.",
            hint=f"Its sets: {', '.join(set_names) or 'none'}. Write: ('baseline', 'loss')",
        )
    return KeyOf(set_names.index(set_name), metric_key(key))


def _points(key: str, given: Any, at: int, first_step: int) -> Columns:
    values, steps, times = _columns_of(key, given)
    numbers = [metric_value(one, key) for one in column_of(values, f"the values of {key!r}")]
    end = metric_step(first_step + len(numbers) - 1) + 1
    at_steps = list(range(first_step, end))
    if steps is not None:
        at_steps = [metric_step(one) for one in column_of(steps, f"the steps of {key!r}")]
    at_times = [at] * len(numbers)
    if times is not None:
        at_times = [metric_time(one) for one in column_of(times, f"the times of {key!r}")]
    if not len(numbers) == len(at_steps) == len(at_times):
        raise InvalidValueError(
            f"The metric {key!r} has {counted(len(numbers), 'value')},"
            f" {counted(len(at_steps), 'step')} and {counted(len(at_times), 'time')}.",
            hint="Pass as many steps and times as values.",
        )
    if at_times and not any(map(is_likely_time, at_times)):
        raise InvalidValueError(
            f"The times of {shown(key)} are in 1970.",
            hint="Pass seconds since 1970, such as time.time(), or datetimes.",
        )
    return Columns(at_steps, at_times, numbers)


def _columns_of(key: str, given: Any) -> tuple[Any, Any, Any]:
    """Return values, steps and times; None for unknown columns."""
    if isinstance(given, Series):
        return given.values, given.steps, given.times
    if isinstance(given, Mapping):
        if "values" not in given or not set(given) <= set(_COLUMNS):
            own = f"{key}/{next(iter(given), 'mean')}"
            raise InvalidValueError(
                f"The metric {shown(key)} got a mapping with {', '.join(map(shown, given))}.",
                hint="A mapping has 'values' and, if they are known, 'steps' and 'times'."
                + ("" if "values" in given else f" For several metrics, write {shown(own)}."),
            )
        return given["values"], given.get("steps"), given.get("times")
    # Scalars of numpy and torch can only be recognized by their shape.
    is_column = isinstance(given, Iterable) and getattr(given, "shape", None) != ()
    is_text = isinstance(given, (str, bytes, bytearray))
    return (given if is_column and not is_text else [given]), None, None
