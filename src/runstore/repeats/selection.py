"""The best of several samples, and the others that are statistically tied with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from runstore.model.metric_directions import Direction
from runstore.repeats.samples import (
    EQUAL_VALUES,
    PAIR,
    Interval,
    Kind,
    MeanGap,
    Sample,
    finite,
    gap_between,
)
from runstore.repeats.statistics import Mean, check_level, is_skewed, mean_of
from runstore.repeats.student import t_quantile
from runstore.value_classes import dataclass

_UNEQUAL = 1.7  # ratio of spreads from which skewness matters
# How a group compares with the others; the last two if no direction is known.
Verdict = Literal[
    "best", "best mean", "statistically tied", "too few values", "worse", "not judged",
    "largest mean", "smaller",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One sample among the others.

    Attributes:
        place: Place of the sample among all.
        rank: From 1, by mean. If all are ranked by value, none is judged and equal means share a
            rank; otherwise None for a sample of fewer than two values.
        mean: Its mean, with an interval by itself.
        verdict: The verdict; the winner is `best` if it is better than all others, and has the
            `best mean` otherwise. With `too few values`, no exact test can decide, whatever they
            are.
        p: Corrected probability of such a distance from the winner if this were the best; None
            for the winner, and if it cannot be tested.
        gap: The difference to the winner, never positive for `max`; None for the winner.
        gap_interval: Its interval, corrected like `p`: the verdict is `worse` if it does not reach
            zero.
        kind: How it was compared with the winner.
        remark: The reason if it was not judged, or for an exact test or none; empty otherwise.
        enough: Values of each from which an exact test decides; None for any other test, and if
            it has decided.
        is_fragile: Whether the verdict `worse` may be wrong if the values are skewed, because the
            spreads differ or a test that allows for skewness disagrees.
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
    is_fragile: bool = False
    enough: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The winner, and the samples tied with it.

    Attributes:
        direction: Whether large or small means are better; None if unknown: then large ones come
            first, and none is called best.
        level: The probability with which its statements hold.
        standings: By rank, then samples without a verdict.
        winner_interval: Interval of the winner's mean that allows for the choice;
            None without a winner.
        is_decided: Whether all others that were judged are worse, and there was one.
    """

    direction: Direction | None
    level: float
    standings: tuple[Standing, ...]
    winner_interval: Interval | None
    is_decided: bool

    @property
    def winner(self) -> Standing | None:
        """The judged one with the best mean; None without any, or without a direction."""
        return None if self.direction is None or self.is_by_value else self.first

    @property
    def first(self) -> Standing | None:
        """The one of rank 1, judged or not; None without any finite value."""
        return self.standings[0] if self.standings and self.standings[0].rank == 1 else None

    @property
    def is_by_value(self) -> bool:
        """Whether all are ranked by value alone.

        None can be compared with the best: too few samples have two values, or these are equal
        and without a seed.
        """
        return self.first is not None and self.first.verdict == "not judged"


def best_of(
    samples: Sequence[Sample], *, direction: Direction | None = "max", level: float = 0.95
) -> Best:
    """Return the sample with the best mean, and the others that are tied with it.

    The winner is chosen from the data, so tests against it are corrected for the choice. Of k
    samples, one is worse if a one-sided test against the winner has k x p <= 1 - level. Then,
    for any true means,

    - the truly best sample is called worse with a probability of at most 1 - level: any of the
      k - 1 others may be the winner that beats it wrongly;
    - one sample alone is declared the best although another is as good with a probability of at
      most 1 - level: whichever it is, there is a certain other that it must have beaten wrongly.

    Both assume independent values with a normal spread.
    It is a selection of the best in the sense of Hsu, with Bonferroni's bound in the place of a
    common variance. Unpaired tests count the degrees of freedom of the smaller sample alone:
    Welch's own number is too generous in the tails, which corrected tests use, when a small
    sample spreads more.
    Sources: Hsu, Constrained simultaneous confidence intervals for multiple comparisons with the
    best, 1984; Mickey and Brown, Bounds on the distribution functions of the Behrens-Fisher
    statistic, 1966.

    Args:
        samples: Those with fewer than two finite values are not judged.
        direction: Whether large or small means are better; None if unknown.
        level: From 0.5 to 0.999.

    Raises:
        UsageError: The level is out of range.
    """
    check_level(level)
    means = [mean_of(one.values, level=level) for one in samples]
    sign = -1 if direction == "min" else 1

    def order(place: int) -> tuple[Any, ...]:
        # Ties are broken by values alone, never by names or by the order of the samples.
        one = means[place]
        return -sign * one.mean, -one.n, one.spread, sorted(finite(samples[place].values))

    judged = sorted((place for place, one in enumerate(means) if one.n >= PAIR), key=order)
    among = _Among(samples, means, judged, sign, level, has_direction=direction is not None)
    others = [among.standing(rank) for rank in range(2, len(judged) + 1)]
    verdicts = {one.verdict for one in others} - {"not judged"}
    has_single = not others and any(one.n == 1 for one in means)
    if has_single or (others and not verdicts):
        results = {place for place in judged if samples[place].is_one_result}
        return Best(
            direction=direction,
            level=level,
            standings=(*_by_value(means, sign, results), *_unjudged(means, sign, below=1)),
            winner_interval=None,
            is_decided=False,
        )
    is_decided = bool(others) and all(one.verdict == "worse" for one in others)
    return Best(
        direction=direction,
        level=level,
        standings=(
            *among.winner(is_decided=is_decided),
            *others,
            *_unjudged(means, sign, below=PAIR),
        ),
        winner_interval=_chosen_interval(means[judged[0]], len(judged), level)
        if judged and direction
        else None,
        is_decided=is_decided,
    )


@dataclass(frozen=True, slots=True)
class _Among:
    """The samples that are judged, the best mean first.

    Attributes:
        samples: All samples.
        means: Their means.
        judged: Places of the samples with a verdict.
        sign: 1 if large means are better, -1 if small ones are.
        level: Confidence level of decisions.
        has_direction: Whether a direction is known.
    """

    samples: Sequence[Sample]
    means: Sequence[Mean]
    judged: Sequence[int]
    sign: int
    level: float
    has_direction: bool

    def winner(self, *, is_decided: bool) -> Iterator[Standing]:
        """Yield the winner, if there is one."""
        verdict: Verdict = "best" if is_decided else "best mean"
        if not self.has_direction:
            verdict = "largest mean"
        for place in self.judged[:1]:
            yield Standing(place=place, rank=1, mean=self.means[place], verdict=verdict)

    def standing(self, rank: int) -> Standing:
        """Compare the sample of a rank with the winner."""
        place, first, count = self.judged[rank - 1], self.judged[0], len(self.judged)
        gap = gap_between(self.samples[place], self.samples[first])
        p = interval = None
        if gap.can_be_tested:
            p = min(1.0, count * gap.p_below(gap.least_freedom, self.sign))
        if gap.has_interval:
            interval = gap.interval(gap.least_freedom, 1 - 2 * (1 - self.level) / count)
        is_worse = p is not None and p <= 1 - self.level
        enough = None if is_worse or not gap.is_exact else self._enough(gap, count)
        verdict: Verdict = "not judged" if gap.is_of_results else "statistically tied"
        if is_worse:
            verdict = "worse" if self.has_direction else "smaller"
        elif enough is not None and min(self.means[one].n for one in (place, first)) < enough:
            verdict = "too few values"
        return Standing(
            place=place,
            rank=rank,
            mean=self.means[place],
            verdict=verdict,
            p=p,
            gap=gap.difference,
            gap_interval=interval,
            kind=gap.kind,
            remark=gap.remark,
            is_fragile=is_worse and self._is_fragile(place, gap),
            enough=enough,
        )

    def _enough(self, gap: MeanGap, count: int) -> int:
        """Return the number of values of each sample from which an exact test decides."""
        n = PAIR
        ways = (lambda n: 2**n) if gap.kind == "paired" else (lambda n: math.comb(2 * n, n))
        while count / ways(n) > 1 - self.level:
            n += 1
        return n

    def _is_fragile(self, place: int, gap: MeanGap) -> bool:
        if gap.is_exact:
            return False
        spreads = sorted((self.means[place].spread, self.means[self.judged[0]].spread))
        if spreads[1] >= _UNEQUAL * spreads[0]:
            return True
        samples = (self.samples[place], self.samples[self.judged[0]])
        if any(is_skewed(finite(one.values)) for one in samples):
            return True
        share = (1 - self.level) / len(self.judged)
        return not gap.is_below_if_skewed(gap.least_freedom, self.sign, share)


def _by_value(means: Sequence[Mean], sign: int, results: Collection[int]) -> Iterator[Standing]:
    """Yield samples with a value, the best first; equal means share a rank.

    `results` are the places of those that are one result, see `Sample.is_one_result`.
    """
    known = [place for place, one in enumerate(means) if one.n]
    known.sort(key=lambda place: -sign * means[place].mean)
    rank = 0
    for at, place in enumerate(known):
        if not at or means[place].mean != means[known[at - 1]].mean:
            rank = at + 1
        why = EQUAL_VALUES if place in results else "no other group can be compared with it"
        yield Standing(
            place=place,
            rank=rank,
            mean=means[place],
            verdict="not judged",
            remark="one value" if means[place].n == 1 else why,
        )


def _unjudged(means: Sequence[Mean], sign: int, *, below: int) -> Iterator[Standing]:
    """Yield samples of fewer than so many values, the best first."""
    few = [place for place, one in enumerate(means) if one.n < below]
    few.sort(key=lambda place: -sign * means[place].mean if means[place].n else math.inf)
    for place in few:
        yield Standing(
            place=place,
            rank=None,
            mean=means[place],
            verdict="not judged",
            remark="one value" if means[place].n else "no value",
        )


def _chosen_interval(mean: Mean, count: int, level: float) -> Interval:
    """Return the interval of a mean that holds for all of them at once: so for the chosen one."""
    half = t_quantile(mean.n - 1, 1 - (1 - level) / (2 * count)) * mean.spread / math.sqrt(mean.n)
    return Interval(mean.mean - half, mean.mean + half, level)
