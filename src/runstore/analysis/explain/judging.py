"""Pairs of other runs as evidence about each difference between two runs.

Each pair of runs differs in some features, and its result moved or did not. A pair that differs in
one feature alone and moved as the two runs in question did implicates that feature; a pair that
differs in it and did not move clears it, whatever its other differences. A pair that differs in
all features in question is not evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median

from runstore.value_classes import dataclass, replace

Feature = tuple[str, str]
"""Section and key of a difference."""

_FORWARD, _BACKWARD = (0, 1), (1, 0)  # how the two runs in question are labelled
_POINTS = 12.0  # of a weight, for a factor e in likelihood
_MOST_POINTS = 60.0
_SHARE_MOVED, _SHARE_STILL = 0.5, 0.2
_NOISE_AT_LEAST = 0.12
_PAIRS_OF_CHANCE = 5_000
_PAIRS_TRUSTED = 6  # that differ in other features as well
# Steps of a number that are smaller than this share of the one in question do not clear it, and
# values farther away than this share of it are not near.
_NEAR = 0.25
_RARELY = 0.05


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
class Evidence:
    """Evidence of other runs about one feature.

    Attributes:
        points: Points added to the weight of its rule, or subtracted.
        pairs: Number of pairs of the strongest evidence.
        typical: Their change of the metric, as a share of the one to explain; infinite if the
            metric became NaN or infinite.
        kind: `alone` if they differ in nothing else, `values` if so with other values, `others`
            if they differ in more, `still` if the metric did not move, `away` if it moved the
            other way; `often` if it moved more often than within other pairs, else `rarely`;
            `far` if a number changed by so little within all of them that they show nothing.
        is_shown: Whether pairs of the same values, alike in everything else, moved as much.
        lonely: Which of the two runs have a value that no other run is near: 0, 1 or both.
    """

    points: float
    pairs: int
    typical: float
    kind: str
    is_shown: bool = False
    lonely: tuple[int, ...] = ()


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
class Judgement:
    """The evidence of other runs.

    Attributes:
        evidence: By feature; a feature without evidence is left out.
        chance: Pairs of runs that are alike in all but seeds; None without any.
    """

    evidence: Mapping[Feature, Evidence]
    chance: SeedSpread | None


def judge(
    runs: Sequence[Observed], *, minor: Collection[Feature], seeds: Collection[Feature]
) -> Judgement:
    """Return the evidence about the features in which the first two runs differ.

    Args:
        runs: The two runs in question, and others.
        minor: Features that hardly affect any result.
        seeds: Features that affect results by chance alone.
    """
    return _Judge(runs, frozenset(minor), frozenset(seeds)).judgement()


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two runs.

    Attributes:
        first: Place of the first.
        second: Place of the second.
        bundles: Bundles of features in which they differ.
        core: Bundles that may move the result by more than chance.
        moved: Change of the result.
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


# A pair, its differences that are not cleared, and whether some are none of those in question.
_News = tuple[_Pair, frozenset[int], bool]


class _Judge:
    """Bundles of features, and the pairs of runs that differ in them.

    Features that change together in all runs cannot be separated and are one bundle.
    """

    def __init__(
        self, runs: Sequence[Observed], minor: frozenset[Feature], seeds: frozenset[Feature]
    ) -> None:
        self._runs = runs
        self._minor_features = minor
        self._columns: list[tuple[int, ...]] = []
        self._members: list[list[Feature]] = []
        places: dict[tuple[int, ...], int] = {}
        for feature in dict.fromkeys(one for run in runs for one in run.features):
            pattern = _pattern([run.features.get(feature) for run in runs])
            if max(pattern) == 0:
                continue
            if feature in seeds:
                pattern = (-1, *pattern)  # never in a bundle with anything else
            if pattern not in places:
                places[pattern] = len(self._columns)
                self._columns.append(pattern[-len(runs) :])
                self._members.append([])
            self._members[places[pattern]].append(feature)
        numbered = list(enumerate(self._members))
        self._seeds = frozenset(n for n, some in numbered if seeds.issuperset(some))
        self._minor = frozenset(n for n, some in numbered if minor.issuperset(some))
        self._asked = frozenset(n for n, one in enumerate(self._columns) if one[0] != one[1])
        self._pairs = [
            self._pair(*places)
            for places in combinations(range(len(runs)), 2)
            if places != _FORWARD
        ]
        counting = [
            n for n in range(len(self._columns)) if n not in self._seeds and n not in self._minor
        ]
        alike = [[self._columns[n][place] for n in counting] for place in range(len(runs))]
        self._like = [(alike[0] == one, alike[1] == one) for one in alike]
        self._chance = self._repeats()
        self._noise = min(1.0, max(_NOISE_AT_LEAST, self._chance.typical if self._chance else 0))

    def judgement(self) -> Judgement:
        still = {one for one in self._asked if self._is_still(one)}
        movers = set(self._movers())
        news = list(self._news(still))
        found: dict[Feature, Evidence] = {}
        for one in self._asked:
            evidence = self._evidence(one, news, movers)
            if evidence is not None:
                members = self._members[one]
                found.update(dict.fromkeys(members, evidence))
                if evidence.is_shown and not self._minor_features.issuperset(members):
                    # A minor feature is not shown by another one in its bundle.
                    beside = replace(evidence, points=evidence.points / 2, is_shown=False)
                    minor = (one for one in members if one in self._minor_features)
                    found.update(dict.fromkeys(minor, beside))
        return Judgement(found, self._chance)

    # Pairs

    def _news(self, still: set[int]) -> Iterator[_News]:
        """Yield pairs that are evidence: without pairs that differ in all possible causes."""
        whole = self._asked - self._minor - self._seeds - still
        is_blunt = len(whole) > 1 or not all(map(self._is_single, whole))
        least = max(_SHARE_STILL, self._noise)
        for pair in self._pairs:
            left = pair.core - still
            is_whole = is_blunt and left >= whole and abs(pair.moved) >= least
            if not is_whole and not self._is_repeat(pair):
                yield pair, left, bool(left - self._asked)

    def _pair(self, first: int, second: int) -> _Pair:
        bundles = frozenset(
            n for n, column in enumerate(self._columns) if column[first] != column[second]
        )
        rest = bundles - self._seeds
        core = (rest - self._minor) or rest
        return _Pair(first, second, bundles, core, self._moved(first, second))

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

    def _sign(self, bundle: int, pair: _Pair) -> int:
        """Return 1 for a pair in the direction of the two in question, -1 for the other, else 0.

        That is from the one value to the other, or for numbers up or down as they do.
        """
        labels = (self._columns[bundle][pair.first], self._columns[bundle][pair.second])
        if labels in {_FORWARD, _BACKWARD}:
            return 1 if labels == _FORWARD else -1
        for feature in self._members[bundle]:
            here = self._step(feature, 0, 1)
            there = self._step(feature, pair.first, pair.second)
            if here * there:
                return here * there
        return 0

    def _step(self, feature: Feature, first: int, second: int) -> int:
        old, new = (self._runs[n].numbers.get(feature, math.nan) for n in (first, second))
        return int(new > old) - int(new < old)

    def _share_of_step(self, bundle: int, pair: _Pair) -> float:
        """Return how large a step in numbers is beside the one in question; 1 for other values.

        The smaller share of both scales counts, the linear and the logarithmic one.
        """
        shares = []
        for feature in self._members[bundle]:
            here, there = self._numbers(feature, 0, 1), self._numbers(feature, *pair.places)
            if len(here) == len(there) == len(_FORWARD) and there[0] != there[1]:
                shares.append(_share(there, here))
        return min(shares, default=1.0)

    def _is_far(self, bundle: int, pair: _Pair) -> bool:
        """Return whether a step is so small that no movement is expected of it."""
        is_still = abs(pair.moved) < max(_SHARE_STILL, self._noise)
        return is_still and self._share_of_step(bundle, pair) < _NEAR

    def _lonely(self, bundle: int) -> tuple[int, ...]:
        """Return which of the two runs have a number that no other run is near."""
        for feature in self._members[bundle]:
            here = self._numbers(feature, 0, 1)
            others = self._numbers(feature, *range(2, len(self._runs)))
            if len(here) == len(_FORWARD):
                return tuple(
                    n
                    for n in _FORWARD
                    if not any(
                        one == here[n] or _share((here[n], one), here) <= _NEAR for one in others
                    )
                )
        return ()

    def _numbers(self, feature: Feature, *places: int) -> list[float]:
        """Return the numbers of a feature in the runs that have one."""
        numbers = (self._runs[place].numbers for place in places)
        return [some[feature] for some in numbers if feature in some]

    def _is_repeat(self, pair: _Pair) -> bool:
        """Return whether a pair repeats the one in question, without any news."""
        first, second = self._like[pair.first], self._like[pair.second]
        again = (first[0] and second[1]) or (first[1] and second[0])
        return again and abs(pair.moved) >= max(_SHARE_STILL, self._noise)

    def _is_exact(self, bundle: int, pair: _Pair) -> bool:
        column = self._columns[bundle]
        return {column[pair.first], column[pair.second]} == {0, 1}

    def _repeats(self) -> SeedSpread | None:
        aside = self._seeds | self._minor
        moved = [abs(one.moved) for one in self._pairs if not (one.bundles - aside)]
        moved = moved[:_PAIRS_OF_CHANCE]
        return SeedSpread(len(moved), median(moved)) if moved else None

    # Bundles

    def _is_still(self, bundle: int) -> bool:
        """Return whether pairs with the two values, and other differences, did not move."""
        moved = [
            abs(one.moved)
            for one in self._pairs
            if bundle in one.bundles and self._is_exact(bundle, one)
        ]
        quiet = sum(one < max(_SHARE_STILL, self._noise) for one in moved)
        return quiet > len(moved) / 2

    def _is_single(self, bundle: int) -> bool:
        """Return whether a bundle is one feature, apart from minor ones."""
        return len(set(self._members[bundle]) - self._minor_features) <= 1

    def _movers(self) -> Iterator[int]:
        """Yield bundles that moved the result within pairs without other differences."""
        alone: dict[int, list[float]] = defaultdict(list)
        for pair in self._pairs:
            if len(pair.core) == 1 and not self._is_far(next(iter(pair.core)), pair):
                alone[next(iter(pair.core))].append(abs(pair.moved))
        yield from (one for one, moved in alone.items() if median(moved) >= _SHARE_MOVED)

    def _evidence(self, bundle: int, news: Sequence[_News], movers: set[int]) -> Evidence | None:
        groups: dict[tuple[frozenset[int], bool, bool], list[_Pair]] = defaultdict(list)
        mixed: list[_Pair] = []
        far: list[_Pair] = []
        for pair, left, is_mixed in news:
            if bundle not in pair.bundles:
                continue
            if self._is_far(bundle, pair):
                far.append(pair)
                continue
            exact = self._is_exact(bundle, pair)
            if not is_mixed:
                core = left | (pair.core & {bundle})
                groups[core, exact, math.isinf(pair.moved)].append(pair)
            elif exact:
                mixed.append(pair)
        found = [
            one
            for (core, exact, _), pairs in groups.items()
            if (one := self._of_group(bundle, core, pairs, movers, exact=exact)) is not None
        ]
        found += self._of_mixed(bundle, mixed)
        if not found and far:
            typical = median(abs(one.moved) for one in far)
            return Evidence(0.0, len(far), typical, "far", lonely=self._lonely(bundle))
        if not found:
            return None
        points = max(-_MOST_POINTS, min(_MOST_POINTS, _damped([one.points for one in found])))
        telling = max(found, key=lambda one: (one.points > 0) == (points > 0) and abs(one.points))
        is_shown = points > 0 and any(one.is_shown for one in found)
        lonely = self._lonely(bundle) if telling.kind == "values" else ()
        return Evidence(points, telling.pairs, telling.typical, telling.kind, is_shown, lonely)

    def _of_mixed(self, bundle: int, pairs: Sequence[_Pair]) -> Iterator[Evidence]:
        """Yield the evidence of pairs with more differences than the two in question.

        One such pair is weak evidence; but the result moves more often within pairs that differ in
        the cause than within the rest.
        """
        if not pairs:
            return
        rest = [one for one in self._pairs if bundle not in one.bundles and one.bundles]
        moved, others = self._share_moved(pairs), self._share_moved(rest)
        trust = min(1.0, len(pairs) / _PAIRS_TRUSTED)
        if rest:
            likely = math.log((moved + _RARELY) / (others + _RARELY)) * trust
        else:
            likely = 0.0 if moved else -trust
        typical = median(abs(one.moved) for one in pairs)
        kind = "often" if likely > 0 else "rarely"
        yield Evidence(_POINTS * likely, len(pairs), typical, kind)

    def _share_moved(self, pairs: Sequence[_Pair]) -> float:
        least = max(_SHARE_STILL, self._noise)
        return sum(abs(one.moved) >= least for one in pairs) / len(pairs) if pairs else 0.0

    def _of_group(
        self,
        bundle: int,
        core: frozenset[int],
        pairs: Sequence[_Pair],
        movers: set[int],
        *,
        exact: bool,
    ) -> Evidence | None:
        signed = [
            one.moved if math.isinf(one.moved) else self._sign(bundle, one) * one.moved
            for one in pairs
        ]
        if not exact and not all(self._sign(bundle, one) for one in pairs):
            signed = [abs(one.moved) for one in pairs]
        typical = median(signed)
        has_moved = abs(typical) >= max(_SHARE_STILL, self._noise)
        others = core - {bundle}
        if has_moved and others & movers:
            return None  # another bundle is known to move it
        trust = 1.0 if exact else 0.5
        if others and has_moved:
            trust *= 0.6 / len(others)
        # A small step is expected to move its share; a large one explains a small one less.
        share = 1.0 if exact else median(self._share_of_step(bundle, one) for one in pairs)
        trust *= min(1.0, 1 / share if has_moved and share > 1 else share if not has_moved else 1)
        within = max(_NEAR, min(1.0, share))
        likely = _log_likelihood(typical / within, self._noise / within) * trust
        kind = "alone" if exact else "values"
        if not has_moved:
            kind = "still"
        elif others:
            kind = "others"
        elif typical < 0:
            kind = "away"
        is_alike = any(one.bundles <= {bundle} | self._seeds for one in pairs)
        return Evidence(
            _POINTS * likely * min(2.0, 1 + 0.35 * math.log(len(pairs))),
            len(pairs),
            typical,
            kind,
            is_shown=exact
            and is_alike
            and self._is_single(bundle)
            and not others
            and typical >= _SHARE_MOVED
            and self._noise < _SHARE_MOVED,
        )


def _pattern(values: Iterable[Hashable]) -> tuple[int, ...]:
    """Return values as numbers, each the first time it comes the next one."""
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


def _damped(points: Sequence[float]) -> float:
    """Return the sum of the points of groups, each further one damped: they share runs."""
    ordered = sorted(points, key=abs, reverse=True)
    return sum(one / (1 + place / 2) for place, one in enumerate(ordered))


def _log_likelihood(moved: float, noise: float) -> float:
    """Return how much likelier a change is if the feature is the cause than if it is not.

    A cause changes the result about as much elsewhere, other features by chance; rarely, either
    may do anything.
    """
    moved = min(moved, 1.2)  # a larger change explains it as well
    anything = 0.02
    cause = 0.85 * _bell(moved - 1, max(0.4, noise)) + 0.05 * _bell(moved, noise) + anything
    none = 0.93 * _bell(moved, noise) + anything
    return math.log(cause / none)


def _bell(distance: float, width: float) -> float:
    return math.exp(-0.5 * (distance / width) ** 2) / (width * math.sqrt(2 * math.pi))
