"""Groups of repeats by rank: the best one, and its statistical ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.errors import visible
from runstore.model import arguments
from runstore.model.display.formatting import number_texts
from runstore.model.display.html import html_paragraphs, html_table
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import some_of
from runstore.model.metric_directions import Direction, kept_for
from runstore.model.run import Run
from runstore.repeats.grouping import Group
from runstore.repeats.samples import EQUAL_VALUES
from runstore.repeats.selection import Best, Standing, best_of
from runstore.repeats.statistics import Mean, check_level
from runstore.repeats.summary import RepeatsSummary
from runstore.repeats.texts import (
    ends,
    frame,
    interval_text,
    level_text,
    mean_as_plain,
    mean_cells,
    p_text,
    remarks_on_code,
)
from runstore.repeats.values import Metric, read_values
from runstore.value_classes import dataclass, replace

if TYPE_CHECKING:
    import pandas as pd

RANK_HEADERS = ("rank", "group", "n", "mean", "interval", "verdict")
_FIRST = 3  # settings worth repeating


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(RepeatsSummary):
    """Groups of repeats by rank: the winner, and the groups that are tied with it.

    If no group can be compared with the best, because only one has repeats, or because these are
    equal and have no seed, all are ranked by value, and none is called best.

    Attributes:
        best: The decision, by places in `groups`.
    """

    best: Best

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def winner(self) -> Group | None:
        """The group with the best mean.

        None if the groups are ranked by value, or if no direction is known.
        """
        winner = self.best.winner
        return None if winner is None else self.groups[winner.place].group

    @property
    def is_decided(self) -> bool:
        """Whether the winner is better than all others that were judged."""
        return self.best.is_decided

    @property
    def contenders(self) -> tuple[Group, ...]:
        """The groups that are not known to be worse than the winner, by rank."""
        return tuple(
            self.groups[one.place].group
            for one in self.best.standings
            if one.verdict in {"statistically tied", "too few values"}
        )

    @property
    def conclusion(self) -> str:
        """The result in a sentence or two."""
        return " ".join(self._by_value() if self.best.is_by_value else self._conclusion())

    def _by_value(self) -> Iterator[str]:
        standings = [one for one in self.best.standings if one.mean.n]
        if len(standings) == 1:
            yield "There is only one setting with one value, so there is nothing to compare."
            return
        repeated = [self.groups[one.place].group.label for one in standings if one.mean.n > 1]
        if len(repeated) > 1:
            equal = [
                self.groups[one.place].group.label
                for one in standings
                if one.remark == EQUAL_VALUES
            ]
            whose = "a setting" if len(equal) == len(repeated) else some_of(equal)
            yield (
                f"The runs of {whose} have equal values and no seeds, so they say nothing about"
                " chance: the settings are ranked by value, without a test."
            )
        elif repeated:
            yield (
                f"Only {repeated[0]} ran more than once, so the settings are ranked by value,"
                " without a test."
            )
        else:
            yield "Each setting ran once, so there are no confidence intervals."
        names = self._names()
        first = [names[self.groups[one.place].group.runs[-1].uid] for one in standings[:_FIRST]]
        yield (
            f"Repeat the first ones ({', '.join(first)}) with other seeds to see whether their"
            " order is more than chance."
        )

    def _names(self) -> dict[str, str]:
        """Return the short name of each run by its uid."""
        runs = [run for one in self.groups for run in one.group.runs]
        return dict(zip((run.uid for run in runs), short_names(runs), strict=True))

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
            yield "No group has a finite value, so none can be ranked."
            return
        label = self.groups[winner.place].group.label
        extreme = "largest" if best.direction == "max" else "smallest"
        if best.is_decided:
            yield f"{label} is best: it has the {extreme} mean of {self.metric}."
        elif judged == 1:
            yield f"{label} is the only group, so there is nothing to compare it with."
        else:
            yield f"{label} has the {extreme} mean of {self.metric}; {self._others()}."
        if best.winner_interval is not None and judged > 1:
            yield (
                f"Allowing for its choice among {judged}, its mean is within"
                f" {interval_text(best.winner_interval)} ({level_text(best.level)})."
            )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about limits of the result, and about runs that do not count."""
        means = {one.place: one.mean for one in self.best.standings}
        if self.best.is_by_value:
            means = {place: _without_interval(one) for place, one in means.items()}
        limits = self._remarks_on([means[place] for place in range(len(self.groups))])
        return (*self._fragile(), *self._exact(), *limits)

    def _others(self) -> str:
        """Return the numbers of groups that are not known to be worse, as a clause."""
        verdicts = Counter(one.verdict for one in self.best.standings)
        tied, few = verdicts["statistically tied"], verdicts["too few values"]
        clauses = []
        if tied or not few:
            groups = "1 group is" if tied == 1 else f"{tied} groups are"
            clauses.append(f"{groups} statistically tied with it")
        if few:
            groups = "1 group has" if few == 1 else f"{few} groups have"
            clauses.append(f"{groups} too few values to be compared with it")
        return ", and ".join(clauses)

    def _exact(self) -> Iterator[str]:
        """Yield the verdicts by an exact test, and the number of values that it needs."""
        found: dict[str, list[str]] = {}
        for one in self.best.standings:
            if one.kind is None or not one.remark or one.p is None:
                continue
            what = "pairs" if one.kind == "paired" else "values of each"
            needed = f"; at least {one.enough} {what} are needed" if one.enough else ""
            text = f"{one.remark}, so the test is exact{needed}"
            found.setdefault(text, []).append(self.groups[one.place].group.label)
        for text, names in found.items():
            yield f"{some_of(names)}: {text}."

    def _fragile(self) -> Iterator[str]:
        """Yield a warning about verdicts that depend on normally distributed values."""
        names = [
            self.groups[one.place].group.label for one in self.best.standings if one.is_fragile
        ]
        if names and self.best.first is not None:
            winner = self.groups[self.best.first.place].group.label
            yield (
                f"{some_of(names)}: the verdict is only valid for normally distributed values."
                f" Their variance differs from that of {winner}, or they may be skewed; in that"
                " case, up to 1 in 4 such verdicts is wrong. Look at the values, or add seeds."
            )

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each group, as in `RANK_HEADERS`."""
        for one in self.best.standings:
            rank = "-" if one.rank is None else str(one.rank)
            label = self.groups[one.place].group.label
            yield rank, label, *mean_cells(one.mean), self.verdict_text(one)

    def value_table(self) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
        """Return headers and rows of a ranking by value: rank, run, value, settings that differ.

        The number of runs is a column if it is not one in all rows.
        """
        has_repeats = any(one.mean.n + one.mean.left_out > 1 for one in self.best.standings)
        keys = [key for key, _ in self.groups[0].group.settings] if self.groups else []
        metric = self.metric
        value = metric.key if metric.statistic == "last" else str(metric)
        headers = ("rank", "run", *(("n",) if has_repeats else ()), value, *keys)
        return headers, self._value_rows(has_repeats=has_repeats)

    def _value_rows(self, *, has_repeats: bool) -> Iterator[tuple[str, ...]]:
        names = self._names()
        values = [one.mean.mean if one.mean.n else math.nan for one in self.best.standings]
        for one, value in zip(self.best.standings, number_texts(values), strict=True):
            group = self.groups[one.place].group
            members = dict.fromkeys(
                names[member.run.uid]
                + (f"/{member.set_name}" if len(member.run.parameter_sets) > 1 else "")
                for member in group.members
            )
            yield (
                "-" if one.rank is None else str(one.rank),
                some_of(members),
                *((str(one.mean.n),) if has_repeats else ()),
                value,
                *(text for _, text in group.settings),
            )

    def verdict_text(self, one: Standing) -> str:
        """Return the verdict on a group, with its reason unless `remarks` has it."""
        if one.verdict in {"worse", "smaller"}:
            return f"{one.verdict} ({self._p_text(one)})"
        if one.verdict == "too few values":
            return one.verdict
        if one.enough is not None:
            return f"{one.verdict} ({self._p_text(one)}, exact)"
        return f"{one.verdict} ({one.remark})" if one.remark else one.verdict

    @staticmethod
    def _p_text(one: Standing) -> str:
        text = p_text(one.p)
        return f"p {text}" if text.startswith("<") else f"p = {text}"

    def __repr__(self) -> str:
        return f"<Ranking of {str(self.metric)!r}: {visible(self.conclusion)}>"

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts that `rich` prints. Source: rich 13, Repr protocol."""
        yield "metric", str(self.metric)
        for _, label, n, mean, interval, verdict in self.rows():
            yield label, f"{mean} ({interval}), n = {n}: {verdict}"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
        is_by_value = self.best.is_by_value
        headers, rows = self.value_table() if is_by_value else (RANK_HEADERS, self.rows())
        return html_table(headers, rows) + html_paragraphs((self.conclusion, *self.remarks))

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
    """Return the groups of repeats by rank: the best one, and those statistically tied with it.

    Runs that ran once per setting are ranked by value.

    Args:
        runs: In any order; complete runs count.
        metric: As in `compare_over`.
        over: As in `compare_over`.
        direction: Whether large or small values are better; None for the direction kept in
            the store, or else that of the metric's name. If neither is known, the groups are
            ranked and none wins.
        level: Confidence level of the decision, from 0.5 to 0.999.
        by_code: Whether runs of different commits, or with different uncommitted code, are kept
            apart.

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
        on_code=tuple(remarks_on_code([one.group for one in groups])),
        best=best_of(
            [one.sample for one in groups],
            direction=direction or _direction(runs, found),
            level=level,
        ),
    )


def _without_interval(mean: Mean) -> Mean:
    """Return a mean without remarks on its interval, which is not shown."""
    kept = [one for one in mean.remarks if "interval" not in one]
    return replace(mean, remarks=tuple(kept))


def _direction(runs: Sequence[Run], metric: Metric) -> Direction | None:
    """Return the direction kept in the store, or else that of the metric's name."""
    source = next((run.source for run in runs if run.source is not None), None)
    kept = None
    if source is not None and metric.statistic != "count":
        kept = kept_for(source.directions(), metric.key)
    return kept or metric.known_direction
