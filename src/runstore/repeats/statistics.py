"""Statistics of repeated values: means with intervals, and tests between groups.

These are functions of numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from runstore.errors import UsageError, shown
from runstore.model import arguments
from runstore.repeats.samples import (
    PAIR,
    Interval,
    Kind,
    MeanGap,
    Moments,
    Sample,
    finite,
    gap_between,
    moments_of,
)
from runstore.repeats.student import t_quantile
from runstore.value_classes import dataclass, replace

LOWEST_LEVEL, HIGHEST_LEVEL = 0.5, 0.999


_FEW = 5  # values below which nothing shows whether they are normal
_ENOUGH_FOR_SKEW = 8
_STRONG_SKEW = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of a sample.

    Attributes:
        n: Finite values.
        left_out: NaN and infinite values, which do not count.
        mean: Their mean; NaN without any.
        spread: Their standard deviation, with n - 1; NaN for fewer than two.
        interval: Student's interval of the mean; None for fewer than two values.
        remarks: Sentences about its limits.
    """

    n: int
    left_out: int
    mean: float
    spread: float
    interval: Interval | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDifference:
    """The difference of two means: the first minus the second.

    Attributes:
        first: Place of the first sample.
        second: Place of the second.
        kind: Whether values of the same repeats were compared with each other (paired t), or the
            groups as a whole (Welch).
        n: Pairs, or values of the smaller sample.
        difference: The first mean minus the second.
        interval: Of the difference; None if it has no spread.
        p: Two-sided probability of such a difference or a larger one if the true one is zero;
            None if it cannot be tested.
        p_corrected: The same, corrected for the number of comparisons by Holm; `p` itself if
            this is the only one.
        remark: The reason for an exact test, or for none; empty otherwise.
    """

    first: int
    second: int
    kind: Kind
    n: int
    difference: float
    interval: Interval | None
    p: float | None
    p_corrected: float | None
    remark: str = ""


def check_level(level: Any) -> Any:
    """Return a level that intervals may have.

    Raises:
        UsageError: It is not between 0.5 and 0.999.
    """
    if isinstance(level, bool) or not isinstance(level, (int, float)):
        raise arguments.refused(level, "level", "a number", 0.95)
    if not LOWEST_LEVEL <= level <= HIGHEST_LEVEL:
        raise UsageError(
            f"The level {shown(level)} is not between {LOWEST_LEVEL} and {HIGHEST_LEVEL}.",
            hint="95 % is 0.95.",
        )
    return level


def mean_of(values: Sequence[float], *, level: float = 0.95) -> Mean:
    """Return the mean of values, with its interval.

    The interval is Student's: it assumes independent values with a normal spread.

    Args:
        values: Any order; NaN and infinite ones are counted and left out.
        level: Of the interval, from 0.5 to 0.999.

    Raises:
        UsageError: The level is out of range.
    """
    check_level(level)
    counted = finite(values)
    moments = moments_of(counted)
    interval = None
    if moments.n >= PAIR:
        half = t_quantile(moments.n - 1, (1 + level) / 2) * moments.error
        interval = Interval(moments.mean - half, moments.mean + half, level)
    return Mean(
        n=moments.n,
        left_out=len(values) - moments.n,
        mean=moments.mean,
        spread=moments.spread,
        interval=interval,
        remarks=tuple(_remarks(counted, moments, len(values) - moments.n)),
    )


def _remarks(values: Sequence[float], moments: Moments, left_out: int) -> list[str]:
    found = []
    if left_out:
        count = "1 value is" if left_out == 1 else f"{left_out} values are"
        found.append(f"{count} NaN or infinite and left out")
    if moments.n == 1:
        found.append("one value has no interval")
    elif moments.n and moments.spread == 0:
        found.append(
            "all values are equal, so the interval has no width, which is not informative"
        )
    elif 1 < moments.n < _FEW:
        found.append(
            f"{moments.n} values are few: the interval assumes that they are normally distributed"
        )
    elif is_skewed(values):
        found.append("the values are strongly skewed: the interval may cover less than its level")
    return found


def is_skewed(values: Sequence[float]) -> bool:
    """Return whether at least 8 values are more skewed than normally distributed ones.

    That is a skewness (adjusted, G1) beyond 1 and beyond two of its standard errors.
    Source: Joanes and Gill, Comparing measures of sample skewness and kurtosis, 1998.
    """
    n, moments = len(values), moments_of(values)
    if n < _ENOUGH_FOR_SKEW or moments.spread == 0 or not math.isfinite(moments.spread):
        return False
    cubes = math.fsum(((one - moments.mean) / moments.spread) ** 3 for one in values)
    skewness = n * cubes / ((n - 1) * (n - 2))
    error = math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    return abs(skewness) > max(_STRONG_SKEW, 2 * error)


def _difference(gap: MeanGap, places: tuple[int, int], level: float) -> MeanDifference:
    p = gap.p_two_sided(gap.freedom) if gap.can_be_tested else None
    return MeanDifference(
        first=places[0],
        second=places[1],
        kind=gap.kind,
        n=gap.n,
        difference=gap.difference,
        interval=gap.interval(gap.freedom, level) if gap.has_interval else None,
        p=p,
        p_corrected=p,
        remark=gap.remark,
    )


def differences_of(
    samples: Sequence[Sample], *, level: float = 0.95
) -> tuple[MeanDifference, ...]:
    """Return the differences of all pairs of samples that have two values or more.

    Samples that have the same repeats, at least two, are paired: the t test uses the
    difference of each pair, in which effects of the repeat cancel. All others are compared
    with Welch's test, which does not assume equal spreads.

    Their p-values are corrected together by Holm's procedure, which looks far into the tails. A
    small sample that spreads more makes Welch's test too generous there, so corrected values of
    unpaired tests count the degrees of freedom of the smaller sample alone; see `best_of`. The
    intervals hold each by itself.

    Args:
        samples: In any order; differences follow it.
        level: Of the intervals.

    Raises:
        UsageError: The level is out of range.
    """
    check_level(level)
    able = [place for place, one in enumerate(samples) if len(finite(one.values)) >= PAIR]
    pairs = list(combinations(able, 2))
    gaps = [gap_between(samples[first], samples[second]) for first, second in pairs]
    found = [_difference(gap, pair, level) for gap, pair in zip(gaps, pairs, strict=True)]
    if len(found) <= 1:
        return tuple(found)
    # A comparison that cannot be tested counts all the same, since that depends on the data.
    corrected = holm(
        [gap.p_two_sided(gap.least_freedom) if gap.can_be_tested else 1.0 for gap in gaps]
    )
    return tuple(
        one if one.p is None else replace(one, p_corrected=p)
        for one, p in zip(found, corrected, strict=True)
    )


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected for their number, in their order.

    Declaring differences of at most 0.05 afterwards is wrong anywhere in at most 5 of 100 cases,
    however the values depend on each other.
    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected = [1.0] * len(ps)
    largest = 0.0
    for done, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - done) * ps[place]))
        corrected[place] = largest
    return tuple(corrected)
