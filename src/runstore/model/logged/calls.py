"""Arguments of logging calls: normalised values, steps and times, and their problems.

Problems are noted by subject, so that a loop reports each once, and all valid data is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from runstore.errors import InvalidValueError, RunstoreError, named_error, shown
from runstore.model.logged.values import (
    LAST_STEP,
    column_of,
    is_likely_time,
    metric_step,
    metric_time,
    metric_value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Troubles = dict[str, RunstoreError]


def noted(troubles: Troubles | None, about: str, error: RunstoreError) -> Troubles:
    """Return the troubles with another one added."""
    troubles = {} if troubles is None else troubles
    troubles.setdefault(about, error)
    return troubles


def unreadable(error: Exception) -> InvalidValueError:
    """Return the error for an exception raised by a value."""
    return InvalidValueError(
        f"The values cannot be read: {named_error(error)}.",
        hint='Pass numbers by key: run.log({"loss": 0.5}).',
    )


def no_more_steps(key: Any) -> InvalidValueError:
    """Return the error for steps that have reached their limit."""
    return InvalidValueError(
        f"The steps of {shown(key)} exceed the limit of {LAST_STEP:,}.",
        kept="The values are kept at that step.",
        hint="Use steps that begin at 0.",
    )


def taken_apart(key: Any, value: Mapping[Any, Any]) -> InvalidValueError:
    """Return the error for a mapping among the values."""
    first = f"{key}/{next(iter(value))}"
    return InvalidValueError(
        f"The metric {shown(key)} got a mapping, which is not a number.",
        kept=f"Its numbers are kept as {shown(first)} and so on.",
        hint="Log them under these names instead.",
    )


def merged(
    metrics: Any, others: tuple[Any, ...], more: Mapping[str, Any], step: Any
) -> tuple[Mapping[str, Any], Any, Troubles | None]:
    """Return metrics and step of a call with other arguments than a dict or keywords."""
    if callable(getattr(metrics, "items", None)):
        values = {**dict(metrics.items()), **more}
        if not others:
            return values, step, None
        if len(others) == 1 and step is None:
            placed = InvalidValueError(
                f"Expected the step by name, got {shown(others[0])} after the values.",
                kept="It is used as the step.",
                hint=f"Write: run.log(…, step={shown(others[0])}).",
            )
            return values, others[0], {"step after values": placed}
    if isinstance(metrics, str) and metrics and len(others) == 1:
        named = InvalidValueError(
            f"Expected values by key, got {shown(metrics)}, {shown(others[0])}.",
            kept=f"It is kept as the metric {shown(metrics)}.",
            hint=f"Write: run.log({{{shown(metrics)}: {shown(others[0])}}}).",
        )
        return {metrics: others[0], **more}, step, {"name and value": named}
    given = ", ".join(map(shown, (metrics, *others)))
    error = InvalidValueError(
        f"Expected values by key, got {given}.",
        kept="" if more else "Nothing was logged.",
        hint='Write: run.log({"loss": 0.5}) or run.log(loss=0.5).',
    )
    return more, step, {"call": error}


def stepped(step: Any, troubles: Troubles | None) -> tuple[int | None, Troubles | None]:
    """Return the step of a call; None, for the next step, if it is invalid."""
    try:
        return metric_step(step), troubles
    except InvalidValueError as error:
        kept = InvalidValueError(error.what, kept=_COUNTED, hint=error.hint)
        return None, noted(troubles, "step", kept)


_COUNTED = "The values are kept at the next step."


def timed(
    time: Any, now: int, metrics: Mapping[str, Any], troubles: Troubles | None
) -> tuple[int, Mapping[str, Any], Troubles | None]:
    """Return the time of a call, and its metrics.

    A number that would be a time in the 1970s is a duration in seconds, and a metric called
    `time`.
    """
    try:
        at = metric_time(time)
    except InvalidValueError as error:
        kept = InvalidValueError(
            error.what, kept="The values are recorded with the current time.", hint=error.hint
        )
        return now, metrics, noted(troubles, "time", kept)
    if isinstance(time, datetime) or is_likely_time(at) or "time" in metrics:
        return at, metrics, troubles
    seconds = InvalidValueError(
        f"time={shown(time)} is not a current time in seconds since 1970.",
        kept="It is recorded as the metric 'time', and the values with the current time.",
        hint=f'For a metric, write run.log({{"time": {shown(time)}}}).',
    )
    return now, {**metrics, "time": time}, noted(troubles, "time", seconds)


def values_of(column: list[Any], key: str, troubles: Troubles) -> list[float | None]:
    """Return the values of a column; None for values that are not numbers."""
    if set(map(type, column)) <= {float}:
        return list(column)
    values: list[float | None] = []
    for one in column:
        try:
            values.append(one if type(one) is float else metric_value(one, key))
        except InvalidValueError as error:
            values.append(None)
            noted(troubles, f"value of {key}", error)
    return values


def steps_of(column: list[Any], next_step: Callable[[], int], troubles: Troubles) -> list[int]:
    """Return the steps of a column, with the next step for invalid ones."""
    steps: list[int] = []
    for one in column:
        step, _ = (one, None) if type(one) is int else stepped(one, troubles)
        if step is None:
            step = steps[-1] + 1 if steps else next_step()
        steps.append(step)
    return steps


def times_of(times: Iterable[Any], key: str, now: int, troubles: Troubles) -> list[int]:
    """Return times in microseconds, with the current time for invalid ones."""
    found: list[int] = []
    column = column_of(times, f"the times of {key!r}")
    for one in column:
        at, _, _ = timed(one, now, {"time": None}, troubles)
        found.append(at)
    if found and not any(map(is_likely_time, found)) and not isinstance(column[0], datetime):
        early = InvalidValueError(
            f"The times of {shown(key)} are in 1970.",
            kept="They are recorded unchanged.",
            hint="Pass seconds since 1970, such as time.time(), or datetimes.",
        )
        noted(troubles, f"times of {key}", early)
    return found


def within_limit(steps: list[int], key: str, troubles: Troubles) -> list[int]:
    """Return steps limited to the largest allowed one."""
    if not steps or (min(steps) >= -LAST_STEP - 1 and max(steps) <= LAST_STEP):
        return steps
    noted(troubles, f"last step of {key}", no_more_steps(key))
    return [max(-LAST_STEP - 1, min(step, LAST_STEP)) for step in steps]
