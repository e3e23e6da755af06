"""Groups of repeats as text: numbers, sentences, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.extras import library
from runstore.model.display.suggestions import some_of
from runstore.repeats.grouping import Group, LeftOut, codes_of
from runstore.repeats.samples import Interval
from runstore.repeats.statistics import Mean

if TYPE_CHECKING:
    import pandas as pd

_LOWEST_P = 0.001
_FEWEST_DIGITS, _USUAL_DIGITS, _MOST_DIGITS = 3, 6, 12


def number_text(value: float, scale: float | None = None) -> str:
    """Return a number with its significant digits.

    Args:
        value: The number.
        scale: Its uncertainty, of which two digits are shown; None for six digits.
    """
    if not math.isfinite(value):
        return str(value)
    digits = _USUAL_DIGITS
    if scale and value and math.isfinite(scale):
        orders = math.floor(math.log10(abs(value))) - math.floor(math.log10(scale))
        digits = min(_MOST_DIGITS, max(_FEWEST_DIGITS, orders + 2))
    return f"{value:.{digits}g}"


def interval_text(interval: Interval | None) -> str:
    """Return an interval as `0.87 to 0.93`; a dash without one."""
    if interval is None:
        return "-"
    scale = scale_of(interval)
    return f"{number_text(interval.low, scale)} to {number_text(interval.high, scale)}"


def scale_of(interval: Interval | None) -> float | None:
    """Return half the width of an interval."""
    return None if interval is None else (interval.high - interval.low) / 2


def level_text(level: float) -> str:
    """Return a level as `95 %`."""
    return f"{100 * level:.4g} %"


def p_text(p: float | None) -> str:
    """Return a p-value; `< 0.001` below that."""
    if p is None:
        return "-"
    return f"< {_LOWEST_P}" if p < _LOWEST_P else f"{p:.3f}"


def mean_cells(mean: Mean) -> tuple[str, str, str]:
    """Return n, mean and interval as texts."""
    shown = number_text(mean.mean, scale_of(mean.interval)) if mean.n else "-"
    return str(mean.n), shown, interval_text(mean.interval)


def mean_as_plain(mean: Mean) -> dict[str, Any]:
    """Return a mean as plain values."""
    return {
        "n": mean.n,
        "left_out": mean.left_out,
        "mean": mean.mean if mean.n else None,
        "spread": mean.spread if mean.n > 1 else None,
        **ends(mean.interval),
    }


def ends(interval: Interval | None) -> dict[str, float | None]:
    """Return the ends of an interval; None without one."""
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {"low": low, "high": high}


def remarks_on_means(labels: Sequence[str], means: Sequence[Mean]) -> Iterator[str]:
    """Yield remarks on the means, the same remark on several groups once."""
    found: dict[str, list[str]] = {}
    for label, mean in zip(labels, means, strict=True):
        for remark in mean.remarks:
            found.setdefault(remark, []).append(label)
    for remark, names in found.items():
        of = "All groups" if len(names) == len(labels) > 1 else some_of(names)
        yield f"{of}: {remark}."


def remarks_on_code(groups: Sequence[Group]) -> Iterator[str]:
    """Yield remarks on groups with runs of different code."""
    commits = {one.label: len({run.commit for run in one.runs}) for one in groups}
    same = [one for one in groups if commits[one.label] == 1 < len(one.runs)]
    codes = codes_of([run for one in same for run in one.runs])
    mixed = {
        "of different commits": [one.label for one in groups if commits[one.label] > 1],
        "with different uncommitted changes": [
            one.label for one in same if len({codes[run.uid] for run in one.runs}) > 1
        ],
    }
    for kind, labels in mixed.items():
        if labels:
            yield (
                f"{some_of(labels)}: runs {kind}; to separate them, use"
                " `runstore best --by-code` (in Python, by_code=True)."
            )


def remarks_on_left_out(left_out: Sequence[LeftOut]) -> Iterator[str]:
    """Yield remarks on runs left out, those with the same reason together."""
    found: dict[str, list[str]] = {}
    for one in left_out:
        found.setdefault(one.reason, []).append(one.name)
    for reason, names in found.items():
        yield f"Left out: {some_of(names)}: {reason}."


def frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a `pandas.DataFrame` with a row for each record.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    made: pd.DataFrame = library("pandas", "pandas").DataFrame(list(records))
    return made
