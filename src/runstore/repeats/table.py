"""Groups of repeats side by side: their means, and the differences between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.model.display.formatting import counted
from runstore.model.display.html import html_paragraphs, html_table
from runstore.model.run import Run
from runstore.repeats.statistics import Mean, MeanDifference, check_level, differences_of, mean_of
from runstore.repeats.summary import RepeatsSummary
from runstore.repeats.texts import (
    ends,
    frame,
    interval_text,
    mean_as_plain,
    mean_cells,
    number_text,
    p_text,
    remarks_on_code,
    scale_of,
)
from runstore.repeats.values import read_values
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    import pandas as pd

MEAN_HEADERS = ("group", "n", "mean", "interval")
DIFFERENCE_HEADERS = ("difference", "by", "interval", "test", "p", "corrected p")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsTable(RepeatsSummary):
    """Groups of repeats, their means, and the differences between them.

    Attributes:
        means: One for each group.
        differences: Of all pairs of groups with two values or more, p-values corrected together.
    """

    means: tuple[Mean, ...]
    differences: tuple[MeanDifference, ...]

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about limits of the table, and about runs left out."""
        return tuple(self._remarks_on(self.means))

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
            if one.remark and one.p is not None:
                test += ", exact"
            yield (
                f"{first} - {second}",
                number_text(one.difference, scale),
                interval_text(one.interval),
                test,
                one.remark if one.p is None else p_text(one.p),
                p_text(one.p_corrected),
            )

    def __repr__(self) -> str:
        return f"<RepeatsTable of {str(self.metric)!r}: {counted(len(self), 'group')}>"

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts that `rich` prints. Source: rich 13, Repr protocol."""
        yield "metric", str(self.metric)
        for label, n, mean, interval in self.rows():
            yield label, f"{mean} ({interval}), n = {n}"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
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
        runs: In any order; complete runs count.
        metric: `acc`, or one value of its series: `acc.max`, `val/acc.min`, `acc.first`,
            `acc.mean`, `acc.count`; the last value by default.
        over: Keys in which repeats may differ, such as `seed`, at any depth; None for keys
            named like a seed.
        level: Of the intervals, from 0.5 to 0.999.
        by_code: Whether runs of different commits, or with different uncommitted code, are kept
            apart.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: The level is out of range, or no run has a key of `over`.
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
        on_code=tuple(remarks_on_code([one.group for one in groups])),
        means=tuple(mean_of(one.values, level=level) for one in samples),
        differences=differences_of(samples, level=level),
    )
