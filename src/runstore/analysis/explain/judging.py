"""Pairs of other runs as evidence about each difference between two runs.

Each pair of runs differs in some features, and its result moved or did not. A pair that differs in
one feature alone and moved as the two runs in question did implicates that feature; a pair that
differs in it and did not move clears it, whatever its other differences. A pair that differs in
all features in question is not evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from runstore.analysis.explain.observed import (
    NEAR,
    Feature,
    Observations,
    Observed,
    Pair,
    SeedSpread,
)
from runstore.value_classes import NamedTuple, dataclass, replace

_POINTS = 12.0  # of a weight, for a factor e in likelihood
_MOST_POINTS = 60.0
_SHARE_MOVED = 0.5
_PAIRS_TRUSTED = 6  # that differ in other features as well
_RARELY = 0.05


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
    return _Judge(Observations(runs, frozenset(minor), frozenset(seeds))).judgement()


class _News(NamedTuple):
    """A pair that is evidence.

    Attributes:
        pair: The pair.
        left: Its differences that are not cleared.
        is_mixed: Whether some of these are none of those in question.
    """

    pair: Pair
    left: frozenset[int]
    is_mixed: bool


class _Group(NamedTuple):
    """What the pairs have in common that together are evidence about a bundle.

    Attributes:
        bundle: The bundle.
        core: Bundles that may have moved their results.
        is_exact: Whether they have the values of the two runs in question.
        is_infinite: Whether one of each pair has a result that is not a number.
    """

    bundle: int
    core: frozenset[int]
    is_exact: bool
    is_infinite: bool

    @property
    def others(self) -> frozenset[int]:
        """Other bundles that may have moved their results."""
        return self.core - {self.bundle}


class _Judge:
    """Weighs the evidence about each bundle in which the two runs in question differ."""

    def __init__(self, observations: Observations) -> None:
        self._all = observations
        self._news = list(self._pairs_with_news())
        self._movers = frozenset(self._bundles_that_move())

    def judgement(self) -> Judgement:
        """Return the evidence about each feature."""
        found: dict[Feature, Evidence] = {}
        minor = self._all.minor_features
        for bundle in self._all.asked:
            evidence = self._evidence(bundle)
            if evidence is None:
                continue
            members = self._all.members[bundle]
            found.update(dict.fromkeys(members, evidence))
            if evidence.is_shown and not minor.issuperset(members):
                # A minor feature is not shown by another one in its bundle.
                beside = replace(evidence, points=evidence.points / 2, is_shown=False)
                found.update({one: beside for one in members if one in minor})
        return Judgement(found, self._all.chance)

    def _pairs_with_news(self) -> Iterator[_News]:
        """Yield pairs that are evidence: without pairs that differ in all possible causes."""
        still = {one for one in self._all.asked if self._all.is_still(one)}
        causes = self._all.asked - self._all.minor - self._all.seeds - still
        # A single cause is implicated by a pair that differs in it.
        is_blunt = len(causes) > 1 or not all(map(self._all.is_single, causes))
        for pair in self._all.pairs:
            left = pair.core - still
            has_all = is_blunt and left >= causes and self._all.has_moved(pair)
            if not has_all and not self._all.is_repeat(pair):
                yield _News(pair, left, bool(left - self._all.asked))

    def _bundles_that_move(self) -> Iterator[int]:
        """Yield bundles that moved the result within pairs without other differences."""
        alone: dict[int, list[float]] = defaultdict(list)
        for pair in self._all.pairs:
            if len(pair.core) == 1:
                (bundle,) = pair.core
                if not self._all.is_far(bundle, pair):
                    alone[bundle].append(abs(pair.moved))
        yield from (one for one, moved in alone.items() if median(moved) >= _SHARE_MOVED)

    def _evidence(self, bundle: int) -> Evidence | None:
        """Return the evidence about a bundle; None without any."""
        groups: dict[_Group, list[Pair]] = defaultdict(list)
        mixed: list[Pair] = []
        far: list[Pair] = []
        for pair, left, is_mixed in self._news:
            if bundle not in pair.bundles:
                continue
            is_exact = self._all.is_exact(bundle, pair)
            if self._all.is_far(bundle, pair):
                far.append(pair)
            elif not is_mixed:
                core = left | (pair.core & {bundle})
                groups[_Group(bundle, core, is_exact, math.isinf(pair.moved))].append(pair)
            elif is_exact:
                mixed.append(pair)
        of_groups = (self._of_group(group, pairs) for group, pairs in groups.items())
        found = [one for one in of_groups if one is not None]
        if mixed:
            found.append(self._of_mixed(bundle, mixed))
        if found:
            return self._together(bundle, found)
        if far:
            typical = median(abs(one.moved) for one in far)
            return Evidence(0.0, len(far), typical, "far", lonely=self._all.lonely(bundle))
        return None

    def _together(self, bundle: int, found: Sequence[Evidence]) -> Evidence:
        """Return the evidence of all groups of pairs, shown by the strongest that agrees."""
        points = max(-_MOST_POINTS, min(_MOST_POINTS, _damped([one.points for one in found])))
        telling = max(found, key=lambda one: (one.points > 0) == (points > 0) and abs(one.points))
        is_shown = points > 0 and any(one.is_shown for one in found)
        lonely = self._all.lonely(bundle) if telling.kind == "values" else ()
        return Evidence(points, telling.pairs, telling.typical, telling.kind, is_shown, lonely)

    # Pairs with more differences than the two in question

    def _of_mixed(self, bundle: int, pairs: Sequence[Pair]) -> Evidence:
        """Return the evidence of pairs with more differences than the two in question.

        One such pair is weak evidence; but the result moves more often within pairs that differ in
        the cause than within the rest.
        """
        rest = [one for one in self._all.pairs if bundle not in one.bundles and one.bundles]
        moved, others = self._share_moved(pairs), self._share_moved(rest)
        trust = min(1.0, len(pairs) / _PAIRS_TRUSTED)
        if rest:
            likely = math.log((moved + _RARELY) / (others + _RARELY)) * trust
        else:
            likely = 0.0 if moved else -trust
        typical = median(abs(one.moved) for one in pairs)
        kind = "often" if likely > 0 else "rarely"
        return Evidence(_POINTS * likely, len(pairs), typical, kind)

    def _share_moved(self, pairs: Sequence[Pair]) -> float:
        return sum(map(self._all.has_moved, pairs)) / len(pairs) if pairs else 0.0

    # Pairs without differences but those in question

    def _of_group(self, group: _Group, pairs: Sequence[Pair]) -> Evidence | None:
        """Return the evidence of pairs with the same differences; None if they show nothing."""
        typical = self._typical(group, pairs)
        has_moved = abs(typical) >= self._all.least
        if has_moved and group.others & self._movers:
            return None  # another bundle is known to move it
        share = self._share_of_step(group, pairs)
        within = max(NEAR, min(1.0, share))
        likely = _log_likelihood(typical / within, self._all.noise / within)
        likely *= _trust(group, share, has_moved=has_moved)
        number = min(2.0, 1 + 0.35 * math.log(len(pairs)))
        return Evidence(
            _POINTS * likely * number,
            len(pairs),
            typical,
            _kind(group, typical, has_moved=has_moved),
            is_shown=self._is_shown(group, pairs, typical),
        )

    def _typical(self, group: _Group, pairs: Sequence[Pair]) -> float:
        """Return the median change of the result in the direction of the two in question.

        Without the direction, if that of the values is unknown.
        """
        signs = [self._all.sign(group.bundle, one) for one in pairs]
        if not group.is_exact and not all(signs):
            return median(abs(one.moved) for one in pairs)
        return median(
            one.moved if math.isinf(one.moved) else sign * one.moved
            for one, sign in zip(pairs, signs, strict=True)
        )

    def _share_of_step(self, group: _Group, pairs: Sequence[Pair]) -> float:
        if group.is_exact:
            return 1.0
        return median(self._all.share_of_step(group.bundle, one) for one in pairs)

    def _is_shown(self, group: _Group, pairs: Sequence[Pair], typical: float) -> bool:
        alike = {group.bundle} | self._all.seeds
        return (
            group.is_exact
            and not group.others
            and self._all.is_single(group.bundle)
            and any(one.bundles <= alike for one in pairs)
            and typical >= _SHARE_MOVED
            and self._all.noise < _SHARE_MOVED
        )


def _trust(group: _Group, share: float, *, has_moved: bool) -> float:
    """Return the weight of pairs, from 0 to 1.

    Args:
        group: What they have in common.
        share: Size of their step in numbers, as a share of the one in question.
        has_moved: Whether their results changed.
    """
    trust = 1.0 if group.is_exact else 0.5
    if group.others and has_moved:
        trust *= 0.6 / len(group.others)
    # A small step is expected to move its share; a large one explains a small one less.
    return trust * (1 / max(1.0, share) if has_moved else min(1.0, share))


def _kind(group: _Group, typical: float, *, has_moved: bool) -> str:
    """Return the kind of evidence; see `Evidence`."""
    if not has_moved:
        return "still"
    if group.others:
        return "others"
    if typical < 0:
        return "away"
    return "alone" if group.is_exact else "values"


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
