"""What is told of groups of repeats, whether they stand beside each other or are ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runstore.repeats.grouping import LeftOut
from runstore.repeats.statistics import Mean
from runstore.repeats.texts import remarks_on_code, remarks_on_left_out, remarks_on_means
from runstore.repeats.values import Metric, RankedGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsSummary:
    """What a table of means and a ranking have in common.

    Attributes:
        metric: The number that was compared.
        level: Of intervals and decisions, such as 0.95.
        over: Dotted keys in which the runs of a group may differ.
        groups: The groups that have values, the one with the oldest run first.
        left_out: Runs and sets that do not count, and why.
    """

    metric: Metric
    level: float
    over: tuple[str, ...]
    groups: tuple[RankedGroup, ...]
    left_out: tuple[LeftOut, ...]

    def _told(self, means: Sequence[Mean]) -> Iterator[str]:
        yield from remarks_on_means([one.group.label for one in self.groups], means)
        yield from remarks_on_code([one.group for one in self.groups])
        yield from remarks_on_left_out(self.left_out)
