"""What a plot shows: one panel per metric, one line per run or parameter set of one."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runstore.errors import NotFoundError, StoreCorruptError, UsageError
from runstore.model.display.drawable import Drawable, drawable
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import hint_of, listed
from runstore.model.metrics import MetricSummary, Series
from runstore.model.run import Run

X_AXES = ("step", "time", "relative")
DEFAULT_PANELS = 6  # of a run with more metrics, somebody has to choose
_KEYS_LISTED = 40
_SYSTEM = "system/"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How points are looked at.

    Attributes:
        x: One of `X_AXES`.
        is_log: Whether values stand on a logarithmic axis.
        smoothing: Weight of the past in an exponential moving average, 0 to 1; 0 for none.
        limit: Points per line at most; extremes are kept.
    """

    x: str = "step"
    is_log: bool = False
    smoothing: float = 0.0
    limit: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The points of one metric of one run.

    Attributes:
        run: The run.
        name: What the legend says; any text.
        summary: The series it comes from.
        place: Of its run and set among all in the plot: the same look in each panel.
        raw: A sample of the points, by x.
        smooth: The same smoothed, where that was asked for.
        left_out: Points that cannot be drawn: NaN, infinite, no logarithm.
    """

    run: Run
    name: str
    summary: MetricSummary
    place: int
    raw: Series
    smooth: Series | None
    left_out: int

    @property
    def shown(self) -> Series:
        """What a reader is to follow."""
        return self.raw if self.smooth is None else self.smooth

    def xs(self, points: Series, x: str) -> list[float]:
        """Return where points stand: steps, seconds since 1970, or since the start of the run."""
        if x == "step":
            return [float(step) for step in points.steps]
        start = self.run.started_at.timestamp() if x == "relative" else 0.0
        return [time - start for time in points.times]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric.

    Attributes:
        key: Its key; any text.
        lines: One per run, and per parameter set that has it.
    """

    key: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """All that is drawn.

    Attributes:
        title: The run, or how many.
        panels: In the order they were asked for.
        view: How they are looked at.
        missing: Sentences about what is not there.
    """

    title: str
    panels: Sequence[Panel]
    view: View
    missing: Sequence[str]

    @property
    def lines(self) -> list[Line]:
        """The first line of each look, in order: what a legend explains."""
        found: dict[int, Line] = {}
        for panel in self.panels:
            for line in panel.lines:
                found.setdefault(line.place, line)
        return [found[place] for place in sorted(found)]

    @property
    def remarks(self) -> list[str]:
        """Sentences about what is not shown."""
        left_out = sum(line.left_out for panel in self.panels for line in panel.lines)
        if not left_out:
            return list(self.missing)
        why = "NaN, infinite" + (", or no logarithm" if self.view.is_log else "")
        count = "1 point is" if left_out == 1 else f"{left_out:,} points are"
        return [*self.missing, f"{count} not shown ({why})."]

    def xs(self) -> Iterator[float]:
        """Yield the place of every point on the common x axis."""
        for panel in self.panels:
            for line in panel.lines:
                yield from line.xs(line.raw, self.view.x)


_UNITS_S = (("days", 86_400.0, 3.0), ("hours", 3_600.0, 2.0), ("minutes", 60.0, 3.0))


def x_label(plot: Plot) -> tuple[str, float]:
    """Return what the x axis shows, and by what its numbers are divided."""
    if plot.view.x == "step":
        return "step", 1.0
    if plot.view.x == "time":
        return "local time", 1.0
    longest = max(map(abs, plot.xs()), default=0.0)
    for unit, size_s, least in _UNITS_S:
        if longest >= least * size_s:
            return f"{unit} since the start", size_s
    return "seconds since the start", 1.0


def gather(runs: Sequence[Run], keys: Sequence[str], view: View) -> Plot:
    """Read what is to be drawn.

    Args:
        runs: Each once, at least one.
        keys: Metrics of the runs and of their parameter sets, or `<set>/<metric>` of one set;
            none for all metrics, if there are not too many.
        view: How they are looked at.

    Raises:
        NotFoundError: No run has a metric of that key.
        StoreCorruptError: None of what is to be drawn can be read.
        UsageError: There are too many metrics to show all.
    """
    known = [(run, list(run.metrics.values())) for run in runs]
    chosen = _chosen(known, keys or _defaults(known))
    places = dict[tuple[str, str | None], int]()
    names = {run.uid: name for run, name in zip(runs, short_names(runs), strict=True)}

    damaged: list[StoreCorruptError] = []

    def line(run: Run, one: MetricSummary) -> Line | None:
        name = names[run.uid]
        if one.set_name is not None:
            name = one.set_name if len(runs) == 1 else f"{name} {one.set_name}"
        place = places.setdefault((run.uid, one.set_name), len(places))
        try:
            return _line(run, one, name, place, view)
        except StoreCorruptError as error:
            damaged.append(error)
            return None

    drawn = {
        key: [made for run, one in found if (made := line(run, one)) is not None]
        for key, found in chosen.items()
    }
    panels = [Panel(key=key, lines=lines) for key, lines in drawn.items() if lines]
    if not panels:
        raise damaged[0]
    missing = [*_missing(runs, chosen), *(error.what for error in damaged)]
    title = runs[0].reference if len(runs) == 1 else f"{len(runs)} runs"
    return Plot(title=title, panels=panels, view=view, missing=missing)


Known = Sequence[tuple[Run, Sequence[MetricSummary]]]
Chosen = Mapping[str, Sequence[tuple[Run, MetricSummary]]]


def _chosen(known: Known, keys: Sequence[str]) -> Chosen:
    chosen = {}
    for key in keys:
        found = [
            (run, one)
            for run, summaries in known
            for one in summaries
            if key in {one.key, full_key(one)}
        ]
        if not found:
            raise _no_such_metric(known, key)
        chosen[key] = found
    return chosen


def full_key(one: MetricSummary) -> str:
    """Return the key by which a run knows a series."""
    return one.key if one.set_name is None else f"{one.set_name}/{one.key}"


def _defaults(known: Known) -> list[str]:
    """Return all metrics, if they are few; those of the system only where there are no others."""
    found = list(dict.fromkeys(one.key for _, summaries in known for one in summaries))
    keys = [key for key in found if not key.startswith(_SYSTEM)] or found
    if not keys:
        who = known[0][0].reference if len(known) == 1 else f"The {len(known)} runs"
        verb = "has" if len(known) == 1 else "have"
        raise NotFoundError(f"{who} {verb} no metrics.", hint="A run logs some with run.log().")
    if len(keys) > DEFAULT_PANELS:
        raise UsageError(
            f"There are {len(keys)} metrics, too many to show all.",
            hint=listed(keys, who="Choose with -m", most=_KEYS_LISTED),
        )
    return keys


def _no_such_metric(known: Known, key: str) -> NotFoundError:
    found = list(dict.fromkeys(full_key(one) for _, summaries in known for one in summaries))
    who = known[0][0].reference if len(known) == 1 else f"None of the {len(known)} runs"
    return NotFoundError(
        f"{who} has {'no' if len(known) == 1 else 'a'} metric {key!r}.",
        hint=hint_of(key, found, most=_KEYS_LISTED) if found else "",
    )


def _missing(runs: Sequence[Run], chosen: Chosen) -> list[str]:
    return [
        f"{run.reference} has no metric {key!r}."
        for key, found in chosen.items()
        for run in runs
        if run.uid not in {one.uid for one, _ in found}
    ]


def _line(run: Run, one: MetricSummary, name: str, place: int, view: View) -> Line:
    series = run.metric(one.key, one.set_name)
    found = drawable(
        series.steps,
        series.times,
        series.values,
        by_step=view.x == "step",
        is_log=view.is_log,
        smoothing=view.smoothing,
    )
    return Line(
        run=run,
        name=name,
        summary=one,
        place=place,
        raw=_sample(one.key, found, found.values, view.limit),
        smooth=None if found.smooth is None else _sample(one.key, found, found.smooth, view.limit),
        left_out=found.left_out,
    )


def _sample(key: str, found: Drawable, values: list[float], limit: int) -> Series:
    whole = Series(key, array("q", found.steps), array("d", found.times), array("d", values))
    return whole.sampled(limit)


def value_text(value: float) -> str:
    """Return a value as a legend says it."""
    return "no points" if math.isnan(value) else f"{value:.4g}"
