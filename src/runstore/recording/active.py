"""ActiveRun: a run that this process executes, as context manager, decorator or plain object."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from runstore import current
from runstore.capture.machine.process import current_process, is_gone
from runstore.config import current_author
from runstore.errors import (
    ConflictError,
    RunstoreError,
    StoreError,
    UsageError,
)
from runstore.model import arguments
from runstore.model.once import once
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.model.values import check_text
from runstore.recording import live_runs
from runstore.recording.outcome import Ending, kept_text, reported_ending, status_of, told_by
from runstore.recording.readiness import LOGGING, MEDIA, POINTS, Later, be_ready
from runstore.recording.recorder import Recorder
from runstore.storage.backend import Backend
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn

if TYPE_CHECKING:
    import logging

    from runstore.analysis.reruns.lookup import Earlier
    from runstore.capture.program.files import Loading
    from runstore.model.artifacts import Artifact, Input
    from runstore.model.run import Run
    from runstore.recording.media_log import MediaLog
    from runstore.recording.metric_log import Channel, PointLog
    from runstore.recording.output.python import KeptOutput
    from runstore.recording.tags import Tags

F = TypeVar("F", bound=Callable[..., Any])


class LogMetrics(Protocol):
    """How metrics are logged; see `ActiveRun.log`."""

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


class Begun(NamedTuple):
    """What is known of a run that has just begun; a whole `Run` takes longer to make."""

    uid: str
    reference: str
    experiment_name: str
    run_number: int
    timestamp: str
    started_at: datetime
    parameter_sets: tuple[ParameterSet, ...]
    notes: str | None
    status: Status


class ActiveRun:
    """A run that has started and is being executed here.

    Leaving the `with` block writes `complete`; an exception is recorded as `error` with its
    traceback and re-raised; Ctrl-C, SIGTERM and cancelled tasks are `interrupted`, and Optuna's
    `TrialPruned` is `pruned`. As a plain object, call `finish()`, or set `ends_with_process`. As a
    decorator, each call of the function is a run of its own.

    Attributes:
        store: The `Store` that keeps the run; None in a process that only logs to it.
        store_path: The folder of the store.
        uid: Identity across machines.
        reference: `<experiment>_<run number>_<timestamp>`.
        experiment_name: What the run is grouped under.
        run_number: Number within the experiment.
        timestamp: Local wall time of the start, as references carry it.
        started_at: Start (UTC).
        parameter_sets: The sets it runs.
        notes: Prose of the user, as last written through this object.
        status: As last written through this object.
        earlier: What was run before, where `if_done` had it looked up; else None.
        ends_with_process: Whether the run is `complete` if its process ends in good order and
            nobody has ended it, which suits callbacks and loggers; otherwise it is `lost`.
    """

    # Whether what is logged after its end continues it.
    _can_reopen = True

    def __init__(
        self, backend: Backend, run: Run | Begun, *, store: Any = None, is_owner: bool = True
    ) -> None:
        self.store = store
        self.store_path = backend.path
        self._backend = backend
        self._recorder = backend.part(Recorder)
        self.uid = run.uid
        self.reference = run.reference
        self.experiment_name = run.experiment_name
        self.run_number = run.run_number
        self.timestamp = run.timestamp
        self.started_at: datetime = run.started_at
        self.parameter_sets: tuple[ParameterSet, ...] = run.parameter_sets
        self.notes = run.notes
        self.status = run.status
        self.earlier: Earlier | None = None
        self._again: Callable[[], ActiveRun] | None = None
        # Whose end is the run's; a copy in another process only logs to it.
        self._pid = os.getpid() if is_owner else None
        self._process = current_process() if is_owner else None
        # The run whose block this one was started in; see `current.py`.
        self.surrounding: ActiveRun | None = None
        self.was_current = False
        self.is_block = False
        # Started here: nothing was logged to it before.
        self._is_new = is_owner and isinstance(run, Begun)
        self._points: PointLog | None = None
        self._held: dict[int, Later] = {}
        self._output: KeptOutput | None = None
        self._has_output = False
        self.has_cells = False  # whether a notebook's cells are kept with it
        self._is_strict = False
        self._is_end_written = run.status.is_final
        self._was_ended_by_exit = False
        # What the program loads of its own modules; None if nothing is captured.
        self.loading: Loading | None = None
        # A mapping that was empty at the start: the program fills it later.
        self.params_to_come: MutableMapping[Any, Any] | None = None
        self.ends_with_process = False
        if is_owner:
            live_runs.begin(self)

    def __repr__(self) -> str:
        return f"<ActiveRun {self.reference!r} {self.status.value}>"

    # Copies: the same object in this process, and one that logs to the same run in another

    def __copy__(self) -> ActiveRun:
        return self

    def __deepcopy__(self, _memo: object) -> ActiveRun:
        return self

    def __reduce__(self) -> tuple[Callable[..., ActiveRun], tuple[Any, ...]]:
        begun = Begun(*(getattr(self, name) for name in Begun._fields))
        return join, (self._backend, begun, self.store)

    @property
    def record(self) -> Run:
        """The run as it is kept now, also while it is in the trash."""
        from runstore.reading.names import record_of

        return record_of(self._backend, self.uid)

    def edit(self, *, notes: str | None) -> None:
        """Replace the notes; leaves an event. Durable on return.

        Where the database does not take them, they are kept in the spool, a `StoreWarning` says
        where, and the program goes on.

        Raises:
            InvalidValueError: They are no text, or too long.
        """
        be_ready()
        self.notes = check_text(notes, "notes")
        self._recorder.note(self.uid, self.notes, current_author())

    def add_params(
        self, params: Any = None, /, *, set_name: str | None = None, **more: Any
    ) -> None:
        """Add parameters that are known only now; leaves an event. Durable on return.

        `run.add_params({"seed": 7})` or `run.add_params(seed=7)`. A parameter that the run has
        with the same value is no conflict; nested mappings are merged.

        If the database does not take them, they are kept in the spool, a `StoreWarning` says
        where, and the program goes on.

        Args:
            params: A mapping, a dataclass, or an object with attributes.
            set_name: The parameter set that gets them, for a run that has several.
            more: Values whose keys are names.

        Raises:
            ConflictError: A parameter has another value already.
            InvalidValueError: A value cannot be stored; it is named.
            UsageError: There is no such set, or one of several is not named.
        """
        be_ready()
        from runstore.model.params.added import with_added
        from runstore.model.params.build import parameter_set

        for added in [parameter_set(one) for one in (params, more or None) if one is not None]:
            # Refused here if it must be: a record in the spool has nobody to tell.
            now = with_added(self.parameter_sets, added, set_name)
            kept = self._recorder.add_params(self.uid, added, set_name, current_author())
            self.parameter_sets = kept or now

    def _take_params_to_come(self) -> None:
        """Take what the program has put into the mapping that was empty at the start."""
        known = self.parameter_sets[0].values if self.parameter_sets else {}
        found = dict(self.params_to_come or {})
        new = {key: value for key, value in found.items() if key not in known}
        if new:
            try:
                self.add_params(new)
            except RunstoreError as error:
                warn(f"{error} These parameters were not kept: {', '.join(map(str, new))}.")

    @once
    def tags(self) -> Tags:
        """Its tags, a mapping that writes through: `run.tags["phase"] = "pilot"`."""
        be_ready()
        from runstore.recording.tags import Tags

        known: Mapping[str, str] = {}
        with suppress(RunstoreError):  # of a store that cannot be read, nothing is known
            known = self._backend.edits.tags_of(self.uid)
        return Tags(self._recorder, self.uid, known)

    # Artifacts

    def save(
        self, name: Any, source: Any = None, *, media_type: str | None = None
    ) -> tuple[Artifact, ...]:
        """Keep a file or an object with the run; durable on return.

        `run.save("model.pt", "out/model.pt")`, `run.save("out/model.pt")`,
        `run.save("loss.png", figure)`. Saving under the same name again replaces it.

        Args:
            name: What it is called in the run: a relative path with `/`.
            source: A path (text or `Path`) of a file or a folder; a text of several lines;
                bytes; a binary stream; a figure (matplotlib, plotly), table (pandas, polars,
                pyarrow), image (Pillow), array (numpy), tensor (torch) or model, written as the
                name's suffix says; or any object whose name ends with `.json`, `.yaml`, `.pkl`,
                `.joblib`, `.pt`, `.ckpt`, `.safetensors` or `.npz`. Left out, the name is the
                path.
            media_type: What it is; by default told by the name's suffix.

        Returns:
            What was saved, one for each file of a folder. A disk that does not take it is a
            `StoreWarning`, and the program goes on.

        Raises:
            InvalidValueError: The name leads out of the run, or nothing can write such a thing.
            NotFoundError: There is no such file.
        """
        return self._recorder.artifacts.save(self.uid, name, source, media_type=media_type)

    def log_text(self, key: str, text: str | Sequence[str], *, step: int | None = None) -> None:
        """Log a text at a step, or several: samples, transcripts, prompts.

        It is an artifact, `media/text/<key>/<step>.txt`; `Run.media` reads it. Durable on
        return, which takes some milliseconds.

        Args:
            key: Its key.
            text: The text, or a list of texts.
            step: The step; by default each key counts its own, from 0.

        What cannot be logged is a `StoreWarning`, or an error if `is_strict` is set.
        """
        self._media.text(key, text, step)

    def log_image(self, key: str, image: Any, *, step: int | None = None) -> None:
        """Log an image at a step, or several; see `log_text`.

        Args:
            key: Its key.
            image: An array or tensor of pixels, an image of Pillow, a figure, the path of a
                file, its bytes, or a list of these.
            step: The step; by default each key counts its own, from 0.
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
        """Log how values are distributed at a step; see `log_text`.

        Args:
            key: Its key.
            values: An array, a tensor, numbers, or a `Histogram`.
            step: The step; by default each key counts its own, from 0.
            bins: The number of bins, or their edges.
        """
        self._media.histogram(key, values, step, bins)

    @functools.cached_property
    def _media(self) -> MediaLog:
        be_ready(MEDIA)
        from runstore.recording.media_log import MediaLog

        return MediaLog(self._recorder.artifacts, self.uid, lambda: self._is_strict)

    def use(self, source: Any, name: str | None = None, *, digest: bool | str = True) -> Input:
        """Note data that the run reads and that stays where it is: a file, a folder, a URL.

        Args:
            source: A path, a URL, or an artifact of another run.
            name: What the run calls it; by default as it was given.
            digest: Whether to read a file for its SHA-256, which is done once as long as the
                file stays the same; or the digest itself, where it is known.

        Returns:
            What is known of it; `source_uid` tells which run had saved it.

        Raises:
            NotFoundError: There is no such file.
        """
        return self._recorder.artifacts.use(self.uid, source, name, digest=digest)

    # Output

    def keep_output(self, *, mask_output: bool | None = None) -> None:
        """Keep from here on what Python code of this process prints, until the run ends.

        Args:
            mask_output: Whether secrets in it are masked, in the records of `attach_logging` as
                well; by default as `mask-output` of the project's settings says. The first call
                counts.
        """
        self._kept_output(mask_output=mask_output).keep_streams()

    def attach_logging(
        self, logger: logging.Logger | str | None = None, *, level: int | str = 0
    ) -> None:
        """Keep records of the `logging` module with the run's output, until the run ends.

        Args:
            logger: The logger, or its name; by default the root of all.
            level: Keep records from this level on, such as 30 or `WARNING`; the logger's own
                level counts as well.
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
        self._kept_output().keep_logging(logger, level)

    def _kept_output(self, *, mask_output: bool | None = None) -> KeptOutput:
        if self._output is None:
            be_ready(LOGGING)
            from runstore.recording.output.python import KeptOutput

            self._output = KeptOutput(self._backend.spool, self.uid, is_masked=mask_output)
            self._has_output = True
        return self._output

    def has_output(self) -> None:
        """Take in what another process keeps of the output, when the run ends."""
        self._has_output = True

    def _take_output(self) -> None:
        try:
            with_room(lambda: self._recorder.deferred.take_output_of(self.uid))
        except (RunstoreError, OSError, ImportError) as error:
            warn(
                f"{error} The output of {self.reference} is kept in the spool of the store;"
                " it is taken in when it is opened next."
            )

    # Metrics

    @once
    def log(self) -> LogMetrics:
        """Log one value of each of these metrics; safe from `kill -9` on return.

        `run.log(loss=0.3)` or `run.log({"val/loss": 0.4}, step=10)`.

        Args:
            metrics: Values by key: numbers, also scalars of numpy, torch and the like.
            step: The step; by default each key counts its own, from 0.
            time: Seconds since 1970, or an aware datetime; by default now.
            more: Values whose keys are names.

        What cannot be logged (no number, a key of 10 MB, after the end) is a `StoreWarning` and
        the program goes on; where `is_strict` is set, it is an `InvalidValueError` or a
        `RunFinishedError`.
        """
        # Kept at the first use: loops notice each call in between.
        return self.channel(-1).log

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
            steps: One per point; by default counted on.
            times: One per point; by default now, for all.

        Raises:
            InvalidValueError: The columns differ in length; nothing was logged.
        """
        self.channel(-1).log_points(key, values, steps=steps, times=times)

    def rewind(self, step: int) -> int:
        """Remove what was logged from a step on, to log it again from a checkpoint.

        This is for a run that was resumed: what it logged between its last checkpoint and its
        end would otherwise be there twice. Points of all metrics with this step or a later one
        are removed for good, whoever logged them, but not those of the machine (`system/`). An
        event says how many. Media and files stay. What other processes log meanwhile may stay.

        Args:
            step: The first that will be logged again.

        Returns:
            How many points were removed.

        Raises:
            InvalidValueError: It is no step.
            RunFinishedError: The run has ended.
            StoreError: The database could not be written; nothing was removed.
        """
        from runstore.model.logged.values import metric_step

        first = metric_step(step)
        self.channel(-1)
        return 0 if self._points is None else self._points.rewind(first)

    def of_set(self, name: str) -> Channel:
        """Return what logs metrics of one parameter set: `run.of_set("wide").log(loss=0.3)`.

        Raises:
            UsageError: The run has no set of this name.
        """
        names = [one.name for one in self.parameter_sets]
        if name not in names:
            raise UsageError(
                f"{self.reference} has no parameter set {name!r}.",
                hint=f"It has: {', '.join(names) or 'none'}.",
            )
        return self.channel(names.index(name))

    def channel(self, set_index: int) -> Channel:
        """Return what logs for the run (-1) or for the parameter set at this place."""
        if self._points is None:
            try:
                be_ready(POINTS)
            except (OSError, ImportError):
                return self._log_later(set_index)
            if self.params_to_come:
                self._take_params_to_come()
            from runstore.recording.metric_log import PointLog

            points = PointLog(self._backend, self.uid, self.reference, is_new=self._is_new)
            points.run = self
            points.is_strict = self._is_strict
            points.reopen_run = self.reopen
            # Another thread may be here as well; one log serves all.
            self._points = self.__dict__.setdefault("_first_points", points)
            if self.status.is_final:
                self._points.finish()
        return self._points.channel(set_index)

    def _log_later(self, set_index: int) -> Channel:
        later = self._held.setdefault(
            set_index, Later(self.reference, lambda: self.channel(set_index))
        )
        return cast("Channel", later)

    def hand_in(self, *, is_last: bool = False) -> None:
        """Take into the database what this process logged so far; else it happens by itself.

        Args:
            is_last: Whether this process logs no more to the run of another one.
        """
        if self._points is not None:
            self._points.hand_in(is_last=is_last)

    @property
    def is_strict(self) -> bool:
        """Whether a metric that cannot be logged is an error; else it is a warning."""
        return self._is_strict

    @is_strict.setter
    def is_strict(self, is_strict: bool) -> None:
        self._is_strict = is_strict
        if self._points is not None:
            self._points.is_strict = is_strict

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

        If the database does not take it (a full disk, a vanished folder), the end is kept in
        the spool, a `StoreWarning` says where, and the program goes on.

        Args:
            status: `complete`, `pruned`, `error` or `interrupted`. By default, what leaving a
                block with the exception `error` stands for; `error` if there is another text, a
                traceback or an exit status other than 0; otherwise `complete`.
            error: What went wrong: a line or a few, or an exception. An `error` within an
                `except` block is the exception that is handled.
            traceback: The full traceback; by default that of the exception.
            exit_code: Exit status; when not given, 0 for a complete or pruned run and 1 for an
                error.

        Raises:
            UsageError: The status is not an end that a run can report.
        """
        reports = reported_ending(status, error, traceback, exit_code)
        if self._is_end_written:
            if not self._was_ended_by_exit:
                warn(
                    f"The run {self.reference} has ended already, as {self.status}. Its record was"
                    " not changed."
                )
            return
        self._write_end(*reports)

    def _write_end(
        self, status: Status, error: str | None, traceback: str | None, exit_code: int | None
    ) -> None:
        """Write the end. Ctrl-C waits for it, but not for long: then it is kept in the spool."""
        with live_runs.Undisturbed():
            try:
                self._write_end_now(status, error, traceback, exit_code)
            except BaseException:
                ending = self.__dict__.get("_ending")
                if ending is not None and not self._is_end_written:
                    self._recorder.deferred.end(self.uid, self.reference, ending, None)
                    self._has_ended()
                raise

    def _has_ended(self) -> None:
        self._is_end_written = True
        live_runs.end(self)
        current.leave(self)

    def _write_end_now(
        self, status: Status, error: str | None, traceback: str | None, exit_code: int | None
    ) -> None:
        """Write the end. If that is interrupted, the next call writes the end that came first."""
        # A forked child has a copy of this object; the run belongs to the process that began it.
        if not self._is_left_here():
            if self._pid is None:
                self.hand_in()
            return
        if self.params_to_come:
            self._take_params_to_come()
        for one in self._held.values():
            one.give_up()
        ending: Mapping[str, Any] = self.__dict__.setdefault(
            "_ending",
            {
                "status": status.value,
                "ended_at": time.time_ns() // 1000,
                "error": kept_text(error),
                "traceback": kept_text(traceback),
                "exit_code": exit_code,
            },
        )
        self.status = Status(ending["status"])
        self.ends_with_process = True  # if this is interrupted
        answers = self._points is None or self._points.finish(with_end=True)
        if self.loading is not None and self.loading.look_last():
            # Before the end is written: a complete run has all of its modules.
            self._recorder.keep_late_modules(self.uid, self.loading)
        if self._output is not None:
            self._output.close()
        is_in_database = self._recorder.write_ending(
            self.uid, self.reference, ending, answers=answers, points=self._points
        )
        self._has_ended()
        if not is_in_database:
            return
        if self._has_output:
            self._take_output()
        if self.has_cells:
            self._recorder.keep_cells(self.uid)
        self._recorder.take_back()

    def make_ready(self) -> None:
        """Load what finalizers may use when the interpreter loads nothing any more."""
        self.channel(-1)
        backend, recorder = self._backend, self._recorder
        _ = self.tags, backend.edits, recorder.deferred, backend.metrics, backend.trash

    def take_over(self) -> bool:
        """Go on with a run in a forked child, if the process that executed it has ended.

        Returns:
            Whether this process executes it now.

        Raises:
            StoreError: The database could not be written.
        """
        here = current_process()
        if self._process is None or self._process == here:
            return self._process is not None
        if os.getppid() == self._pid or not is_gone(self._process, silent_s=0.0):
            return False
        # Another child may have been quicker, or the process has written the end before.
        if self._is_end_written or not self._backend.database.take_over(
            self.uid, self._process, here
        ):
            return False
        self._pid, self._process = here.pid, here
        live_runs.adopt(self)
        return True

    def _is_left_here(self) -> bool:
        """Tell whether the end is this process's to write."""
        if self._pid == os.getpid():
            return True
        try:
            return self.take_over()
        except StoreError:  # then the end is kept in the spool
            return True

    def reopen(self) -> bool:
        """Continue a complete run, because its program logs to it after its end.

        Returns:
            Whether points are taken again.
        """
        if not self._is_end_written or self._pid != os.getpid():
            return False
        if self._can_reopen and self.status is Status.COMPLETE and self._reopened():
            warn(
                f"The run {self.reference} had ended; it continues, because something was logged"
                " to it. It ends again with finish(), or with its process."
            )
            return True
        return False

    def _reopened(self) -> bool:
        if live_runs.is_over():
            return True  # points are taken in by the next reader; the end stays as it is
        try:
            self._recorder.reopen(self.uid, current_process(), current_author())
        except (RunstoreError, OSError):
            return False
        self.__dict__.pop("_ending", None)
        self._is_end_written, self.ends_with_process = False, True
        self.status = Status.RUNNING
        live_runs.begin(self)
        return True

    def take_status(self, status: Status) -> None:
        """Have the status that the run was given elsewhere."""
        self.status, self._is_end_written = status, status.is_final

    # What the end of the process needs (live_runs.Living)

    def beat(self) -> None:
        """Write a sign of life, and what was kept aside while nothing could be written."""
        self._backend.database.mark_seen([self.uid])
        self._recorder.take_back()
        if self.loading is not None:
            self.loading.look()

    @once
    def wants_samples(self) -> bool:
        """Whether what this machine does is logged, as metrics below `system/`."""
        # Asked for the first time after some seconds: starts stay quick.
        from runstore.config import wants_system_samples

        with suppress(RunstoreError):
            return wants_system_samples()
        return False

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Log what this machine did."""
        if not self.status.is_final:
            self.channel(-1).log_sample(values)

    def end_with_process(self, error: BaseException | None) -> None:
        """Write the end, because the process ends: by this exception, or in good order."""
        if error is None and self.status is Status.LIVE:
            with suppress(RunstoreError):  # an interactive session has no defined end
                self.beat()
            return
        self._was_ended_by_exit = True
        self._end_by(error)

    def _end_by(self, error: BaseException | None) -> None:
        self._write_end(*Ending(status_of(error), *told_by(error)))

    # Context manager and decorator

    def __enter__(self) -> ActiveRun:
        if self.status.is_final:
            raise ConflictError(
                f"The run {self.reference} has ended already.",
                hint=f"To go on with it: runstore.start_run(resume={self.reference!r}).",
            )
        self.is_block = True
        current.enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with live_runs.Undisturbed():
            current.leave(self)
            if not self._is_end_written:
                self._end_by(error)

    def repeat_with(self, again: Callable[[], ActiveRun]) -> None:
        """Remember how to start such a run again, which decorating a function needs."""
        self._again = again

    def __call__(self, function: F) -> F:
        """Make every call of the function a run of its own, with the arguments given here.

        The run that `start_run(...)` began is withdrawn, as if it had never been. `recorded`
        starts none when a module is imported.
        """
        again = self._again
        if not callable(function):
            raise UsageError(
                f"The run {self.reference} was called with {function!r:.60}.",
                kept="It was not changed.",
                hint="Only functions can be decorated: @runstore.start_run(...).",
            )
        self._recorder.withdraw(self.uid)
        live_runs.end(self)
        current.leave(self)
        self.status, self._is_end_written = Status.INTERRUPTED, True
        if again is None:
            raise UsageError(
                "Only the result of start_run(...) can decorate a function, and not with"
                " if_done='skip' or 'error'.",
                kept="No run was recorded.",
                hint="Call start_run within the function.",
            )

        from runstore.recording.recorded_functions import run_per_call

        return cast("F", run_per_call(function, again))


# One object for each run that this process joined: its steps are counted once.
_joined: dict[str, ActiveRun] = {}


def join(backend: Backend, run: Run | Begun, store: Any = None) -> ActiveRun:
    """Return the object of this process that logs to a run; never an error.

    Args:
        backend: The store; it need not be open yet.
        run: The run.
        store: The `Store`, if this process has opened it.
    """
    mine = live_runs.running(run.uid)
    if isinstance(mine, ActiveRun):
        return mine
    known = _joined.get(run.uid)
    if known is None:
        known = _joined[run.uid] = ActiveRun(backend, run, store=store, is_owner=False)
    return known


def current_run() -> ActiveRun | None:
    """Return the run that is being executed here, or None.

    It is the run whose `with` block or decorated function surrounds the call, or that
    `start_run` returned as a plain object and that has not ended. A thread that has none is
    executed for the run of the main thread.
    """
    return cast("ActiveRun | None", current.innermost())
