"""Run: one execution of an experiment and its record, as a frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Protocol

from runstore.errors import NotFoundError
from runstore.model.display.formatting import duration_text, local_time
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from runstore.model.artifacts import Artifact, Input
    from runstore.model.logged.media import MediaSeries
    from runstore.model.metric_directions import Direction
    from runstore.model.metrics import MetricSummary, Series
    from runstore.model.outline import SeriesOutline
    from runstore.model.text.kept_output import Output


DAMAGED = "damaged"  # in the place of the status


class RunSource(Protocol):
    """What reads the products of a run: the store that it came from."""

    def metrics_of(self, run: Run) -> tuple[MetricSummary, ...]:
        """Return a summary of each series."""

    def metrics_of_all(self, runs: Sequence[Run]) -> dict[str, tuple[MetricSummary, ...]]:
        """Return a summary of each series of many runs, by uid."""

    def series_of(self, run: Run, key: str, set_name: str | None = None) -> Series:
        """Return the points of one metric."""

    def outline_of(
        self,
        run: Run,
        key: str,
        set_name: str | None,
        stretches: int,
        x: str,
        begin: object,
        end: object,
    ) -> SeriesOutline:
        """Return what a plot shows of one metric."""

    def artifacts_of(self, run: Run) -> dict[str, Artifact]:
        """Return the artifacts by path."""

    def inputs_of(self, run: Run) -> tuple[Input, ...]:
        """Return what it read."""

    def open_artifact(
        self, run: Run, path: str | Artifact | PathLike[str], mode: str, encoding: str | None
    ) -> IO[Any]:
        """Open the contents of an artifact."""

    def download(
        self,
        run: Run,
        path: str | Artifact | PathLike[str] | None,
        to: str | PathLike[str],
        *,
        link: bool,
    ) -> tuple[Path, ...]:
        """Write artifacts to a folder."""

    def output_of(self, run: Run) -> Output:
        """Return what it printed."""

    def html_of(self, run: Run) -> str:
        """Return what a notebook shows."""

    def directions(self) -> dict[str, Direction]:
        """Return whether small or large values of metrics are better, as far as that is kept."""


class AnyRun(Protocol):
    """A run, kept or being executed here."""

    @property
    def uid(self) -> str:
        """Identity across machines."""

    @property
    def reference(self) -> str:
        """`<experiment>_<run number>_<timestamp>`."""

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """The sets it ran."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run:
    """One execution and its record.

    Attributes:
        uid: Identity across machines, a UUIDv7 as text.
        experiment_name: What the run is grouped under.
        run_number: Number within the experiment, from 1.
        reference: `<experiment>_<run number>_<timestamp>`.
        timestamp: Local wall time of the start, as `%Y-%m-%d-T%H%M%S`.
        status: What is known of the run's life.
        started_at: Start (UTC).
        ended_at: End (UTC); None while the run is not final. For a lost run, the time it was
            last known alive.
        last_seen_at: The last sign of life (UTC); None where there never was one.
        parameter_sets: The sets it ran, in order.
        notes: Prose of the user; None when nothing was said.
        error: The error's type and message, None without one.
        traceback: The full traceback where an exception ended the run.
        exit_code: Exit status of the process or command, where there is one.
        parent_uid: The run that this one was started in, if any.
        commit: Full git commit hash; None when unknown.
        workdir_dirty: Whether the work tree had changes; None when unknown.
        cli: The command line as text that a shell reads back.
        full_store: Whether the run has a folder of plain files under `runs/`.
        reproduce: The command that repeats a full store's run from its own artifacts.
        process: Which process executes it; None for a run that was imported.
        facts: What was captured at the start.
        block: The metadata block as another tool wrote it, JSON text; None for our own runs.
        deleted_at: When it was put into the trash (UTC); None for a run that is kept.
        tags: Labels with their values; the empty text for a label alone.
        damaged: What is kept of the run in a form that cannot be read, such as `facts` or
            `parameters small`, and is replaced by a stand-in here; `runstore doctor` tells more.
        source: What reads its metrics; the store it came from.
    """

    uid: str
    experiment_name: str
    run_number: int
    reference: str
    timestamp: str
    status: Status
    started_at: datetime
    ended_at: datetime | None = None
    last_seen_at: datetime | None = None
    parameter_sets: tuple[ParameterSet, ...] = ()
    notes: str | None = None
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    parent_uid: str | None = None
    commit: str | None = None
    workdir_dirty: bool | None = None
    cli: str | None = None
    full_store: bool = False
    reproduce: str | None = None
    process: ProcessIdentity | None = None
    facts: Facts = field(default_factory=Facts)
    block: str | None = None
    deleted_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    source: RunSource | None = field(default=None, repr=False, compare=False)

    def __hash__(self) -> int:
        return hash(self.uid)

    @property
    def metrics(self) -> dict[str, MetricSummary]:
        """Summaries by key; those of a parameter set by `<set>/<key>`.

        If the run has a metric of that name itself, that of the set is `<set>/<key> (set <set>)`.
        """
        from runstore.model.metrics import names_of
        from runstore.model.results.lists import MetricsByName

        found = self.source.metrics_of(self) if self.source else ()
        names = names_of([(one.set_name, one.key) for one in found])
        return MetricsByName(zip(names, found, strict=True))

    def metric(self, key: str, set_name: str | None = None) -> Series:
        """Return the points of one metric, up to what was logged last.

        Args:
            key: Its key, or its name in `metrics`: `<set>/<key>` finds that of a parameter set.
            set_name: The parameter set it belongs to; None for the run itself.

        Raises:
            NotFoundError: The run has no such metric.
        """
        return self._source.series_of(self, key, set_name)

    def outline(
        self,
        key: str,
        set_name: str | None = None,
        *,
        stretches: int = 600,
        x: str = "step",
        begin: float | datetime | None = None,
        end: float | datetime | None = None,
    ) -> SeriesOutline:
        """Return the first, smallest, largest and last value of a metric, stretch by stretch.

        It is what a plot shows, and reads about as much as that: the cost depends on `stretches`,
        not on the points logged.

        Args:
            key: Its key, or its name in `metrics`, as for `metric`.
            set_name: The parameter set it belongs to; None for the run itself.
            stretches: How fine: no stretch is wider than the so-manieth part of the window, which
                makes fewer than twice as many; 1 to 10,000. A window with no more points than
                that is shown point by point.
            x: Along which axis: `step`; `relative`, seconds since the start of the run; or
                `time`, seconds since 1970 (UTC).
            begin: Where the window begins along this axis; None for the first point.
            end: Where it ends; None for the last point.

        Raises:
            NotFoundError: The run has no such metric.
            UsageError: An argument is out of range.
        """
        return self._source.outline_of(self, key, set_name, stretches, x, begin, end)

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """The files it saved, by path."""
        return self._source.artifacts_of(self)

    @property
    def media(self) -> dict[str, MediaSeries]:
        """The texts, images and histograms it logged, by `<kind>/<key>`."""
        from runstore.model.logged.media import media_in

        return media_in(self.artifacts.values(), self.read_bytes)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The data it said it read, artifacts of other runs among them."""
        return self._source.inputs_of(self)

    @property
    def output(self) -> Output:
        """The lines it printed, as far as they were kept, in the order of their printing.

        They are read when they are iterated over, each time anew.
        """
        return self._source.output_of(self)

    def open(
        self,
        path: str | Artifact | PathLike[str],
        mode: str = "rb",
        *,
        encoding: str | None = None,
    ) -> IO[Any]:
        """Open an artifact for reading, once its contents are found unchanged.

        Inside another run this is noted there as an input.

        Args:
            path: The artifact, or its path.
            mode: `rb` for bytes, `r` for text.
            encoding: Of text; UTF-8 by default.

        Raises:
            NotFoundError: It has no such artifact, or the contents are gone.
            StoreCorruptError: The contents were changed or damaged.
        """
        return self._source.open_artifact(self, path, mode, encoding)

    def read_bytes(self, path: str | Artifact | PathLike[str]) -> bytes:
        """Return the contents of an artifact, once they are found unchanged; see `open`."""
        with self.open(path) as file:
            return bytes(file.read())

    def download(
        self,
        path: str | Artifact | PathLike[str] | None = None,
        to: str | PathLike[str] = ".",
        *,
        link: bool = False,
    ) -> tuple[Path, ...]:
        """Write artifacts into a folder, each whole or not at all, over files of that name.

        Inside another run this is noted there as an input.

        Args:
            path: An artifact, its path, or a folder of them; None for all.
            to: The folder to write to; made when missing.
            link: Share the store's own files where the disk allows it, which are read-only.

        Returns:
            The files written.

        Raises:
            NotFoundError: It has no such artifact, or the contents are gone.
            StoreCorruptError: The contents were changed or damaged; nothing of them was written.
        """
        return self._source.download(self, path, to, link=link)

    @property
    def _source(self) -> RunSource:
        if self.source is None:
            raise NotFoundError(f"{self.reference} did not come from a store.")
        return self.source

    @property
    def hostname(self) -> str | None:
        """The machine it ran on."""
        return self.process.hostname if self.process else None

    @property
    def params(self) -> Mapping[str, Any]:
        """Values of the only parameter set, or of each set by its name.

        A run of one set gives that set's values: `run.params["lr"]`. A run of several gives a
        mapping from set name to values.
        """
        return values_of(self.parameter_sets)

    @property
    def param_files(self) -> tuple[str, ...]:
        """Names of the parameter files, each once, in order."""
        return tuple(dict.fromkeys(s.file for s in self.parameter_sets if s.file is not None))

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while the run is not final."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def status_text(self) -> str:
        """The status as people read it: `damaged` where part of the run cannot be read."""
        return DAMAGED if self.damaged else self.status.value

    def silent_for(self, now: datetime) -> timedelta | None:
        """Return how long there was no sign of life; None for a run that has ended."""
        if self.status.is_final:
            return None
        return now - (self.last_seen_at or self.started_at)

    def __repr__(self) -> str:
        return f"<Run {self.reference!r} {self.status_text}>"

    def summary(self) -> Iterator[tuple[str, str]]:
        """Yield the label and text of what a person looks at first, unknown facts left out."""
        yield "run", self.reference
        yield "status", self.status_text
        yield "started", local_time(self.started_at)
        if self.duration is not None:
            yield "took", duration_text(self.duration)
        for one in self.parameter_sets:
            yield f"params {one.name}", f"{one.hash[:8]} {one.preview()}"
        for label, value in (
            ("notes", self.notes),
            ("error", self.error),
            ("commit", self.commit),
            ("command", self.cli),
            ("host", self.hostname),
        ):
            if value:
                yield label, value

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:
        """Yield what `rich` prints; it calls this by itself. Source: rich 13, Repr protocol."""
        yield from self.summary()

    def _repr_html_(self) -> str:
        """Return what a notebook shows; it calls this by itself."""
        from runstore.model.display.html import html_table

        return self.source.html_of(self) if self.source else html_table((), self.summary())


def values_of(sets: Sequence[ParameterSet]) -> Mapping[str, Any]:
    """Return the values of the only set, or of each set by its name; see `Run.params`."""
    return sets[0].values if len(sets) == 1 else {one.name: one.values for one in sets}


def read_from(run: Run, source: RunSource) -> Run:
    """Return a run that was just made, which now reads its products from there."""
    object.__setattr__(run, "source", source)
    return run
