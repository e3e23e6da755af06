"""Whether intervals cover and winners win as often as they should, on data with a known truth.

Prints a markdown table. It draws from fixed seeds: the same table comes out each time. Each
scenario has `CASES` cases, so that a true share of 95 % is shown as 94 to 96 % in 95 of 100 rows.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from runstore.repeats.samples import Interval, Sample
from runstore.repeats.selection import best_of
from runstore.repeats.statistics import differences_of, mean_of

CASES = 2_000
LEVEL = 0.95

Draw = Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class Groups:
    """What is drawn in each case.

    Attributes:
        name: What stands in the table.
        sizes: Values of each group.
        spreads: Standard deviation of each group.
        shared: Standard deviation of what the values of one seed share; 0 leaves them unpaired.
        means: True mean of each group; all 0 without.
        shape: What a value is drawn from, of mean 0 and spread 1; None for normal ones.
    """

    name: str
    sizes: Sequence[int]
    spreads: Sequence[float]
    shared: float = 0.0
    means: Sequence[float] = ()
    shape: Draw | None = None

    def draw(self, chance: random.Random) -> list[Sample]:
        """Return one case."""
        seeds = [chance.gauss(0, self.shared) for _ in range(max(self.sizes))]
        means = self.means or [0.0] * len(self.sizes)
        shape = self.shape or normal
        return [
            Sample(
                f"group {place}",
                tuple(mean + seed + spread * shape(chance) for seed in seeds[:size]),
                tuple(range(size)) if self.shared else (),
            )
            for place, (size, spread, mean) in enumerate(
                zip(self.sizes, self.spreads, means, strict=True)
            )
        ]


def alike(count: int, size: int, shared: float = 0.0) -> Groups:
    """Return groups of one size and spread."""
    name = f"{count} groups of {size}" + (", seeds shared" if shared else "")
    return Groups(name, [size] * count, [1.0] * count, shared)


def normal(chance: random.Random) -> float:
    """Return a value whose true mean is 0."""
    return chance.gauss(0, 1)


def exponential(chance: random.Random) -> float:
    """Return a value with a long tail, whose true mean is 0."""
    return chance.expovariate(1) - 1


def log_normal(chance: random.Random) -> float:
    """Return a value with a very long tail, whose true mean is 0."""
    return chance.lognormvariate(0, 1) - math.exp(0.5)


def unit_log_normal(chance: random.Random) -> float:
    """Return the same with a spread of 1."""
    return log_normal(chance) / math.sqrt((math.e - 1) * math.e)


MEANS: Sequence[tuple[str, Draw, int]] = (
    ("normal, n = 2", normal, 2),
    ("normal, n = 3", normal, 3),
    ("normal, n = 5", normal, 5),
    ("normal, n = 10", normal, 10),
    ("normal, n = 30", normal, 30),
    ("**skewed** (exponential), n = 5", exponential, 5),
    ("**skewed** (exponential), n = 30", exponential, 30),
    ("**strongly skewed** (log-normal), n = 5", log_normal, 5),
    ("**strongly skewed** (log-normal), n = 30", log_normal, 30),
)
DIFFERENCES: Sequence[Groups] = (
    Groups("Welch, n = 3 and 3", [3, 3], [1, 1]),
    Groups("Welch, n = 5 and 5", [5, 5], [1, 1]),
    Groups("Welch, n = 5 and 5, spreads 1 and 3", [5, 5], [1, 3]),
    Groups("Welch, n = 10 and 10, spreads 1 and 3", [10, 10], [1, 3]),
    Groups("Welch, n = 3 and 10", [3, 10], [1, 1]),
    Groups("Welch, n = 3 and 10, spreads 1 and 3", [3, 10], [1, 3]),
    Groups("Welch, n = 5 and 20, spreads 3 and 1", [5, 20], [3, 1]),
    Groups("**hard**: Welch, n = 3 and 10, spreads 3 and 1", [3, 10], [3, 1]),
    Groups("**too few**: Welch, n = 2 and 2", [2, 2], [1, 1]),
    Groups("**too few**: Welch, n = 2 and 10", [2, 10], [1, 1]),
    Groups("paired, n = 3, seeds shared", [3, 3], [1, 1], 3.0),
    Groups("paired, n = 5, seeds shared", [5, 5], [1, 1], 3.0),
    Groups("paired, n = 10, seeds shared, spreads 1 and 3", [10, 10], [1, 3], 3.0),
)
EQUAL: Sequence[Groups] = (
    alike(2, 3),
    alike(2, 5),
    alike(2, 10),
    alike(2, 5, 3.0),
    Groups("2 groups of 3 and 10, spreads 3 and 1", [3, 10], [3, 1]),
    Groups("2 groups of 2 and 10, spreads 3 and 1", [2, 10], [3, 1]),
    alike(5, 3),
    alike(5, 5),
    alike(5, 10),
    alike(5, 5, 3.0),
    Groups("5 groups of 3 to 10, spreads 3 to 1", [3, 3, 5, 10, 10], [3, 1, 2, 1, 1]),
    alike(20, 3),
    alike(20, 5),
    alike(20, 5, 3.0),
    Groups("20 groups of 3 and 10, spreads 3 and 1", [3, 10] * 10, [3, 1] * 10),
)
UNEQUAL: Sequence[Groups] = (
    Groups("5 groups of 5, one better by 1 spread", [5] * 5, [1] * 5, 0, [1, 0, 0, 0, 0]),
    Groups("5 groups of 5, one better by 3 spreads", [5] * 5, [1] * 5, 0, [3, 0, 0, 0, 0]),
    Groups(
        "5 groups of 5, seeds shared, one better by 3 spreads",
        [5] * 5,
        [1] * 5,
        3.0,
        [3, 0, 0, 0, 0],
    ),
    Groups("5 groups of 10, one better by 3 spreads", [10] * 5, [1] * 5, 0, [3, 0, 0, 0, 0]),
    Groups(
        "5 groups of 5, two equally the best",
        [5] * 5,
        [1] * 5,
        0,
        [3, 3, 0, 0, 0],
    ),
)
SKEWED: Sequence[Groups] = tuple(
    Groups(
        f"2 groups of {' and '.join(map(str, dict.fromkeys(sizes)))}, {name}, spreads"
        f" {spreads[0]} and {spreads[1]}",
        sizes,
        spreads,
        shape=shape,
    )
    for name, shape in (
        ("normal", normal), ("exponential", exponential), ("log-normal", unit_log_normal),
    )
    for sizes, spreads in (
        ([5, 5], [1, 3]), ([10, 10], [1, 1]), ([10, 10], [1, 3]), ([20, 20], [1, 3]),
        ([20, 5], [1, 3]), ([10, 10], [1, 10]),
    )
)  # fmt: skip


def covers(interval: Interval | None, truth: float = 0.0) -> bool:
    """Tell whether an interval holds the truth."""
    assert interval is not None
    return interval.low <= truth <= interval.high


def mean_coverage(draw: Draw, n: int, cases: int = CASES) -> float:
    """Return how often the interval of a mean covers the true one."""
    chance = random.Random(n)
    return (
        sum(
            covers(mean_of([draw(chance) for _ in range(n)], level=LEVEL).interval)
            for _ in range(cases)
        )
        / cases
    )


def difference_coverage(groups: Groups, cases: int = CASES) -> float:
    """Return how often the interval of a difference covers the true one."""
    chance = random.Random(groups.name)
    return (
        sum(
            covers(differences_of(groups.draw(chance), level=LEVEL)[0].interval)
            for _ in range(cases)
        )
        / cases
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often, of all cases, something happened.

    Attributes:
        decided_wrongly: A winner was declared alone although another group is as good.
        decided_rightly: The one best group was declared the winner.
        kept: The first of the best groups was the winner, or statistically tied with it.
        any_worse: Some group that is equally the best was called worse.
        covered: The interval of the winner's mean, as chosen, covers the true one.
        covered_naively: The interval of the winner's mean by itself does.
    """

    decided_wrongly: float
    decided_rightly: float
    kept: float
    any_worse: float
    covered: float
    covered_naively: float


def outcome(groups: Groups, cases: int = CASES) -> Outcome:
    """Return what `best_of` says of groups."""
    chance = random.Random(groups.name)
    means = groups.means or [0.0] * len(groups.sizes)
    top = max(means)
    bests = {place for place, mean in enumerate(means) if mean == top}
    counts = [0] * 6
    for _ in range(cases):
        best = best_of(groups.draw(chance), level=LEVEL)
        worse = {one.place for one in best.standings if one.verdict == "worse"}
        winner = best.winner
        assert winner is not None
        is_right = bests == {winner.place}
        facts = (
            best.is_decided and not is_right,
            best.is_decided and is_right,
            min(bests) not in worse,
            bool(bests & worse),
            covers(best.winner_interval, means[winner.place]),
            covers(winner.mean.interval, means[winner.place]),
        )
        counts = [count + fact for count, fact in zip(counts, facts, strict=True)]
    return Outcome(*(count / cases for count in counts))


def false_winners(groups: Groups, cases: int = CASES) -> tuple[float, float, float]:
    """Return how often an equal group is declared the winner, with a warning, and without.

    All three are shares of all cases.
    """
    chance = random.Random(groups.name)
    declared = warned = 0
    for _ in range(cases):
        best = best_of(groups.draw(chance), level=LEVEL)
        declared += best.is_decided
        warned += best.is_decided and any(one.is_fragile for one in best.standings)
    return declared / cases, warned / cases, (declared - warned) / cases


def any_declared(groups: Groups, cases: int = CASES) -> float:
    """Return how often Holm lets any of the differences between equal groups through."""
    chance = random.Random(groups.name)
    return (
        sum(
            any(
                one.p_corrected is not None and one.p_corrected <= 1 - LEVEL
                for one in differences_of(groups.draw(chance), level=LEVEL)
            )
            for _ in range(cases)
        )
        / cases
    )


def percent(share: float) -> str:
    """Return a share as the table has it."""
    return f"{100 * share:.1f} %"


def table() -> Iterator[str]:
    """Yield the lines of all tables."""
    yield f"| interval of {LEVEL:.0%} of a mean | covers the true mean |"
    yield "|---|---|"
    for name, draw, n in MEANS:
        yield f"| {name} | {percent(mean_coverage(draw, n))} |"
    yield ""
    yield f"| interval of {LEVEL:.0%} of a difference | covers the true difference |"
    yield "|---|---|"
    for groups in DIFFERENCES:
        yield f"| {groups.name} | {percent(difference_coverage(groups))} |"
    yield ""
    yield (
        "| no true difference | one winner declared (false) | a given group kept"
        " | some group called worse | winner's interval covers | the same, choice ignored |"
    )
    yield "|---|---|---|---|---|---|"
    for groups in EQUAL:
        found = outcome(groups)
        shown = (
            found.decided_wrongly,
            found.kept,
            found.any_worse,
            found.covered,
            found.covered_naively,
        )
        yield f"| {groups.name} | {' | '.join(map(percent, shown))} |"
    yield ""
    yield (
        "| no true difference, values skewed | one winner declared (false) | with a warning"
        " | without one |"
    )
    yield "|---|---|---|---|"
    for groups in SKEWED:
        shown = false_winners(groups)
        yield f"| {groups.name} | {' | '.join(map(percent, shown))} |"
    yield ""
    yield (
        "| a true difference | the best declared alone | another declared, or one of two"
        " | the best kept |"
    )
    yield "|---|---|---|---|"
    for groups in UNEQUAL:
        found = outcome(groups)
        shown_of = (found.decided_rightly, found.decided_wrongly, found.kept)
        yield f"| {groups.name} | {' | '.join(map(percent, shown_of))} |"
    yield ""
    yield "| no true difference, all pairs tested | any declared after Holm (false) |"
    yield "|---|---|"
    for groups in (alike(2, 5), alike(5, 5), alike(5, 5, 3.0), EQUAL[10]):
        yield f"| {groups.name} | {percent(any_declared(groups))} |"


def main() -> None:
    """Print the tables, and how long they took."""
    begin = time.perf_counter()
    for line in table():
        print(line, flush=True)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
