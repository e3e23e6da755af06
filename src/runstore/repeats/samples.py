"""Samples, their moments, and the gap between two in units of its error."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

from runstore.errors import UsageError
from runstore.repeats.student import t_below, t_quantile
from runstore.value_classes import dataclass

_LEAST_FOR_SKEW = 3
PAIR = 2  # values from which there is a spread
EQUAL_VALUES = "equal values without a seed"
_ROUNDING = 8 * 2.0**-52  # relative; differences below are those of rounded numbers

# Whether values of the same repeats are compared, or groups as a whole.
Kind = Literal["paired", "unpaired"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one group.

    Attributes:
        name: Its label.
        values: One per repeat.
        repeats: Identity of each repeat, such as its seed, one per value; empty if unknown.
            Values of the same repeat in two samples are a pair.
    """

    name: str
    values: tuple[float, ...]
    repeats: tuple[Hashable | None, ...] = ()

    @property
    def is_one_result(self) -> bool:
        """Whether its values are equal and no repeat has a seed: a result that is repeated.

        Such values are not independent, so their number says nothing about chance.
        """
        has_none = bool(self.repeats) and all(one is None for one in self.repeats)
        return has_none and moments_of(finite(self.values)).spread == 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that covers the true value with some probability.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        level: The probability, such as 0.95.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and standard deviation (n - 1) of finite values."""

    n: int
    mean: float
    spread: float

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.spread / math.sqrt(self.n)


@dataclass(frozen=True, slots=True)
class MeanGap:
    """A difference and its standard error.

    Attributes:
        kind: How the samples were compared.
        n: Pairs, or values of the smaller sample.
        difference: The first mean minus the second.
        error: Its standard error; 0 without any spread.
        freedom: Degrees of freedom; Welch's if unpaired.
        skew: Third moment of the difference in units of its error; 0 if symmetric or unknown.
        arrangements: Number of equally likely arrangements of the values if the samples do not
            differ: of signs to pairs, or of values to samples.
        numbers: Number of values of each sample.
        is_of_results: Whether a sample is one result, see `Sample.is_one_result`.
    """

    kind: Kind
    n: int
    difference: float
    error: float
    freedom: float
    skew: float = 0.0
    arrangements: int = 1
    numbers: tuple[int, int] = (0, 0)
    is_of_results: bool = False

    @property
    def least_freedom(self) -> float:
        """Degrees of freedom with which an unpaired test is never too generous."""
        return self.n - 1

    @property
    def can_be_tested(self) -> bool:
        """Whether the error is finite, and the values say something about it."""
        return self.error < math.inf and not self.is_of_results

    @property
    def is_exact(self) -> bool:
        """Whether the values have no spread, so that arrangements are counted instead."""
        return self.error == 0 and self.difference != 0 and not self.is_of_results

    @property
    def has_interval(self) -> bool:
        """Whether the difference has an interval by its spread."""
        return self.can_be_tested and not self.is_exact

    @property
    def remark(self) -> str:
        """The reason for another test than Student's, or for none; empty otherwise."""
        if self.is_of_results:
            return EQUAL_VALUES
        if not self.can_be_tested:
            return "too large to be tested"
        if not self.is_exact:
            return ""
        if self.kind == "paired":
            return f"all {self.n} pairs differ by the same amount"
        return f"no spread in {self.numbers[0]} and {self.numbers[1]} values"

    def p_two_sided(self, freedom: float) -> float:
        """Return the probability of such a difference if the true one is zero.

        Without any spread, that is the share of arrangements with such a difference: those of two
        signs, or of two orders.
        """
        return min(1.0, 2 * self._beyond(abs(self.difference), freedom))

    def p_below(self, freedom: float, sign: int) -> float:
        """Return the same for a difference towards the worse only."""
        return self._beyond(-sign * self.difference, freedom)

    def _beyond(self, distance: float, freedom: float) -> float:
        if self.error == 0:
            return 1 / self.arrangements if distance > 0 else 1.0
        return t_below(freedom, -distance / self.error)

    def is_below_if_skewed(self, freedom: float, sign: int, share: float) -> bool:
        """Return whether the difference is as improbable if the values are skewed.

        The quantile is corrected for twice the skewness that the samples show: of few values from
        a long tail most show less than there is.
        Source: Johnson, Modified t tests and confidence intervals for asymmetrical populations,
        1978; for two samples, Cressie and Whitford, How to use the two sample t-test, 1986.

        Args:
            freedom: Degrees of freedom.
            sign: 1 if small differences are improbable, -1 if large ones are.
            share: The probability that must not be exceeded.
        """
        quantile = t_quantile(freedom, share)
        corrected = quantile - sign * 2 * self.skew / 6 * (1 + 2 * quantile * quantile)
        if self.is_exact:
            return True
        return self.error > 0 and sign * self.difference / self.error <= corrected

    def interval(self, freedom: float, level: float) -> Interval:
        """Return its two-sided interval."""
        half = t_quantile(freedom, (1 + level) / 2) * self.error if self.error else 0.0
        return Interval(self.difference - half, self.difference + half, level)


def gap_between(first: Sample, second: Sample) -> MeanGap:
    """Return the first mean minus the second, paired if both have the same repeats.

    Raises:
        UsageError: A sample has fewer than two finite values.
    """
    for sample in (first, second):
        if len(finite(sample.values)) < PAIR:
            raise UsageError(f"{sample.name!r} has fewer than two finite values to be compared.")
    pairs = _pairs(first, second)
    if pairs is not None:
        return _paired_gap(pairs)
    one, other = moments_of(finite(first.values)), moments_of(finite(second.values))
    error = math.hypot(one.error, other.error)
    largest = max(abs(one.mean), abs(other.mean))
    difference = one.mean - other.mean
    if abs(difference) <= _ROUNDING * largest:
        difference = 0.0
    freedom = float(min(one.n, other.n) - 1)
    if 0 < error < math.inf:
        share = (one.error / error) ** 2
        freedom = 1 / (share**2 / (one.n - 1) + (1 - share) ** 2 / (other.n - 1))
    skew = _skew(((finite(first.values), 1), (finite(second.values), -1)), error)
    return MeanGap(
        "unpaired",
        min(one.n, other.n),
        difference,
        error,
        freedom,
        skew,
        math.comb(one.n + other.n, one.n),
        (one.n, other.n),
        first.is_one_result or second.is_one_result,
    )


def _skew(samples: Sequence[tuple[Sequence[float], int]], error: float) -> float:
    """Return the third moment of a sum of means, signed, in units of its error."""
    if not 0 < error < math.inf:
        return 0.0
    found = 0.0
    for values, sign in samples:
        n = len(values)
        mean = math.fsum(
            one / n for one in values
        )  # a sum may overflow although the mean does not
        if n < _LEAST_FOR_SKEW or not math.isfinite(mean):
            continue
        cubes = math.fsum(((one - mean) / error) ** 3 for one in values)
        found += sign * cubes * n / ((n - 1) * (n - 2)) / n**2
    return found if math.isfinite(found) else 0.0


def _paired_gap(pairs: Sequence[tuple[float, float]]) -> MeanGap:
    differences = [first - second for first, second in pairs]
    largest = max(max(abs(first), abs(second)) for first, second in pairs)
    moments = moments_of(differences, rounding=_ROUNDING * largest)
    mean = 0.0 if abs(moments.mean) <= _ROUNDING * largest else moments.mean
    skew = _skew(((differences, 1),), moments.error)
    n = moments.n
    return MeanGap("paired", n, mean, moments.error, float(n - 1), skew, 2**n, (n, n))


def _pairs(first: Sample, second: Sample) -> list[tuple[float, float]] | None:
    """Return the values of the same repeats; None if the samples have different ones."""
    one, other = _by_repeat(first), _by_repeat(second)
    if one is None or other is None or one.keys() != other.keys() or len(one) < PAIR:
        return None
    return [(value, other[repeat]) for repeat, value in one.items()]


def _by_repeat(sample: Sample) -> dict[Hashable, float] | None:
    """Return the finite values by repeat; None if repeats are not unique."""
    if len(sample.repeats) != len(sample.values):
        return None
    found = {
        repeat: value
        for repeat, value in zip(sample.repeats, sample.values, strict=True)
        if repeat is not None and math.isfinite(value)
    }
    return found if len(found) == len(finite(sample.values)) else None


def finite(values: Sequence[float]) -> list[float]:
    """Return the finite values."""
    return [float(one) for one in values if math.isfinite(one)]


def moments_of(values: Sequence[float], *, rounding: float = 0.0) -> Moments:
    """Return mean and standard deviation of finite values.

    Args:
        values: Any count.
        rounding: Values that differ by less are equal.
    """
    n = len(values)
    if not n:
        return Moments(0, math.nan, math.nan)
    largest = max(map(abs, values))
    if not math.isfinite(largest):  # differences of the largest numbers there are
        return Moments(n, math.nan, math.inf)
    # A power of two changes no digit, and keeps squares of very large and small values in range.
    scale = math.frexp(largest)[1] - 1
    scaled = [math.ldexp(one, -scale) for one in values]
    # Rounded, the quotient may be outside of the values, even if all of them are equal.
    mean = min(max(math.fsum(scaled) / n, min(scaled)), max(scaled))
    if n == 1:
        return Moments(n, values[0], math.nan)
    if max(values) - min(values) <= max(rounding, _ROUNDING * largest):
        return Moments(n, math.ldexp(mean, scale), 0.0)
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in scaled) / (n - 1))
    # Half first: the whole may be beyond the largest number, which is then infinity.
    return Moments(n, math.ldexp(mean, scale), 2 * math.ldexp(spread / 2, scale))
