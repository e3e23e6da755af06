"""The contents of a plot: a panel per metric, a line per run or parameter set of a run."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from runstore.cli.plots.choice import (
    chosen_metrics,
    first_runs,
    missing_metrics,
    single_points,
    summaries_of,
)
from runstore.errors import StoreCorruptError
from runstore.model.display.drawable import Drawable, drawable
from runstore.model.display.limits import Extent, robust_limits, with_margin
from runstore.model.display.suggestions import either, some_of
from runstore.model.metrics import MetricSummary, Series
from runstore.model.run import Run
from runstore.repeats.line_names import LineNames
from runstore.value_classes import dataclass

X_AXES = ("step", "time", "relative")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The options of a plot.

    Attributes:
        x: One of `X_AXES`.
        is_log: Whether the y axis is logarithmic.
        is_whole: Whether a linear y axis shows lines that leave the others far behind.
        smoothing: Weight of the past in an exponential moving average, 0 to 1; 0 for none.
        limit: Maximum number of points per line; extremes are kept.
    """

    x: str = "step"
    is_log: bool = False
    is_whole: bool = False
    smoothing: float = 0.0
    limit: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The points of one metric of one run.

    Attributes:
        run: The run.
        name: Its name in the legend; any text.
        summary: The series of its points.
        place: Its index among the runs and sets of the plot, for the same look in each panel.
        raw: A sample of the points, by x.
        smooth: The smoothed points; None without smoothing.
        left_out: Number of points that cannot be drawn: NaN, infinite, or without a logarithm.
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
        """The points in the foreground, smoothed if there is smoothing."""
        return self.raw if self.smooth is None else self.smooth

    @property
    def extent(self) -> Extent | None:
        """The smallest and the largest value shown; None without any."""
        values = self.shown.values
        return (min(values), max(values)) if len(values) else None

    def xs(self, points: Series, x: str) -> list[float]:
        """Return x values: steps, seconds since 1970, or seconds since the start of the run."""
        if x == "step":
            return [float(step) for step in points.steps]
        start = self.run.started_at.timestamp() if x == "relative" else 0.0
        return [time - start for time in points.times]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric.

    Attributes:
        key: Its key; any text.
        lines: One per run, or per parameter set that has the metric.
        limits: Limits of the y axis, which some lines leave; None if it shows all lines.
    """

    key: str
    lines: Sequence[Line]
    limits: Extent | None = None

    @property
    def leaving(self) -> list[tuple[Line, float]]:
        """The lines that leave the axis, each with its largest value or, below, its smallest."""
        if self.limits is None:
            return []
        (low, high), found = self.limits, []
        for line in self.lines:
            least, most = line.extent or self.limits
            if least < low or most > high:
                found.append((line, most if most > high else least))
        return found

    @property
    def is_positive(self) -> bool:
        """Whether a logarithmic axis shows all points."""
        return all(line.extent is None or line.extent[0] > 0 for line in self.lines)


def _extreme_text(panel: Panel) -> str:
    """Return the name of a panel with the value that is farthest outside of its axis."""
    far = max((value for _, value in panel.leaving), key=abs)
    return f"{panel.key} ({'up' if far > 0 else 'down'} to {far:.4g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A whole plot.

    Attributes:
        title: The run, or the number of runs.
        panels: In the requested order.
        view: The options of the plot.
        missing: Sentences about runs and metrics that are not drawn.
        switches: What shows lines that leave their axis: all of the axis, or a logarithmic one.
    """

    title: str
    panels: Sequence[Panel]
    view: View
    missing: Sequence[str]
    switches: tuple[str, str] = ("--full-y", "--log-y")

    @property
    def lines(self) -> list[Line]:
        """The first line of each look, in order: the entries of a legend."""
        found: dict[int, Line] = {}
        for panel in self.panels:
            for line in panel.lines:
                found.setdefault(line.place, line)
        return [found[place] for place in sorted(found)]

    @property
    def remarks(self) -> list[str]:
        """Sentences about lines that leave their axis, and what else is not drawn."""
        leaving = list(self._leaving_texts())
        left_out = sum(line.left_out for panel in self.panels for line in panel.lines)
        if not left_out:
            return [*leaving, *self.missing]
        why = "NaN, infinite" + (", or no logarithm" if self.view.is_log else "")
        count = "1 point is" if left_out == 1 else f"{left_out:,} points are"
        return [*leaving, *self.missing, f"{count} not shown ({why})."]

    def _leaving_texts(self) -> Iterator[str]:
        """Yield a sentence for each group of lines that leave the axes of the same panels."""
        together: dict[tuple[str, ...], list[Panel]] = {}
        for panel in self.panels:
            if names := tuple(line.name for line, _ in panel.leaving):
                together.setdefault(names, []).append(panel)
        for names, panels in together.items():
            verb = "leaves" if len(names) == 1 else "leave"
            axes = either(map(_extreme_text, panels), word="and")
            are_positive = all(panel.is_positive for panel in panels)
            switches = " or ".join(self.switches[: 1 + are_positive])
            yield f"{some_of(names)} {verb} the axis of {axes}; {switches} shows all of it."

    def xs(self) -> Iterator[float]:
        """Yield the place of every point on the common x axis."""
        for panel in self.panels:
            for line in panel.lines:
                yield from line.xs(line.raw, self.view.x)


_UNITS_S = (("days", 86_400.0, 3.0), ("hours", 3_600.0, 2.0), ("minutes", 60.0, 3.0))


def x_label(plot: Plot) -> tuple[str, float]:
    """Return the label of the x axis, and the divisor for its unit."""
    if plot.view.x == "step":
        return "step", 1.0
    if plot.view.x == "time":
        return "local time", 1.0
    longest = max(map(abs, plot.xs()), default=0.0)
    for unit, size_s, least in _UNITS_S:
        if longest >= least * size_s:
            return f"{unit} since the start", size_s
    return "seconds since the start", 1.0


def gather(
    runs: Sequence[Run], keys: Sequence[str], view: View, *, most: int | None = None
) -> Plot:
    """Read the points of a plot.

    Args:
        runs: Each once, at least one.
        keys: Metrics of the runs and of their parameter sets, or `<set>/<metric>` of one set, or
            patterns such as `val/*`; none for all metrics, if there are not too many.
        view: The options of the plot.
        most: Maximum number of runs to draw; None for all with one of the metrics.

    Raises:
        NotFoundError: No run has a metric of that key.
        StoreCorruptError: None of the points can be read.
        UsageError: There are too many metrics to show all.
    """
    known = summaries_of(runs)
    chosen = chosen_metrics(known, keys)
    remarks = [] if keys else single_points(known, chosen)
    if most is not None:
        runs, chosen, more = first_runs(runs, chosen, most)
        remarks += more
    names = LineNames(runs)
    places = dict[tuple[str, str | None], int]()
    damaged: list[StoreCorruptError] = []

    def line(run: Run, one: MetricSummary) -> Line | None:
        place = places.setdefault((run.uid, one.set_name), len(places))
        try:
            return _line(run, one, names.of(run, one.set_name), place, view)
        except StoreCorruptError as error:
            damaged.append(error)
            return None

    drawn = {
        key: [made for run, one in found if (made := line(run, one)) is not None]
        for key, found in chosen.items()
    }
    panels = [
        Panel(key=key, lines=lines, limits=_limits(lines, view))
        for key, lines in drawn.items()
        if lines
    ]
    if not panels:
        raise damaged[0]
    missing = [*remarks, *missing_metrics(runs, chosen), *(error.what for error in damaged)]
    title = runs[0].reference if len(runs) == 1 else f"{len(runs)} runs"
    return Plot(title=title, panels=panels, view=view, missing=missing)


def _limits(lines: Sequence[Line], view: View) -> Extent | None:
    if view.is_log or view.is_whole:
        return None
    limits = robust_limits([extent for line in lines if (extent := line.extent) is not None])
    return None if limits is None else with_margin(limits)


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
