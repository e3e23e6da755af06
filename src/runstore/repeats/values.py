"""One number of each run, in groups of repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from runstore.errors import NotFoundError, UsageError, quoted
from runstore.model import arguments
from runstore.model.display.suggestions import hint_of
from runstore.model.logged.metric_names import names_of
from runstore.model.metric_directions import Direction, direction_of
from runstore.model.metrics import MetricSummary
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.repeats.grouping import Group, LeftOut, Member, Repeats, by_source, group_repeats
from runstore.repeats.samples import Sample
from runstore.repeats.texts import remarks_on_left_out
from runstore.value_classes import dataclass, replace

Statistic = Literal["last", "first", "min", "max", "mean", "count"]

STATISTICS: tuple[Statistic, ...] = ("last", "first", "min", "max", "mean", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number of each run: a metric and a value of its series.

    Attributes:
        key: The metric's key; `<set>/<key>` is that of one parameter set.
        statistic: The value of its series.
    """

    key: str
    statistic: Statistic

    def __str__(self) -> str:
        return f"{self.key}.{self.statistic}"

    @property
    def known_direction(self) -> Direction | None:
        """`min` for names such as `loss` or `wer`, `max` for `acc` or `bleu`; None if unknown."""
        return None if self.statistic == "count" else direction_of(self.key)

    @property
    def default_direction(self) -> Direction:
        """The same; `max` for an unknown name, which is an order and no judgement.

        Programs that rank by themselves use it.
        """
        return self.known_direction or "max"


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """A group of repeats with its values.

    Attributes:
        group: The group, with the members that have a value.
        sample: Their values.
    """

    group: Group
    sample: Sample


def read_values(
    runs: Iterable[Run], text: str, over: Sequence[str] | None, *, by_code: bool
) -> tuple[Metric, tuple[str, ...], tuple[RankedGroup, ...], tuple[LeftOut, ...]]:
    """Return the metric, the keys left out, the groups with their values, and the rest.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: No run has a key of `over`.
    """
    text = arguments.text(text, "metric", "val/acc")
    over = None if over is None else arguments.texts(over, "over", "seed")
    repeats = group_repeats(runs, over=over, by_code=by_code)
    if not repeats.groups:
        raise NotFoundError(
            "No run is complete." if repeats.left_out else "There are no runs.",
            hint=" ".join(remarks_on_left_out(repeats.left_out)),
        )
    if over is not None:
        _check_over(repeats)
    known = _metrics_of([run for group in repeats.groups for run in group.runs])
    metric = read_metric(text, dict.fromkeys(key for one in known.values() for key in one))
    left_out = list(repeats.left_out)
    groups = []
    for group in repeats.groups:
        values = [(one, _value(one, metric, known[one.run.uid])) for one in group.members]
        left_out += [
            LeftOut(one.name, f"has no metric {metric.key!r}")
            for one, value in values
            if value is None
        ]
        known_values = [(one, value) for one, value in values if value is not None]
        if known_values:
            groups.append(_ranked_group(group, known_values))
    if not groups:
        raise _no_such_metric(metric.key, known)
    return metric, repeats.found, tuple(groups), tuple(left_out)


def metric_counts(runs: Iterable[Run]) -> dict[str, int]:
    """Return the number of complete runs that logged each metric, the most logged first."""
    known = _metrics_of([run for run in runs if run.status is Status.COMPLETE])
    counts: dict[str, int] = {}
    for some in known.values():
        for key in {one.key for one in some.values()}:
            counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items(), key=lambda one: (-one[1], "/" in one[0], one[0])))


def _metrics_of(runs: Iterable[Run]) -> dict[str, dict[str, MetricSummary]]:
    """Return the metrics of many runs by uid and name; each store is asked once."""
    known: dict[str, dict[str, MetricSummary]] = {}
    for source, some in by_source(runs):
        known |= {run.uid: {} for run in some}
        if source is not None:
            for uid, found in source.metrics_of_all(some).items():
                names = names_of([(one.set_name, one.key) for one in found])
                known[uid] = dict(zip(names, found, strict=True))
    return known


def _ranked_group(group: Group, values: Sequence[tuple[Member, float]]) -> RankedGroup:
    sample = Sample(
        group.label,
        tuple(value for _, value in values),
        tuple(member.repeat for member, _ in values),
    )
    return RankedGroup(replace(group, members=tuple(member for member, _ in values)), sample)


def _value(member: Member, metric: Metric, known: Mapping[str, MetricSummary]) -> float | None:
    """Return the value of a member, if it has one: that of its set if the run has several."""
    wanted: list[tuple[str | None, str]] = [(None, metric.key)]
    if member.set_name is not None:
        # A metric of the whole run is no value of one of its several sets.
        of_set = (member.set_name, metric.key.removeprefix(f"{member.set_name}/"))
        wanted = [of_set] if len(member.run.parameter_sets) > 1 else [*wanted, of_set]
        wanted.append((member.set_name, metric.key))
    found = next(filter(None, (_series_in(known, *one) for one in wanted)), None)
    return None if found is None else float(getattr(found, metric.statistic))


def _series_in(
    known: Mapping[str, MetricSummary], set_name: str | None, key: str
) -> MetricSummary | None:
    """Return the summary of a series of the run or of a set, by its key or its name."""
    for name in (key, f"{set_name}/{key}"):
        if name in known and known[name].set_name == set_name:
            return known[name]
    same = (one for one in known.values() if (one.set_name, one.key) == (set_name, key))
    return next(same, None)


def read_metric(text: str, known: Iterable[str] = ()) -> Metric:
    """Return the metric of a text such as `acc` or `acc.max`.

    Args:
        text: A key, or a key, a dot and one of `STATISTICS`.
        known: Keys that there are: a text that is one of them as a whole is that key.

    Raises:
        UsageError: It has no key.
    """
    key, dot, statistic = text.rpartition(".")
    if dot and statistic in STATISTICS and text not in known:
        if not key:
            raise UsageError(
                f"{quoted(text)} does not name a metric.", hint="Write it as acc or acc.max."
            )
        return Metric(key=key, statistic=statistic)
    return Metric(key=text, statistic="last")


def _no_such_metric(key: str, known: Mapping[str, Mapping[str, MetricSummary]]) -> NotFoundError:
    keys = list(dict.fromkeys(one for summaries in known.values() for one in summaries))
    is_one = len(known) == 1
    none = "The run has no" if is_one else f"None of the {len(known)} runs has a"
    who = "It has" if is_one else "They have"
    return NotFoundError(f"{none} metric {quoted(key)}.", hint=hint_of(key, keys, who=who))


def _check_over(repeats: Repeats) -> None:
    """Refuse a key that no run has, which is probably a typing error."""
    for key in repeats.over:
        if not any(one == key or one.endswith(f".{key}") for one in repeats.found):
            raise UsageError(
                f"No complete run has a parameter {quoted(key)}.", hint=hint_of(key, repeats.keys)
            )
