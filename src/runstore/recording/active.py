"""ActiveRun: a run that this process executes; a context manager, decorator or plain object."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from runstore import current
from runstore.config import current_author
from runstore.errors import (
    ConflictError,
    UsageError,
    shown,
)
from runstore.model import arguments
from runstore.model.once import once
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.model.values import check_text
from runstore.recording import live_runs
from runstore.recording.execution import Execution, StartedRun
from runstore.recording.outcome import reported_ending
from runstore.recording.readiness import EDITS, LOGGING, MEDIA, PARAMS, be_ready
from runstore.storage.backend import Backend
from runstore.user_warnings import afterwards, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from datetime import datetime
    from typing import Any, Protocol, TypeVar

    from runstore.analysis.reruns.lookup import Earlier
    from runstore.model.artifacts import Artifact, Input
    from runstore.model.run import Run
    from runstore.recording.mappings import Params, Tags
    from runstore.recording.media_log import MediaLog
    from runstore.recording.points.channel import Channel

    F = TypeVar("F", bound=Callable[..., Any])
else:
    Protocol = object


class LogMetrics(Protocol):
    """The signature of `ActiveRun.log`."""

    def __call__(
        self,
        metrics: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | None = None,
        time: Any = None,
        **more: Any,
    ) -> None:
        """Log one value of each of these metrics."""


# The attributes that a run object sets itself.
_ASSIGNED = frozenset({
    "store", "uid", "reference", "experiment_name", "run_number", "timestamp", "started_at",
    "earlier", "execution",
})  # fmt: skip


class ActiveRun:
    """A run that this process is executing.

    Leaving the `with` block records `complete`; an exception is recorded as `error` with its
    traceback and re-raised; Ctrl-C, SIGTERM and cancelled tasks are `interrupted`, and Optuna's
    `TrialPruned` is `pruned`. With a plain object, call `finish()`, or set `ends_with_process`.
    A decorator makes each call of the function a separate run.

    Attributes:
        store: The `Store` of the run; None in a process that only logs to it.
        uid: Identity across machines.
        reference: `<experiment>_<run number>_<timestamp>`.
        experiment_name: The experiment of the run.
        run_number: Number within the experiment.
        timestamp: Local time of the start, as in the reference.
        started_at: Start (UTC).
        earlier: The earlier runs of the same work, if `if_done` required a lookup; else None.
        execution: For internal use; not part of the public API.
    """

    store: Any
    uid: str
    reference: str
    experiment_name: str
    run_number: int
    timestamp: str
    started_at: datetime
    earlier: Earlier | None
    _execution_class = Execution

    def __init__(
        self, backend: Backend, run: Run | StartedRun, *, store: Any = None, is_owner: bool = True
    ) -> None:
        # The check of each assignment would take a third of this function's time.
        self.__dict__.update(
            store=store,
            uid=run.uid,
            reference=run.reference,
            experiment_name=run.experiment_name,
            run_number=run.run_number,
            timestamp=run.timestamp,
            started_at=run.started_at,
            earlier=None,
            _notes=run.notes,
            _backend=backend,
        )
        self.execution = self._execution_class(backend, run, self, is_owner=is_owner)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; an unknown name is an error, as its value would be lost."""
        if name in _ASSIGNED or name.startswith("_") or type(self) is not ActiveRun:
            super().__setattr__(name, value)
            return
        of_class = getattr(ActiveRun, name, None)
        if of_class is None or (isinstance(of_class, property) and of_class.fset is None):
            from runstore.model.habits import no_such_assignment

            raise no_such_assignment(name, self._names())
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """Raise an error for an unknown attribute, with the nearest name."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        from runstore.model.habits import no_such_attribute

        raise no_such_attribute(name, self._names(), lambda: self.params)

    if not TYPE_CHECKING:  # type checkers would accept it

        def __setitem__(self, key: object, value: object) -> None:
            """Raise an error with the method that logs a metric."""
            raise TypeError(
                "A run has no items to assign."
                f" Use run.log({{{shown(key)}: {shown(value)}}}),"
                f" or run.params[{shown(key)}] = {shown(value)}."
            )

    def _names(self) -> list[str]:
        return [name for name in dir(self) if not name.startswith("_")]

    def __repr__(self) -> str:
        return f"<ActiveRun {self.reference!r} {self.status.value}>"

    def _repr_html_(self) -> str | None:
        """Return the run as HTML; notebooks call this."""
        from runstore.errors import RunstoreError
        from runstore.reading.names import kept_run

        try:
            return kept_run(self._backend, self.uid)._repr_html_()
        except RunstoreError:  # the store is gone: the plain text still shows which run it is
            return None

    # Copies: the same object in this process; an object to log to the same run in another

    def __copy__(self) -> ActiveRun:
        return self

    def __deepcopy__(self, _memo: object) -> ActiveRun:
        return self

    def __reduce__(self) -> tuple[Callable[..., ActiveRun], tuple[Any, ...]]:
        started = StartedRun(*(getattr(self, name) for name in StartedRun._fields))
        return join, (self._backend, started, self.store)

    @property
    def status(self) -> Status:
        """The status, as last recorded through this object."""
        return self.execution.status

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """The parameter sets of the run."""
        return self.execution.parameter_sets

    @property
    def params(self) -> Params:
        """Parameters of the run, or by name of each parameter set; see `Run.params`.

        Assignments are recorded: `run.params["seed"] = 7` or
        `run.params.update(seed=7, epochs=3)` adds parameters. A different value for an existing
        parameter is a `ConflictError`; `run.params.replace({"seed": 8})` changes it.
        """
        be_ready(PARAMS)
        from runstore.recording.mappings import Params

        return Params(self.execution, self.execution.values_of_set(None))

    @params.setter
    def params(self, params: Params) -> None:
        """Allow `run.params |= {...}`, which has already recorded the values."""
        from runstore.recording.mappings import Params

        if not (isinstance(params, Params) and params.is_of(self.execution)):
            from runstore.model.habits import no_such_assignment

            raise no_such_assignment("params", ())

    @property
    def ends_with_process(self) -> bool:
        """Whether an unfinished run is `complete` if its process ends without an error.

        This suits callbacks and loggers. By default, such a run is `lost`.
        """
        return self.execution.ends_with_process

    @ends_with_process.setter
    def ends_with_process(self, ends: bool) -> None:
        self.execution.ends_with_process = ends

    @property
    def record(self) -> Run:
        """The recorded run as it is now, even if it is in the trash."""
        from runstore.reading.names import record_of

        return record_of(self._backend, self.uid)

    def edit(self, *, notes: str | None) -> None:
        """Replace the notes, with an event. Durable on return.

        If the database cannot be written, the notes are kept in the spool, a `StoreWarning` shows
        the location, and the program continues.

        Raises:
            InvalidValueError: The notes are not text, or too long.
        """
        be_ready(EDITS)
        self._notes = check_text(notes, "notes")
        self.execution.recorder.note(self.uid, self._notes, current_author())

    def add_params(
        self, params: Any = None, /, *, set_name: str | None = None, **more: Any
    ) -> None:
        """Add parameters to the run, with an event. Durable on return.

        `run.add_params({"seed": 7})` or `run.add_params(seed=7)`. Adding a parameter again with
        the same value has no effect; nested mappings are merged.

        If the database cannot be written, the parameters are kept in the spool, a `StoreWarning`
        shows the location, and the program continues.

        Args:
            params: A mapping, a dataclass, or an object with attributes.
            set_name: The parameter set to change, for a run with several.
            more: Parameters as keyword arguments.

        Raises:
            ConflictError: A parameter already has a different value.
            InvalidValueError: A value cannot be stored; the message names it.
            UsageError: There is no such set, or the run has several and none was named.
        """
        set_name = arguments.text_or_none(set_name, "set_name", "wide")
        for one in (params, more or None):
            if one is not None:
                self.execution.add_params(one, set_name)

    @property
    def notes(self) -> str | None:
        """The notes, as last recorded through this object; `run.notes = "…"` replaces them."""
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self.edit(notes=notes)

    @property
    def tags(self) -> Tags:
        """The tags, a mapping that records assignments: `run.tags["phase"] = "pilot"`.

        `run.tags = {"phase": "pilot"}` or `run.tags = ["keep"]` replaces them all.
        """
        return self.execution.tags

    @tags.setter
    def tags(self, tags: Mapping[str, Any] | Iterable[str]) -> None:
        self.execution.tags.replace(tags)

    # Artifacts

    def save(
        self, name: Any, source: Any = None, *, media_type: str | None = None
    ) -> tuple[Artifact, ...]:
        """Keep a file or an object with the run; durable on return.

        `run.save("model.pt", "out/model.pt")`, `run.save("out/model.pt")`,
        `run.save("loss.png", figure)`. Saving under the same name again replaces the artifact.

        Args:
            name: Name of the artifact: a relative path with `/`.
            source: A path (text or `Path`) of a file or a folder; a text of several lines;
                bytes; a binary stream; a figure (matplotlib, plotly), table (pandas, polars,
                pyarrow), image (Pillow), array (numpy), tensor (torch) or model, written in
                the format of the name's suffix; or any object if the name ends with `.json`,
                `.yaml`, `.pkl`, `.joblib`, `.pt`, `.ckpt`, `.safetensors` or `.npz`. By default,
                the name is the path.
            media_type: Media type; by default that of the name's suffix.

        Returns:
            The saved artifacts, one for each file of a folder. If the disk cannot be written,
            a `StoreWarning` is shown and the program continues.

        Raises:
            InvalidValueError: The name is outside the run, or the object cannot be saved in this
                format.
            NotFoundError: There is no such file.
        """
        return self.execution.recorder.artifacts.save(
            self.uid, name, source, media_type=media_type
        )

    def log_text(self, key: str, text: str | Sequence[str], *, step: int | None = None) -> None:
        """Log a text at a step, or several: samples, transcripts, prompts.

        The text is saved as the artifact `media/text/<key>/<step>.txt`; `Run.media` reads it.
        Durable on return, which takes a few milliseconds.

        Args:
            key: The key.
            text: The text, or a list of texts.
            step: The step; by default counted from 0 for each key.

        If the text cannot be logged, a `StoreWarning` is shown, or an error is raised if
        `is_strict` is set.
        """
        self._media.text(key, text, step)

    def log_image(self, key: str, image: Any, *, step: int | None = None) -> None:
        """Log an image at a step, or several; see `log_text`.

        Args:
            key: The key.
            image: An array or tensor of pixels, an image of Pillow, a figure, the path of a
                file, its bytes, or a list of these.
            step: The step; by default counted from 0 for each key.
        """
        self._media.image(key, image, step)

    def log_histogram(
        self,
        key: str,
        values: Any,
        *,
        step: int | None = None,
        bins: int | Sequence[float] = 64,
    ) -> None:
        """Log a histogram of values at a step; see `log_text`.

        Args:
            key: The key.
            values: An array, a tensor, numbers, or a `Histogram`.
            step: The step; by default counted from 0 for each key.
            bins: The number of bins, or their edges.
        """
        self._media.histogram(key, values, step, bins)

    @functools.cached_property
    def _media(self) -> MediaLog:
        be_ready(MEDIA)
        from runstore.recording.media_log import MediaLog

        return MediaLog(self.execution.recorder.artifacts, self.uid, lambda: self.is_strict)

    def use(self, source: Any, name: str | None = None, *, digest: bool | str = True) -> Input:
        """Record an input of the run, without copying it: a file, a folder or a URL.

        Args:
            source: A path, a URL, or an artifact of another run.
            name: Name of the input; by default the source as passed.
            digest: Whether to compute the SHA-256 of a file, which is done only once unless the
                file changes; or the digest itself, if it is known.

        Returns:
            The input; `source_uid` is the run that saved it, if known.

        Raises:
            NotFoundError: There is no such file, or it cannot be read.
            InvalidValueError: The path is empty.
        """
        return self.execution.recorder.inputs.use(self.uid, source, name, digest=digest)

    # Output

    def keep_output(self, *, mask_output: bool | None = None) -> None:
        """Keep the output of Python code in this process, from now until the run ends.

        Args:
            mask_output: Whether to mask secrets in the output, and in the records of
                `attach_logging`; by default the setting `mask-output` of the project. Only the
                first call sets this.
        """
        self.execution.kept_output(mask_output=mask_output).keep_streams()

    def attach_logging(
        self, logger: logging.Logger | str | None = None, *, level: int | str = 0
    ) -> None:
        """Keep records of the `logging` module with the run's output, until the run ends.

        Args:
            logger: The logger, or its name; by default the root logger.
            level: Lowest level to keep, such as 30 or `WARNING`; the logger's own level applies
                as well.
        """
        be_ready(LOGGING)
        import logging

        if not isinstance(logger, logging.Logger):
            logger = logging.getLogger(
                arguments.text_or_none(logger, "logger", "training") or None
            )
        if isinstance(level, str):
            level = logging.getLevelName(level.upper())  # its number, by its name
        level = arguments.count(level, "level", 0)
        self.execution.kept_output().keep_logging(logger, level)

    # Metrics

    @once
    def log(self) -> LogMetrics:
        """Log one value of each of these metrics; safe from `kill -9` on return.

        `run.log(loss=0.3)` or `run.log({"val/loss": 0.4}, step=10)`.

        Args:
            metrics: Values by key: numbers, including scalars of numpy, torch and similar.
            step: The step; by default counted from 0 for each key.
            time: Seconds since 1970, or an aware datetime; by default now.
            more: Values as keyword arguments.

        If a value cannot be logged (it is not a number, its key is too long, the run has ended), a
        `StoreWarning` is shown and the program continues; if `is_strict` is set, an
        `InvalidValueError` or a `RunFinishedError` is raised.
        """
        # Cached at the first use: each extra call slows loops down.
        return self.execution.channel(-1).log

    def log_points(
        self,
        key: str,
        values: Iterable[Any],
        *,
        steps: Iterable[int] | None = None,
        times: Iterable[Any] | None = None,
    ) -> None:
        """Log many points of one metric at once.

        Args:
            key: The metric's key.
            values: Numbers, one per point: a list, an array, a numpy array.
            steps: One per point; by default counted from the last step.
            times: One per point; by default the current time for all.

        Raises:
            InvalidValueError: The columns differ in length; nothing was logged.
        """
        self.execution.channel(-1).log_points(key, values, steps=steps, times=times)

    def rewind(self, step: int) -> int:
        """Delete all points from a step onwards, to log them again from a checkpoint.

        Use it in a resumed run: points logged between the last checkpoint and the end of the run
        would otherwise be recorded twice. Points of all metrics with this step or a later one are
        permanently deleted, from all processes, except for system metrics (`system/`). An event
        records their number. Media and files are kept. Points that other processes log meanwhile
        may be kept.

        Args:
            step: The first step to log again.

        Returns:
            The number of deleted points.

        Raises:
            InvalidValueError: The value is not a valid step.
            RunFinishedError: The run has ended.
            StoreError: The database could not be written; nothing was deleted.
        """
        from runstore.model.logged.values import metric_step

        return self.execution.rewind(metric_step(step))

    def of_set(self, name: str) -> Channel:
        """Return an object to log metrics of a parameter set: `run.of_set("wide").log(loss=0.3)`.

        Raises:
            UsageError: The run has no set of this name.
        """
        name = arguments.text(name, "name", "wide")
        names = [one.name for one in self.parameter_sets]
        if name not in names:
            raise UsageError(
                f"{self.reference} has no parameter set {shown(name)}.",
                hint=f"It has: {', '.join(names) or 'none'}.",
            )
        return self.execution.channel(names.index(name))

    @property
    def is_strict(self) -> bool:
        """Whether a metric that cannot be logged raises an error instead of a warning."""
        return self.execution.is_strict

    @is_strict.setter
    def is_strict(self, is_strict: bool) -> None:
        self.execution.is_strict = is_strict

    # Ending

    def finish(
        self,
        status: Status | str | None = None,
        *,
        error: BaseException | str | None = None,
        traceback: TracebackType | str | None = None,
        exit_code: int | None = None,
    ) -> None:
        """End the run; durable on return. Ending it a second time is a `StoreWarning`.

        If the database cannot be written (a full disk, a missing folder), the end is kept in the
        spool, a `StoreWarning` shows the location, and the program continues.

        Args:
            status: `complete`, `pruned`, `error` or `interrupted`. By default, the status for an
                exception passed as `error`; `error` if there is an error text, a traceback or an
                exit status other than 0; otherwise `complete`.
            error: The error, as an exception or a few lines of text. With status `error` in an
                `except` block, the default is the current exception.
            traceback: The full traceback; by default that of the exception.
            exit_code: Exit status; by default 0 for a complete or pruned run and 1 for an error.

        Raises:
            UsageError: The status is not an end that a run can report.
        """
        reports = reported_ending(status, error, traceback, exit_code)
        if self.execution.is_end_written:
            if not self.execution.was_ended_by_exit:
                warn(
                    f"The run {self.reference} has already ended, as {self.status}. Its record was"
                    " not changed."
                )
            return
        self.execution.write_end(*reports)

    # Context manager and decorator

    def __enter__(self) -> ActiveRun:
        if self.status.is_final:
            raise ConflictError(
                f"The run {self.reference} has already ended.",
                hint=f"To continue it: runstore.start_run(resume={self.reference!r}).",
            )
        self.execution.is_block = True
        current.enter(self.execution)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with afterwards.leaving(error), live_runs.Undisturbed():
            self.execution.is_block = False
            current.leave(self.execution)
            # Python closes suspended generators after their runs were ended by the process's exit.
            is_too_late = kind is GeneratorExit and live_runs.is_over()
            if not (self.execution.is_end_written or is_too_late):
                self.execution.end_by(error)

    def __call__(self, function: F) -> F:
        """Make every call of the function a separate run, with the arguments of `start_run`.

        This run is removed without a trace. `@start_run(...)` and `@recorded(...)` do not start
        one.
        """
        again = self.execution.again
        if not callable(function):
            raise UsageError(
                f"The run {self.reference} was called with {shown(function)}.",
                kept="It was not changed.",
                hint="Only functions can be decorated: @runstore.start_run(...).",
            )
        self.execution.withdraw()
        if again is None:
            raise UsageError(
                "Only the result of start_run(...) can decorate a function, and not with"
                " if_done='skip' or 'error'.",
                kept="No run was recorded.",
                hint="Call start_run within the function.",
            )

        from runstore.recording.recorded_functions import run_per_call

        return run_per_call(function, again)  # type: ignore[no-any-return]


# One object for each run that this process joined, as steps are counted only once.
_joined: dict[str, ActiveRun] = {}


def join(backend: Backend, run: Run | StartedRun, store: Any = None) -> ActiveRun:
    """Return this process's object for logging to a run; it never fails.

    Args:
        backend: The store; it need not be open yet.
        run: The run.
        store: The `Store`, if this process has opened it.
    """
    mine = live_runs.running(run.uid)
    if isinstance(mine, Execution) and isinstance(mine.run, ActiveRun):
        return mine.run
    known = _joined.get(run.uid)
    if known is None or (known.status.is_final and not run.status.is_final):
        known = _joined[run.uid] = ActiveRun(backend, run, store=store, is_owner=False)
    return known


def current_run() -> ActiveRun | None:
    """Return the current run, or None.

    It is the run whose `with` block or decorated function surrounds the call, or an unfinished
    plain object from `start_run`. A thread without one uses the run of the main thread. In another
    process, unless it was forked, there is none: pass the run to it, or call `attach_run` there.
    """
    execution: Any = current.innermost()
    return None if execution is None else execution.run
