"""Runs as evidence about the first two of them, and the pairs of runs to look at."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import median

from runstore.value_classes import dataclass

Feature = tuple[str, str]
"""Section and key of a difference."""

# A smaller change of the result, as a share of the one in question, counts as none.
SHARE_STILL = 0.2
# Steps of a number that are smaller than this share of the one in question do not clear it, and
# values farther away than this share of it are not near.
NEAR = 0.25
_FORWARD, _BACKWARD = (0, 1), (1, 0)  # how the two runs in question are labelled
_NOISE_AT_LEAST = 0.12
_PAIRS_OF_CHANCE = 5_000


@dataclass(frozen=True, slots=True)
class Observed:
    """One run as evidence.

    Attributes:
        features: Its parameters, packages and other facts; equal values are equal here.
        numbers: The features that are numbers.
        result: The value of the metric; NaN and infinity count.
    """

    features: Mapping[Feature, Hashable]
    numbers: Mapping[Feature, float]
    result: float


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """The spread of runs that are alike in all but seeds.

    Attributes:
        pairs: Number of pairs.
        typical: The median of their differences, as a share of the one to explain; infinite if
            one of each pair is NaN or infinite.
    """

    pairs: int
    typical: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs.

    Attributes:
        first: Place of the first.
        second: Place of the second.
        bundles: Bundles of features in which they differ.
        core: Bundles that may move the result by more than chance.
        moved: Change of the result, as a share of the one in question.
    """

    first: int
    second: int
    bundles: frozenset[int]
    core: frozenset[int]
    moved: float

    @property
    def places(self) -> tuple[int, int]:
        """The places of both."""
        return self.first, self.second


class Observations:
    """Bundles of features, and the pairs of runs that differ in them.

    Features that change together in all runs cannot be separated and are one bundle, which is
    known by its number.

    Args:
        runs: The two runs in question, and others.
        minor: Features that hardly affect any result.
        seeds: Features that affect results by chance alone.

    Attributes:
        members: The features of each bundle.
        minor_features: As given.
        seeds: Bundles of seeds.
        minor: Bundles of minor features.
        asked: Bundles in which the two runs in question differ.
        pairs: All pairs of runs, without the one in question.
        chance: Pairs of runs that are alike in all but seeds; None without any.
        noise: Change of the result by chance.
        least: The smallest change of a result that counts as one.
    """

    def __init__(
        self, runs: Sequence[Observed], minor: frozenset[Feature], seeds: frozenset[Feature]
    ) -> None:
        self._runs = runs
        self.minor_features = minor
        bundles = _bundles(runs, seeds)
        # By bundle: for each run, a number that stands for its values. That of the first run is 0.
        self._columns = [column for column, _ in bundles]
        self.members = [members for _, members in bundles]
        numbered = list(enumerate(self.members))
        self.seeds = frozenset(n for n, some in numbered if seeds.issuperset(some))
        self.minor = frozenset(n for n, some in numbered if minor.issuperset(some))
        self.asked = frozenset(n for n, one in enumerate(self._columns) if one[0] != one[1])
        self.pairs = [
            self._pair(*places)
            for places in combinations(range(len(runs)), 2)
            if places != _FORWARD
        ]
        self._likeness = self._likenesses()
        self.chance = self._repeats()
        self.noise = min(1.0, max(_NOISE_AT_LEAST, self.chance.typical if self.chance else 0))
        self.least = max(SHARE_STILL, self.noise)

    def _pair(self, first: int, second: int) -> Pair:
        bundles = frozenset(
            n for n, column in enumerate(self._columns) if column[first] != column[second]
        )
        rest = bundles - self.seeds
        core = (rest - self.minor) or rest
        return Pair(first, second, bundles, core, self._moved(first, second))

    def _moved(self, first: int, second: int) -> float:
        """Return the change of the result, as a share of that between the two in question.

        A result that is not a number is infinitely far from all numbers, in no direction.
        """
        old, new, a, b = (self._runs[n].result for n in (first, second, 0, 1))
        if _kind(old) == _kind(new) and (old != old or math.isinf(old)):  # noqa: PLR0124 - NaN
            return 0.0
        if math.isfinite(a) and math.isfinite(b):
            return (new - old) / (b - a) if math.isfinite(old) and math.isfinite(new) else math.inf
        if _kind(old) == _kind(new):
            return 0.0
        forward, here = (_kind(old), _kind(new)), (_kind(a), _kind(b))
        return 1.0 if forward == here else -1.0 if forward == here[::-1] else math.inf

    def _likenesses(self) -> list[tuple[bool, bool]]:
        """Return for each run whether it is like the first one, and like the second one."""
        aside = self.seeds | self.minor
        counting = [column for n, column in enumerate(self._columns) if n not in aside]
        values = [[column[place] for column in counting] for place in range(len(self._runs))]
        return [(values[0] == one, values[1] == one) for one in values]

    def _repeats(self) -> SeedSpread | None:
        aside = self.seeds | self.minor
        moved = [abs(one.moved) for one in self.pairs if not (one.bundles - aside)]
        moved = moved[:_PAIRS_OF_CHANCE]
        return SeedSpread(len(moved), median(moved)) if moved else None

    # A pair

    def has_moved(self, pair: Pair) -> bool:
        """Check whether the result of a pair changed."""
        return abs(pair.moved) >= self.least

    def is_repeat(self, pair: Pair) -> bool:
        """Check whether a pair repeats the one in question, without any news."""
        first, second = self._likeness[pair.first], self._likeness[pair.second]
        again = (first[0] and second[1]) or (first[1] and second[0])
        return again and self.has_moved(pair)

    # A pair that differs in a bundle

    def is_exact(self, bundle: int, pair: Pair) -> bool:
        """Check whether a pair has the values of the two runs in question."""
        column = self._columns[bundle]
        return {column[pair.first], column[pair.second]} == {0, 1}

    def sign(self, bundle: int, pair: Pair) -> int:
        """Return 1 for a pair in the direction of the two in question, -1 for the other, else 0.

        That is from the one value to the other, or for numbers up or down as they do.
        """
        labels = (self._columns[bundle][pair.first], self._columns[bundle][pair.second])
        if labels in {_FORWARD, _BACKWARD}:
            return 1 if labels == _FORWARD else -1
        for feature in self.members[bundle]:
            here = self._direction(feature, 0, 1)
            there = self._direction(feature, *pair.places)
            if here * there:
                return here * there
        return 0

    def _direction(self, feature: Feature, first: int, second: int) -> int:
        old, new = (self._runs[n].numbers.get(feature, math.nan) for n in (first, second))
        return int(new > old) - int(new < old)

    def share_of_step(self, bundle: int, pair: Pair) -> float:
        """Return how large a step in numbers is beside the one in question; 1 for other values.

        The smaller share of both scales counts, the linear and the logarithmic one.
        """
        shares = []
        for feature in self.members[bundle]:
            here, there = self._numbers(feature, 0, 1), self._numbers(feature, *pair.places)
            if len(here) == len(there) == len(_FORWARD) and there[0] != there[1]:
                shares.append(_share(there, here))
        return min(shares, default=1.0)

    def is_far(self, bundle: int, pair: Pair) -> bool:
        """Check whether a step is so small that no movement is expected of it."""
        return not self.has_moved(pair) and self.share_of_step(bundle, pair) < NEAR

    # A bundle

    def is_still(self, bundle: int) -> bool:
        """Check whether most pairs with the two values, whatever else differs, did not move."""
        moved = [
            self.has_moved(one)
            for one in self.pairs
            if bundle in one.bundles and self.is_exact(bundle, one)
        ]
        return moved.count(False) > len(moved) / 2

    def is_single(self, bundle: int) -> bool:
        """Check whether a bundle is one feature, apart from minor ones."""
        return len(set(self.members[bundle]) - self.minor_features) <= 1

    def lonely(self, bundle: int) -> tuple[int, ...]:
        """Return which of the two runs have a number that no other run is near."""
        for feature in self.members[bundle]:
            here = self._numbers(feature, 0, 1)
            others = self._numbers(feature, *range(2, len(self._runs)))
            if len(here) == len(_FORWARD):
                return tuple(
                    n
                    for n in _FORWARD
                    if not any(
                        one == here[n] or _share((here[n], one), here) <= NEAR for one in others
                    )
                )
        return ()

    def _numbers(self, feature: Feature, *places: int) -> list[float]:
        """Return the numbers of a feature in the runs that have one."""
        numbers = (self._runs[place].numbers for place in places)
        return [some[feature] for some in numbers if feature in some]


def _bundles(
    runs: Sequence[Observed], seeds: frozenset[Feature]
) -> list[tuple[tuple[int, ...], list[Feature]]]:
    """Return the columns of features that differ between runs, and the features of each."""
    members: dict[tuple[bool, tuple[int, ...]], list[Feature]] = {}
    for feature in dict.fromkeys(one for run in runs for one in run.features):
        column = _numbered([run.features.get(feature) for run in runs])
        if max(column) > 0:
            # A seed is never in a bundle with anything else.
            members.setdefault((feature in seeds, column), []).append(feature)
    return [(column, some) for (_, column), some in members.items()]


def _numbered(values: Iterable[Hashable]) -> tuple[int, ...]:
    """Return values as numbers from 0, in the order in which they first appear."""
    labels: dict[Hashable, int] = {}
    return tuple(labels.setdefault(one, len(labels)) for one in values)


def _share(step: Sequence[float], whole: Sequence[float]) -> float:
    """Return the size of a step as a share of another one, on the scale where it is smaller."""
    if whole[0] == whole[1]:
        return 1.0
    linear = abs(step[1] - step[0]) / abs(whole[1] - whole[0])
    if min(*step, *whole) <= 0:
        return linear
    orders = abs(math.log(whole[1]) - math.log(whole[0]))
    return min(linear, abs(math.log(step[1]) - math.log(step[0])) / orders) if orders else linear


def _kind(value: float) -> str:
    return "number" if math.isfinite(value) else str(value)
