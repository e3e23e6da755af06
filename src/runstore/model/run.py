"""Run: one execution of an experiment and its record, as a frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from runstore.errors import NotFoundError, UsageError
from runstore.model import arguments
from runstore.model.display.formatting import duration_text, local_time
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.value_classes import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path
    from typing import IO, Any, NoReturn, Protocol

    from runstore.model.artifacts import Artifact, Input
    from runstore.model.logged.media import MediaSeries
    from runstore.model.metric_directions import Direction
    from runstore.model.metrics import MetricSummary, Series
    from runstore.model.outline import SeriesOutline
    from runstore.model.text.kept_output import Output
else:
    Protocol = object


DAMAGED = "damaged"  # shown in place of the status


class RunSource(Protocol):
    """Reads the metrics and files of a run, usually from a store."""

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
        """Return an outline of one metric for plotting."""

    def changes_of_all(self, runs: Sequence[Run]) -> Mapping[str, str]:
        """Return a digest of the code of each run beyond its commit, by uid, if there is any."""

    def artifacts_of(self, run: Run) -> dict[str, Artifact]:
        """Return the artifacts by path."""

    def inputs_of(self, run: Run) -> tuple[Input, ...]:
        """Return the inputs."""

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
        """Return the printed output."""

    def html_of(self, run: Run) -> str:
        """Return the HTML for notebooks."""

    def namesakes_of(self, uids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the uids of other kept runs with the same number, by uid."""

    def directions(self) -> dict[str, Direction]:
        """Return the stored directions of metrics: whether lower or higher is better."""


class Referenced(Protocol):
    """A run, or its uid and reference."""

    @property
    def uid(self) -> str:
        """Identity across machines."""

    @property
    def reference(self) -> str:
        """`<experiment>_<run number>_<timestamp>`."""


class AnyRun(Referenced, Protocol):
    """A run, stored or being executed here."""

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """Its parameter sets."""


class KeptTags(dict[str, str]):
    """The tags of a run as they were read: a copy, so changes are refused instead of lost."""

    __slots__ = ()

    def _refuse(self, *_: Any, **_more: Any) -> NoReturn:
        raise UsageError(
            "These are the tags of a run as it was read, and cannot be changed.",
            kept="Nothing was changed.",
            hint='Write store.tag(run, {"phase": "pilot"}), or copy the tags with dict(run.tags).',
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __missing__(self, key: str) -> NoReturn:
        from runstore.model.display.suggestions import missing_key

        raise missing_key("tag", key, self)

    def __reduce__(self) -> tuple[type[KeptTags], tuple[dict[str, str]]]:
        return type(self), (dict(self),)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run:
    """One execution and its record.

    Attributes:
        uid: Identity across machines, a UUIDv7 as text.
        experiment_name: The experiment.
        run_number: Number within the experiment, from 1.
        reference: `<experiment>_<run number>_<timestamp>`.
        timestamp: Local wall time of the start, as `%Y-%m-%d-T%H%M%S`.
        status: State of the run.
        started_at: Start (UTC).
        ended_at: End (UTC); None while the run is not final. For a lost run, the time it was last
            known to be alive.
        last_seen_at: The last sign of life (UTC); None if there was none.
        parameter_sets: Its parameter sets, in order.
        notes: Notes of the user; None if there are none.
        error: The error's type and message; None if there was none.
        traceback: The full traceback if an exception ended the run.
        exit_code: Exit status of the process or command, if known.
        parent_uid: The run that started this one, if any.
        commit: Full git commit hash; None if unknown.
        workdir_dirty: Whether the work tree had changes; None if unknown.
        cli: The command line, quoted for a shell.
        full_store: Whether the run has a folder of plain files under `runs/`.
        reproduce: The command that repeats a full store's run from its own artifacts.
        process: The process that executes it; None for an imported run.
        facts: Facts captured at the start.
        block: The metadata block as written by another tool, JSON text; None for our own runs.
        deleted_at: When it was moved to the trash (UTC); None for a kept run.
        tags: Tags with their values; an empty string for a tag without a value.
        damaged: Parts of the run that cannot be read, such as `facts` or `parameters small`, and
            have placeholders here; run `runstore doctor` for details.
        source: The store that the run was read from, to read its metrics and files.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", KeptTags(self.tags))

    def __hash__(self) -> int:
        return hash(self.uid)

    if not TYPE_CHECKING:  # type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            """Raise an error with the likely name for an attribute that a run does not have."""
            from runstore.model.habits import no_such_field

            raise no_such_field(name, dir(type(self)), lambda: self.params)

    @property
    def metrics(self) -> dict[str, MetricSummary]:
        """Summaries by key; metrics of a parameter set have the key `<set>/<key>`.

        If the run itself has a metric of that name, the key is `<set>/<key> (set <set>)`.
        """
        from runstore.model.logged.metric_names import names_of
        from runstore.model.results.lists import MetricsByName

        found = self.source.metrics_of(self) if self.source else ()
        names = names_of([(one.set_name, one.key) for one in found])
        return MetricsByName(zip(names, found, strict=True))

    def metric(self, key: str, set_name: str | None = None) -> Series:
        """Return the points of one metric, up to the last one logged.

        Args:
            key: Its key, or its name in `metrics`: `<set>/<key>` for that of a parameter set.
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
        """Return the first, smallest, largest and last value of a metric in each section.

        Use this for plots: the cost depends on `stretches`, not on the number of points.

        Args:
            key: Its key, or its name in `metrics`, as for `metric`.
            set_name: The parameter set it belongs to; None for the run itself.
            stretches: Resolution, 1 to 10,000: a section is at most this fraction of the window
                wide, which gives fewer than twice as many sections. A window with no more points
                than that is returned point by point.
            x: The x axis: `step`; `relative`, seconds since the start of the run; or `time`,
                seconds since 1970 (UTC).
            begin: Beginning of the window on this axis; None for the first point.
            end: End of the window; None for the last point.

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
        """The data recorded as its inputs, including artifacts of other runs."""
        return self._source.inputs_of(self)

    @property
    def output(self) -> Output:
        """The printed lines that were kept, in order.

        They are read on each iteration.
        """
        return self._source.output_of(self)

    def open(
        self,
        path: str | Artifact | PathLike[str],
        mode: str = "rb",
        *,
        encoding: str | None = None,
    ) -> IO[Any]:
        """Open an artifact for reading, after verifying its contents.

        Inside another run, the artifact is recorded as an input of that run.

        Args:
            path: The artifact, or its path.
            mode: `rb` for bytes, `r` for text.
            encoding: Encoding of text (default: UTF-8).

        Raises:
            NotFoundError: There is no such artifact, or its contents are missing.
            StoreCorruptError: The contents were changed or damaged.
        """
        return self._source.open_artifact(self, path, mode, encoding)

    def read_bytes(self, path: str | Artifact | PathLike[str]) -> bytes:
        """Return the contents of an artifact, after verifying them; see `open`."""
        with self.open(path) as file:
            return bytes(file.read())

    def download(
        self,
        path: str | Artifact | PathLike[str] | None = None,
        to: str | PathLike[str] = ".",
        *,
        link: bool = False,
    ) -> tuple[Path, ...]:
        """Write artifacts to a folder, each atomically, replacing existing files.

        Inside another run, the artifacts are recorded as inputs of that run.

        Args:
            path: An artifact, its path, or a folder of them; None for all.
            to: The folder to write to; created if it does not exist.
            link: Create hard links to the store's files if the disk allows it; they are read-only.

        Returns:
            The files written.

        Raises:
            NotFoundError: There is no such artifact, or its contents are missing.
            StoreCorruptError: Contents were changed or damaged; all others were written.
        """
        return self._source.download(self, path, to, link=link)

    @property
    def _source(self) -> RunSource:
        if self.source is None:
            raise NotFoundError(f"{self.reference} was not read from a store.")
        return self.source

    @property
    def hostname(self) -> str | None:
        """The machine it ran on."""
        return self.process.hostname if self.process else None

    @property
    def params(self) -> Mapping[str, Any]:
        """Values of the only parameter set, or of each set by its name.

        If the run has one set, this is that set's values: `run.params["lr"]`. If it has several,
        this is a mapping from set name to values. It is a new copy on each call, and changing it
        does not change the run; `ActiveRun.params` records assignments.
        """
        return values_of(self.parameter_sets)

    @property
    def param_files(self) -> tuple[str, ...]:
        """Names of the parameter files, each once, in order."""
        return tuple(dict.fromkeys(s.file for s in self.parameter_sets if s.file is not None))

    @property
    def duration(self) -> timedelta | None:
        """Time from start to end; None while the run is not final, or if it cannot be read."""
        if self.ended_at is None or not {"started_at", "ended_at"}.isdisjoint(self.damaged):
            return None
        return self.ended_at - self.started_at

    @property
    def status_text(self) -> str:
        """The status for display: `damaged` if part of the run cannot be read."""
        return DAMAGED if self.damaged else self.status.value

    def silent_for(self, now: datetime) -> timedelta | None:
        """Return the time since the last sign of life; None for a run that has ended.

        Args:
            now: The present, with a time zone.

        Raises:
            UsageError: It is not a datetime, or has no time zone.
        """
        now = arguments.time(now, "now")
        if self.status.is_final:
            return None
        return now - (self.last_seen_at or self.started_at)

    def __repr__(self) -> str:
        return f"<Run {self.reference!r} {self.status_text}>"

    def summary(self) -> Iterator[tuple[str, str]]:
        """Yield label and text of the most important facts, without unknown ones."""
        yield "run", self.reference
        yield "status", self.status_text
        yield "started", start_text(self)
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
        """Yield the parts for `rich`, which calls this method. Source: rich 13, Repr protocol."""
        yield from self.summary()

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        from runstore.model.display.html import html_table

        return self.source.html_of(self) if self.source else html_table((), self.summary())


def _refuse_assignment(_run: Run, name: str, _value: Any) -> None:
    from runstore.model.habits import not_assigned

    raise not_assigned(name)


# A frozen dataclass cannot define the method itself.
Run.__setattr__ = _refuse_assignment  # type: ignore[assignment]


def start_text(run: Run, written: Callable[[datetime], str] = local_time) -> str:
    """Return the start of a run for display: `damaged` if it cannot be read."""
    return DAMAGED if "started_at" in run.damaged else written(run.started_at)


def status_word(run: Run) -> str:
    """Return the status of a run for programs: `damaged` if it cannot be read."""
    return DAMAGED if "status" in run.damaged else run.status.value


def time_of(run: Run, name: str) -> datetime | None:
    """Return a time of a run for programs, such as `started_at`; None if it cannot be read."""
    at: datetime | None = None if name in run.damaged else getattr(run, name)
    return at


def values_of(sets: Sequence[ParameterSet]) -> Mapping[str, Any]:
    """Return the values of the only set, or of each set by its name; see `Run.params`."""
    return sets[0].values if len(sets) == 1 else {one.name: one.values for one in sets}


def read_from(run: Run, source: RunSource) -> Run:
    """Connect a new run to the source of its metrics and files, and return it."""
    object.__setattr__(run, "source", source)
    return run
