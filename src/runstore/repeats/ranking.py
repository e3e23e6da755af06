"""Groups of repeats beside each other: a table of their means, and which of them is best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstore.model.html import html_paragraphs, html_table
from runstore.model.repeats import Group, LeftOut
from runstore.model.run import Run
from runstore.repeats.statistics import (
    Best,
    Difference,
    Direction,
    Mean,
    Standing,
    best_of,
    check_level,
    differences_of,
    mean_of,
)
from runstore.repeats.texts import (
    ends,
    frame,
    interval_text,
    level_text,
    mean_as_plain,
    mean_cells,
    number_text,
    p_text,
    remarks_on_code,
    remarks_on_left_out,
    remarks_on_means,
    scale_of,
)
from runstore.repeats.values import Metric, RankedGroup, read_values

if TYPE_CHECKING:
    import pandas as pd

MEAN_HEADERS = ("group", "n", "mean", "interval")
RANK_HEADERS = ("rank", "group", "n", "mean", "interval", "verdict")
DIFFERENCE_HEADERS = ("difference", "by", "interval", "test", "p", "corrected p")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
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

    def _remarks(self, means: Sequence[Mean]) -> Iterator[str]:
        yield from remarks_on_means([one.group.label for one in self.groups], means)
        yield from remarks_on_code([one.group for one in self.groups])
        yield from remarks_on_left_out(self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsTable(_Judged):
    """Groups of repeats, their means, and the differences between them.

    Attributes:
        means: One for each group.
        differences: Of all pairs of groups with two values or more, p-values corrected together.
    """

    means: tuple[Mean, ...]
    differences: tuple[Difference, ...]

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about what limits this, and about what was left out."""
        return tuple(self._remarks(self.means))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each group, as in `MEAN_HEADERS`."""
        for one, mean in zip(self.groups, self.means, strict=True):
            yield one.group.label, *mean_cells(mean)

    def difference_rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each difference, as in `DIFFERENCE_HEADERS`."""
        for one in self.differences:
            first, second = (self.groups[place].group.label for place in (one.first, one.second))
            scale = scale_of(one.interval)
            test = f"paired, {one.n} pairs" if one.kind == "paired" else "unpaired"
            yield (
                f"{first} - {second}",
                number_text(one.difference, scale),
                interval_text(one.interval),
                test,
                one.remark or p_text(one.p),
                p_text(one.p_corrected),
            )

    def __repr__(self) -> str:
        return f"<RepeatsTable of {str(self.metric)!r}: {len(self)} groups>"

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield what `rich` prints; it calls this by itself. Source: rich 13, Repr protocol."""
        yield "metric", str(self.metric)
        for label, n, mean, interval in self.rows():
            yield label, f"{mean} ({interval}), n = {n}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; it calls this by itself."""
        tables = html_table(MEAN_HEADERS, self.rows())
        if self.differences:
            tables += html_table(DIFFERENCE_HEADERS, self.difference_rows())
        return tables + html_paragraphs(self.remarks)

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame` with a row for each group.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(
            {"group": one.group.label, **mean_as_plain(mean)}
            for one, mean in zip(self.groups, self.means, strict=True)
        )

    def differences_to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame` with a row for each pair of groups.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(self.difference_records())

    def difference_records(self) -> Iterator[dict[str, Any]]:
        """Yield each difference as plain values."""
        for one in self.differences:
            yield {
                "first": self.groups[one.first].group.label,
                "second": self.groups[one.second].group.label,
                "kind": one.kind,
                "n": one.n,
                "difference": one.difference,
                **ends(one.interval),
                "p": one.p,
                "p_corrected": one.p_corrected,
                "remark": one.remark,
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(_Judged):
    """Groups of repeats by rank: the winner, and what cannot be told apart from it.

    Attributes:
        best: The decision, by places in `groups`.
    """

    best: Best

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def winner(self) -> Group | None:
        """The group with the best mean; None where no group has two values."""
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
        return tuple(self._remarks([means[place] for place in range(len(self.groups))]))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each group, as in `RANK_HEADERS`."""
        for one in self.best.standings:
            rank = "-" if one.rank is None else str(one.rank)
            label = self.groups[one.place].group.label
            yield rank, label, *mean_cells(one.mean), self.verdict_text(one)

    def verdict_text(self, one: Standing) -> str:
        """Return what may be said of a group, with its reason."""
        if one.verdict == "worse":
            p = p_text(one.p)
            return f"worse (p {p})" if p.startswith("<") else f"worse (p = {p})"
        return f"{one.verdict} ({one.remark})" if one.remark else one.verdict

    def __repr__(self) -> str:
        return f"<Ranking of {str(self.metric)!r}: {self.conclusion}>"

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
            }


def compare_over(
    runs: Iterable[Run],
    metric: str,
    *,
    over: Sequence[str] | None = None,
    level: float = 0.95,
    by_code: bool = False,
) -> RepeatsTable:
    """Return the mean of each group of repeats, and a test between each two groups.

    Args:
        runs: In any order; those that are complete count.
        metric: `acc`, or one value of its series: `acc.max`, `val/acc.min`, `acc.first`,
            `acc.mean`, `acc.count`; the last value by default.
        over: Keys in which repeats may differ, such as `seed`, at any depth; None for what is
            called like a seed.
        level: Of the intervals, from 0.5 to 0.999.
        by_code: Whether runs of different commits are kept apart.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: The level is out of range, or no run has a key of `over`.
        MissingExtraError: SciPy is not installed.
    """
    check_level(level)
    found, keys, groups, left_out = read_values(runs, metric, over, by_code=by_code)
    samples = [one.sample for one in groups]
    return RepeatsTable(
        metric=found,
        level=level,
        over=keys,
        groups=groups,
        left_out=left_out,
        means=tuple(mean_of(one.values, level=level) for one in samples),
        differences=differences_of(samples, level=level),
    )


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
        direction: Whether large or small values are good; None goes by the metric's name.
        level: With which the decision holds, from 0.5 to 0.999.
        by_code: Whether runs of different commits are kept apart.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: The level is out of range, or no run has a key of `over`.
        MissingExtraError: SciPy is not installed.
    """
    check_level(level)
    found, keys, groups, left_out = read_values(runs, metric, over, by_code=by_code)
    return Ranking(
        metric=found,
        level=level,
        over=keys,
        groups=groups,
        left_out=left_out,
        best=best_of(
            [one.sample for one in groups],
            direction=direction or found.default_direction,
            level=level,
        ),
    )
