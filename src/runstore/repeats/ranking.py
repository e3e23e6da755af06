"""Groups of repeats by rank: which is best, and which cannot be told apart from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstore.errors import visible
from runstore.model import arguments
from runstore.model.display.html import html_paragraphs, html_table
from runstore.model.metric_directions import Direction, kept_for
from runstore.model.run import Run
from runstore.repeats.grouping import Group
from runstore.repeats.selection import Best, Standing, best_of
from runstore.repeats.statistics import check_level
from runstore.repeats.summary import RepeatsSummary
from runstore.repeats.texts import (
    ends,
    frame,
    interval_text,
    level_text,
    listed,
    mean_as_plain,
    mean_cells,
    p_text,
)
from runstore.repeats.values import Metric, read_values

if TYPE_CHECKING:
    import pandas as pd

RANK_HEADERS = ("rank", "group", "n", "mean", "interval", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(RepeatsSummary):
    """Groups of repeats by rank: the winner, and what cannot be told apart from it.

    Attributes:
        best: The decision, by places in `groups`.
    """

    best: Best

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def winner(self) -> Group | None:
        """The group with the best mean.

        None if no group has two values, or if nothing says whether large values are good.
        """
        winner = self.best.winner
        return None if winner is None else self.groups[winner.place].group

    @property
    def is_decided(self) -> bool:
        """Whether the winner is told apart from all others that were judged."""
        return self.best.is_decided

    @property
    def contenders(self) -> tuple[Group, ...]:
        """The groups that cannot be told apart from the winner, by rank."""
        return tuple(
            self.groups[one.place].group
            for one in self.best.standings
            if one.verdict == "cannot be told apart"
        )

    @property
    def conclusion(self) -> str:
        """What may be said, in a sentence or two."""
        return " ".join(self._conclusion())

    def _conclusion(self) -> Iterator[str]:
        best, winner = self.best, self.best.winner
        judged = sum(one.rank is not None for one in best.standings)
        if best.first is not None and best.direction is None:
            label = self.groups[best.first.place].group.label
            yield (
                f"{label} has the largest mean of {self.metric}; whether large or small values of"
                " it are better is not known, so none is called best."
            )
            return
        if winner is None:
            yield "No group has two values, so none can be called best."
            return
        label = self.groups[winner.place].group.label
        extreme = "largest" if best.direction == "max" else "smallest"
        if best.is_decided:
            yield f"{label} is best: it has the {extreme} mean of {self.metric}."
        elif judged == 1:
            yield f"{label} is the only group with two values; it is compared with nothing."
        else:
            count = len(self.contenders)
            others = "1 group" if count == 1 else f"{count} groups"
            yield (
                f"{label} has the {extreme} mean of {self.metric}; {others} cannot be told apart"
                " from it."
            )
        if best.winner_interval is not None and judged > 1:
            yield (
                f"Allowing for its choice among {judged}, its mean is within"
                f" {interval_text(best.winner_interval)} ({level_text(best.level)})."
            )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about what limits this, and about what was left out."""
        means = {one.place: one.mean for one in self.best.standings}
        told = self._told([means[place] for place in range(len(self.groups))])
        return (*self._fragile(), *told)

    def _fragile(self) -> Iterator[str]:
        """Yield which verdicts rest on the assumption that values spread normally."""
        names = [
            self.groups[one.place].group.label for one in self.best.standings if one.is_fragile
        ]
        if names and self.best.first is not None:
            winner = self.groups[self.best.first.place].group.label
            yield (
                f"{listed(names)}: the verdict holds only if the values spread normally. Their"
                f" spread is not that of {winner}, or they may be skewed, and then such a verdict"
                " is wrong in up to 1 of 4 cases: look at the values, or add seeds."
            )

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each group, as in `RANK_HEADERS`."""
        for one in self.best.standings:
            rank = "-" if one.rank is None else str(one.rank)
            label = self.groups[one.place].group.label
            yield rank, label, *mean_cells(one.mean), self.verdict_text(one)

    def verdict_text(self, one: Standing) -> str:
        """Return what may be said of a group, with its reason."""
        if one.verdict in {"worse", "smaller"}:
            p = p_text(one.p)
            return f"{one.verdict} (p {p})" if p.startswith("<") else f"{one.verdict} (p = {p})"
        return f"{one.verdict} ({one.remark})" if one.remark else one.verdict

    def __repr__(self) -> str:
        return f"<Ranking of {str(self.metric)!r}: {visible(self.conclusion)}>"

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield what `rich` prints; it calls this by itself. Source: rich 13, Repr protocol."""
        yield "metric", str(self.metric)
        for _, label, n, mean, interval, verdict in self.rows():
            yield label, f"{mean} ({interval}), n = {n}: {verdict}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; it calls this by itself."""
        told = (self.conclusion, *self.remarks)
        return html_table(RANK_HEADERS, self.rows()) + html_paragraphs(told)

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame` with a row for each group, by rank.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(self.records())

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield each group as plain values, by rank."""
        for one in self.best.standings:
            gap_ends = ends(one.gap_interval)
            yield {
                "rank": one.rank,
                "group": self.groups[one.place].group.label,
                **mean_as_plain(one.mean),
                "verdict": one.verdict,
                "p": one.p,
                "gap": one.gap,
                "gap_low": gap_ends["low"],
                "gap_high": gap_ends["high"],
                "kind": one.kind,
                "remark": one.remark,
                "is_fragile": one.is_fragile,
            }


def best(
    runs: Iterable[Run],
    metric: str,
    *,
    over: Sequence[str] | None = None,
    direction: Direction | None = None,
    level: float = 0.95,
    by_code: bool = False,
) -> Ranking:
    """Return which group of repeats is best, and which cannot be told apart from it.

    Args:
        runs: In any order; those that are complete count.
        metric: As `compare_over` has it.
        over: As `compare_over` has it.
        direction: Whether large or small values are good; None goes by what is kept in the store
            and by the metric's name. If neither is known, the groups are ranked and none wins.
        level: With which the decision holds, from 0.5 to 0.999.
        by_code: Whether runs of different commits are kept apart.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: The level is out of range, or no run has a key of `over`.
    """
    check_level(level)
    if direction not in {None, "min", "max"}:
        raise arguments.refused(direction, "direction", "'min' or 'max'", "max")
    runs = list(runs)
    found, keys, groups, left_out = read_values(runs, metric, over, by_code=by_code)
    return Ranking(
        metric=found,
        level=level,
        over=keys,
        groups=groups,
        left_out=left_out,
        best=best_of(
            [one.sample for one in groups],
            direction=direction or _direction(runs, found),
            level=level,
        ),
    )


def _direction(runs: Sequence[Run], metric: Metric) -> Direction | None:
    """Return the direction that the store keeps, else the one that the name says."""
    source = next((run.source for run in runs if run.source is not None), None)
    kept = None
    if source is not None and metric.statistic != "count":
        kept = kept_for(source.directions(), metric.key)
    return kept or metric.known_direction
