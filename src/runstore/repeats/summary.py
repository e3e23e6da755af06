"""The part that tables of groups and rankings share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runstore.repeats.grouping import LeftOut
from runstore.repeats.statistics import Mean
from runstore.repeats.texts import remarks_on_left_out, remarks_on_means
from runstore.repeats.values import Metric, RankedGroup
from runstore.value_classes import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsSummary:
    """Groups of repeats with their values.

    Attributes:
        metric: The number that was compared.
        level: Confidence level of intervals and decisions, such as 0.95.
        over: Dotted keys in which the runs of a group may differ.
        groups: The groups that have values, the one with the oldest run first.
        left_out: Runs and sets that do not count, with the reason.
        on_code: Remarks on groups with runs of different code.
    """

    metric: Metric
    level: float
    over: tuple[str, ...]
    groups: tuple[RankedGroup, ...]
    left_out: tuple[LeftOut, ...]
    on_code: tuple[str, ...]

    def _remarks_on(self, means: Sequence[Mean]) -> Iterator[str]:
        yield from remarks_on_means([one.group.label for one in self.groups], means)
        yield from self.on_code
        yield from remarks_on_left_out(self.left_out)
