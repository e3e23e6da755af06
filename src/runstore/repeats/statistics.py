"""What repeated values allow to say: means with intervals, tests between groups, the best of them.

Functions of numbers alone; the t distribution is SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from runstore.errors import UsageError
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
    t_quantile,
)

LOWEST_LEVEL, HIGHEST_LEVEL = 0.5, 0.999
NO_SPREAD = "no spread: cannot be tested"

Direction = Literal["max", "min"]
Verdict = Literal["best", "best mean", "cannot be told apart", "worse", "not judged"]

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
        remarks: Sentences about what limits it.
    """

    n: int
    left_out: int
    mean: float
    spread: float
    interval: Interval | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of two means: the first minus the second.

    Attributes:
        first: Place of the first sample.
        second: Place of the second.
        kind: Whether values of the same repeats were compared with each other (paired t), or the
            groups as a whole (Welch).
        n: Pairs, or values of the smaller sample.
        difference: The first mean minus the second.
        interval: Of the difference; None where it cannot be tested.
        p: Two-sided probability of such a difference or a larger one where there is none; None
            where it cannot be tested.
        p_corrected: The same, corrected for the number of comparisons by Holm; `p` itself where
            this is the only one.
        remark: Why it cannot be tested; empty otherwise.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One sample among the others.

    Attributes:
        place: Place of the sample in what was given.
        rank: From 1, by mean; None for what is not judged.
        mean: Its mean, with an interval by itself.
        verdict: What may be said of it; the winner is `best` where it is told apart from all
            others, and has the `best mean` otherwise.
        p: Corrected probability of such a distance from the winner if this were the best; None
            for the winner, and where it cannot be tested.
        gap: The difference to the winner, never positive for `max`; None for the winner.
        gap_interval: Its interval, corrected as `p` is: the verdict is `worse` where it does not
            reach zero.
        kind: How it was compared with the winner.
        remark: Why it was not judged or cannot be tested; empty otherwise.
    """

    place: int
    rank: int | None
    mean: Mean
    verdict: Verdict
    p: float | None = None
    gap: float | None = None
    gap_interval: Interval | None = None
    kind: Kind | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The winner, and what cannot be told apart from it.

    Attributes:
        direction: Whether large or small means are good.
        level: The probability with which its statements hold.
        standings: By rank, then those that are not judged.
        winner_interval: Interval of the winner's mean that allows for its having been chosen;
            None without a winner.
        is_decided: Whether everything else that was judged is worse, and there was something.
    """

    direction: Direction
    level: float
    standings: tuple[Standing, ...]
    winner_interval: Interval | None
    is_decided: bool

    @property
    def winner(self) -> Standing | None:
        """The one with the best mean; None where none has two values."""
        return self.standings[0] if self.standings and self.standings[0].rank == 1 else None


def check_level(level: float) -> float:
    """Return a level that intervals may have.

    Raises:
        UsageError: It is not between 0.5 and 0.999.
    """
    if not LOWEST_LEVEL <= level <= HIGHEST_LEVEL:
        raise UsageError(
            f"The level {level:g} is not between {LOWEST_LEVEL} and {HIGHEST_LEVEL}.",
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
        MissingExtraError: SciPy is not installed.
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
    told = []
    if left_out:
        what = "1 value is" if left_out == 1 else f"{left_out} values are"
        told.append(f"{what} NaN or infinite and left out")
    if moments.n == 1:
        told.append("one value has no interval")
    elif moments.n and moments.spread == 0:
        told.append("all values are equal, so that the interval has no width and says little")
    elif 1 < moments.n < _FEW:
        told.append(
            f"{moments.n} values are few: the interval rests on the assumption that they spread"
            " normally"
        )
    elif is_skewed(values):
        told.append("the values are strongly skewed: the interval may cover less than it says")
    return told


def is_skewed(values: Sequence[float]) -> bool:
    """Tell whether at least 8 values lean to one side more than a normal spread would.

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


def difference_of(first: Sample, second: Sample, *, level: float = 0.95) -> Difference:
    """Return the difference of two means, with its interval and a test of it.

    Samples that have the same repeats, at least two, are paired: the t test is one of the
    differences of each pair, from which what the repeats share is gone. All others are compared
    with Welch's test, which does not assume equal spreads.

    Args:
        first: At least two finite values.
        second: The same.
        level: Of the interval.

    Raises:
        UsageError: The level is out of range, or a sample has fewer than two finite values.
        MissingExtraError: SciPy is not installed.
    """
    check_level(level)
    return _difference(gap_between(first, second), (0, 1), level)


def _difference(gap: MeanGap, places: tuple[int, int], level: float) -> Difference:
    p = gap.p_two_sided(gap.freedom) if gap.can_be_tested else None
    return Difference(
        first=places[0],
        second=places[1],
        kind=gap.kind,
        n=gap.n,
        difference=gap.difference,
        interval=gap.interval(gap.freedom, level) if gap.can_be_tested else None,
        p=p,
        p_corrected=p,
        remark="" if gap.can_be_tested else NO_SPREAD,
    )


def differences_of(samples: Sequence[Sample], *, level: float = 0.95) -> tuple[Difference, ...]:
    """Return the differences of all pairs of samples that have two values or more.

    Their p-values are corrected together by Holm's procedure, which looks far into the tails. A
    small sample that spreads more makes Welch's test too generous there, so corrected values of
    unpaired tests count the degrees of freedom of the smaller sample alone; see `best_of`. The
    intervals hold each by itself.

    Args:
        samples: In any order; differences follow it.
        level: Of the intervals.

    Raises:
        UsageError: The level is out of range.
        MissingExtraError: SciPy is not installed.
    """
    check_level(level)
    able = [place for place, one in enumerate(samples) if len(finite(one.values)) >= PAIR]
    pairs = list(combinations(able, 2))
    gaps = [gap_between(samples[first], samples[second]) for first, second in pairs]
    found = [_difference(gap, pair, level) for gap, pair in zip(gaps, pairs, strict=True)]
    if len(found) <= 1:
        return tuple(found)
    # What cannot be tested counts as a comparison all the same: whether it can is up to the data.
    corrected = holm(
        [gap.p_two_sided(gap.least_freedom) if gap.can_be_tested else 1.0 for gap in gaps]
    )
    return tuple(
        one if one.p is None else replace(one, p_corrected=p)
        for one, p in zip(found, corrected, strict=True)
    )


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected for their number, in their order.

    Declaring what is at most 0.05 afterwards errs anywhere in at most 5 of 100 cases, whatever the
    values have to do with each other. SciPy has no such function: `false_discovery_control`
    holds the share of errors among what is declared, which is another promise.
    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected = [1.0] * len(ps)
    largest = 0.0
    for done, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - done) * ps[place]))
        corrected[place] = largest
    return tuple(corrected)


def best_of(
    samples: Sequence[Sample], *, direction: Direction = "max", level: float = 0.95
) -> Best:
    """Return the sample with the best mean, and which others cannot be told apart from it.

    The winner is chosen from the data, so tests against it are corrected for the choice. Of k
    samples, one is worse where a one-sided test against the winner has k x p <= 1 - level. Then,
    whatever the true means are,

    - the truly best sample is called worse with a probability of at most 1 - level: any of the
      k - 1 others may be the winner that beats it wrongly;
    - one sample alone is declared the best although another is as good with a probability of at
      most 1 - level: whichever it is, there is a certain other that it must have beaten wrongly.

    Both assume independent values with a normal spread.
    It is a selection of the best in the sense of Hsu, with Bonferroni's bound in the place of a
    common variance. Unpaired tests count the degrees of freedom of the smaller sample alone:
    Welch's own number is too generous in the tails where corrected tests look, when a small
    sample spreads more.
    Sources: Hsu, Constrained simultaneous confidence intervals for multiple comparisons with the
    best, 1984; Mickey and Brown, Bounds on the distribution functions of the Behrens-Fisher
    statistic, 1966.

    Args:
        samples: Those with fewer than two finite values are not judged.
        direction: Whether large or small means are good.
        level: From 0.5 to 0.999.

    Raises:
        UsageError: The level is out of range.
        MissingExtraError: SciPy is not installed.
    """
    check_level(level)
    means = [mean_of(one.values, level=level) for one in samples]
    sign = 1 if direction == "max" else -1
    judged = [place for place, one in enumerate(means) if one.n >= PAIR]

    def order(place: int) -> tuple[Any, ...]:
        # Ties are broken by values alone, never by names or by the order of what was given.
        one = means[place]
        return -sign * one.mean, -one.n, one.spread, sorted(finite(samples[place].values))

    judged.sort(key=order)
    others = [
        _standing(samples, means, place, judged[0], (rank, len(judged), sign, level))
        for rank, place in enumerate(judged[1:], 2)
    ]
    unjudged = [place for place, one in enumerate(means) if one.n < PAIR]
    unjudged.sort(key=lambda place: -sign * means[place].mean if means[place].n else math.inf)
    is_decided = bool(others) and all(one.verdict == "worse" for one in others)
    verdict: Verdict = "best" if is_decided else "best mean"
    standings = [
        *(
            Standing(place=place, rank=1, mean=means[place], verdict=verdict)
            for place in judged[:1]
        ),
        *others,
        *(
            Standing(
                place=place,
                rank=None,
                mean=means[place],
                verdict="not judged",
                remark="one value" if means[place].n else "no value",
            )
            for place in unjudged
        ),
    ]
    return Best(
        direction=direction,
        level=level,
        standings=tuple(standings),
        winner_interval=_chosen_interval(means[judged[0]], len(judged), level) if judged else None,
        is_decided=is_decided,
    )


def _standing(
    samples: Sequence[Sample],
    means: Sequence[Mean],
    place: int,
    winner: int,
    among: tuple[int, int, int, float],
) -> Standing:
    """Compare a sample with the winner."""
    rank, count, sign, level = among
    gap = gap_between(samples[place], samples[winner])
    p = interval = None
    if gap.can_be_tested:
        p = min(1.0, count * gap.p_below(gap.least_freedom, sign))
        interval = gap.interval(gap.least_freedom, 1 - 2 * (1 - level) / count)
    return Standing(
        place=place,
        rank=rank,
        mean=means[place],
        verdict="worse" if p is not None and p <= 1 - level else "cannot be told apart",
        p=p,
        gap=gap.difference,
        gap_interval=interval,
        kind=gap.kind,
        remark="" if gap.can_be_tested else NO_SPREAD,
    )


def _chosen_interval(mean: Mean, count: int, level: float) -> Interval:
    """Return the interval of a mean that holds for all of them at once: so for the chosen one."""
    half = t_quantile(mean.n - 1, 1 - (1 - level) / (2 * count)) * mean.spread / math.sqrt(mean.n)
    return Interval(mean.mean - half, mean.mean + half, level)
