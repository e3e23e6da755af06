"""Execution: the internals of an `ActiveRun`, for a run that this process executes."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from operator import attrgetter
from threading import get_ident

from runstore import current
from runstore.capture.machine.process import current_process, is_gone
from runstore.config import current_author, is_variable_off
from runstore.errors import RunstoreError, StoreError, genuine, suppressed
from runstore.model.once import once
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.recording import live_runs
from runstore.recording.outcome import Ending, error_details, kept_text, status_of
from runstore.recording.readiness import (
    EDITS,
    EVERYTHING,
    INFLIGHT,
    OUTPUT,
    PARAMS,
    POINTS,
    STREAMS,
    Later,
    be_ready,
)
from runstore.recording.recorder import Recorder
from runstore.storage.backend import Backend
from runstore.storage.rows import to_micros
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import afterwards, warn
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from runstore.capture.program.files import Loading
    from runstore.model.run import Run
    from runstore.recording.joining.command_run import CommandRun
    from runstore.recording.mappings import Tags
    from runstore.recording.output.streams import KeptOutput
    from runstore.recording.points.channel import Channel
    from runstore.recording.points.log import PointLog


class StartedRun(NamedTuple):
    """The facts about a run that has just started; a complete `Run` takes longer to create."""

    uid: str
    reference: str
    experiment_name: str
    run_number: int
    timestamp: str
    started_at: datetime
    parameter_sets: tuple[ParameterSet, ...]
    notes: str | None
    status: Status


class Execution:
    """A run as executed by this process: its points, its output, its end.

    Attributes:
        run: Its `ActiveRun`.
        recorder: Writes its data.
        store_path: The folder of its store.
        uid: Identity across machines.
        reference: `<experiment>_<run number>_<timestamp>`.
        experiment_name: The experiment of the run.
        parameter_sets: Its parameter sets.
        status: The status, as last recorded here.
        surrounding: The run whose block this one was started in; see `current.py`.
        was_current: Whether it has ever been the current run.
        is_block: Whether a `with` block ends it.
        block: The block of a store that it was begun in.
        is_first: Whether its store was created for it.
        lineage: The uids of the run and of its ancestors that are executed here.
        loading: The watcher of the program's own modules; None without capture.
        params_to_come: A mapping that was empty at the start: the program fills it later.
        has_cells: Whether the cells of a notebook are recorded.
        has_output: Whether output in the spool is imported at the end.
        again: Starts another such run, for decorated functions; None if that is impossible.
        ends_with_process: Whether it is complete if its process ends without an error.
        command_run: The run of `runstore exec` that this process has taken over, if any.
        has_read_params: Whether its parameters were read from the command line; the program can
            set them again.
        own_params: Keys that the program has set since then.

    Args:
        backend: The store.
        run: The run as it started, or as recorded.
        active: Its `ActiveRun`.
        is_owner: Whether this process ends the run; a copy in another process only logs to it.
    """

    # Whether logging after the end continues the run.
    can_reopen = True
    # The thread that is logging a sample of the system, if any.
    _sampler = 0
    # Whether what it may need later was loaded.
    _has_loaded = False
    # Defaults of attributes are of the class, because each assignment delays the start.
    surrounding: Execution | None = None
    was_current = False
    is_block = False
    is_first = False
    loading: Loading | None = None
    params_to_come: MutableMapping[Any, Any] | None = None
    has_cells = False
    has_output = False
    again: Any = None
    ends_with_process = False
    command_run: CommandRun | None = None
    has_read_params = False
    was_ended_by_exit = False
    _points: PointLog | None = None
    _output: KeptOutput | None = None
    _is_strict = False

    def __init__(
        self, backend: Backend, run: Run | StartedRun, active: Any, *, is_owner: bool = True
    ) -> None:
        self.run = active
        self.recorder = backend.part(Recorder)
        self.store_path = backend.home
        self.uid = run.uid
        self.reference = run.reference
        self.experiment_name = run.experiment_name
        self.parameter_sets: tuple[ParameterSet, ...] = run.parameter_sets
        self.status = run.status
        self.lineage = frozenset((run.uid,))
        self.own_params: set[str] = set()
        self.block = current.store_block()
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        self._backend = backend
        self._process = current_process() if is_owner else None
        self._pid = None if self._process is None else self._process.pid
        # Started here: nothing was logged to it before.
        self._is_new = is_owner and isinstance(run, StartedRun)
        self.is_end_written = not self._is_new and run.status.is_final
        self._held: dict[int, Any] = {}  # `Later` instead of channels
        if is_owner:
            live_runs.begin(self)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return attrgetter("execution"), (self.run,)

    @property
    def is_here(self) -> bool:
        """Whether this process started the run, and so ends it."""
        return self._pid == os.getpid()

    @property
    def is_end_kept(self) -> bool:
        """Whether its end, if it has one, is recorded or waits in the spool."""
        return self.uid not in self.recorder.unkept

    # Parameters and tags

    @functools.cached_property
    def tag_names(self) -> dict[str, str]:
        """Recorded keys of tags by the keys that the program used."""
        return {}

    def values_of_set(self, set_name: str | None) -> Mapping[str, Any]:
        """Return the parameters of a set; without a name, of the only set or by set."""
        from runstore.model.run import values_of

        if set_name is None:
            return values_of(self.parameter_sets)
        return next(one.values for one in self.parameter_sets if one.name == set_name)

    def add_params(
        self, params: Any, set_name: str | None = None, *, is_replacing: bool = False
    ) -> None:
        """Add parameters; see `ActiveRun.add_params`."""
        be_ready(PARAMS)
        from runstore.model.params.added import with_added
        from runstore.model.params.build import parameter_set

        added = parameter_set(params)
        if self.has_read_params:
            self._drop_read_params(added.values)
        # Validated here: an error in a spooled record would reach no one.
        now = with_added(self.parameter_sets, added, set_name, is_replacing=is_replacing)
        kept = self.recorder.add_params(
            self.uid, added, set_name, current_author(), is_replacing=is_replacing
        )
        self.parameter_sets = kept or now

    def replace_params(self, sets: tuple[ParameterSet, ...]) -> None:
        """Replace all parameter sets."""
        be_ready(PARAMS)
        self.recorder.replace_params(self.uid, sets)
        self.parameter_sets = sets

    def _drop_read_params(self, added: Mapping[str, Any]) -> None:
        """Drop parameters that were read from the command line and are now set by the program."""
        from runstore.model.params.build import parameter_sets

        given = {} if self.command_run is None else self.command_run.given
        dropped = {*added} - {*given, *self.own_params}
        self.own_params |= {*added}
        values = self.values_of_set(None)
        if dropped & {*values}:
            rest = {key: value for key, value in values.items() if key not in dropped}
            self.replace_params(parameter_sets(rest or None))

    def _take_params_to_come(self) -> None:
        """Record the contents of the mapping that was empty at the start."""
        known = {*self.parameter_sets[0].values} if self.parameter_sets else set()
        if self.has_read_params:
            known &= self.own_params
        found = dict(self.params_to_come or {})
        new = {key: value for key, value in found.items() if key not in known}
        if new:
            try:
                self.add_params(new)
            except genuine(RunstoreError, OSError, ImportError) as error:
                warn(f"{error} These parameters were not kept: {', '.join(map(str, new))}.")

    @once
    def tags(self) -> Tags:
        """The tags, a mapping that records assignments: `run.tags["phase"] = "pilot"`."""
        be_ready(EDITS)
        from runstore.recording.mappings import Tags

        known: Mapping[str, str] = {}
        with suppress(RunstoreError):  # the store cannot be read
            known = self._backend.edits.tags_of(self.uid)
        return Tags(self.recorder, self.uid, known, self.tag_names)

    # Output

    def kept_output(self, *, is_asked: bool = True, mask_output: bool | None = None) -> KeptOutput:
        """Return the recorder of this process's output; see `ActiveRun.keep_output`.

        It is recorded regardless of the settings if the program has asked for it.
        """
        output = self._output
        if output is None:
            be_ready(STREAMS)
            from runstore.recording.output.streams import KeptOutput

            self._output = output = KeptOutput(self._backend.spool, self)
        if is_asked:
            be_ready(OUTPUT)
            be_ready(INFLIGHT)
            output.keep_in_any_case(is_masked=mask_output)
        return output

    def keep_output_of_script(self, *, wanted: bool | None) -> None:
        """Keep the output of the process, unless the program, a variable or a setting says no."""
        if self.command_run is not None:
            return  # `runstore exec` keeps it, including the output of C code
        if wanted is None and not self.is_here:
            return
        if wanted is None and os.environ.get("RUNSTORE_OUTPUT") and is_variable_off("output"):
            return
        if wanted is not False:
            try:
                self.kept_output(is_asked=wanted is not None).keep_streams()
            except genuine(OSError, ImportError) as error:
                warn(f"The output of {self.reference} is not kept: {error}.")

    def _take_output(self) -> None:
        try:
            with_room(lambda: self.recorder.deferred.take_output_of(self.uid))
        except genuine(RunstoreError, OSError, ImportError) as error:
            warn(
                f"{error} The output of {self.reference} is kept in the spool of the store;"
                " it is imported when the store is next opened."
            )

    # Metrics

    def channel(self, set_index: int) -> Channel:
        """Return the channel of the run (-1) or of the parameter set at this index."""
        if self._points is None:
            try:
                be_ready(POINTS)
            except genuine(OSError, ImportError):
                return self._log_later(set_index)
            if self.params_to_come:
                self._take_params_to_come()
            from runstore.recording.points.log import PointLog

            points = PointLog(self._backend, self.uid, self.reference, is_new=self._is_new)
            points.run = self
            points.is_strict = self._is_strict
            points.reopen_run = self.reopen
            # Another thread may be here as well; all share one log.
            self._points = self.__dict__.setdefault("_first_points", points)
            if self.status.is_final:
                self._points.finish()
        return self._points.channel(set_index)

    def has_room_for_points(self) -> bool:
        """Check whether the next point will be written to a disk, and not be held in memory."""
        self.channel(-1)
        return self._points is not None and self._points.has_room()

    def _log_later(self, set_index: int) -> Channel:
        later = Later(self.reference, lambda: self.channel(set_index))
        found: Channel = self._held.setdefault(set_index, later)
        return found

    def hand_in(self, *, is_last: bool = False) -> None:
        """Import the points logged so far into the database now, rather than soon.

        The last time, this process will log nothing more to another process's run.
        """
        if self._points is not None:
            self._points.hand_in(is_last=is_last)

    @property
    def is_strict(self) -> bool:
        """Whether a metric that cannot be logged raises an error instead of a warning."""
        return self._is_strict

    @is_strict.setter
    def is_strict(self, is_strict: bool) -> None:
        self._is_strict = is_strict
        if self._points is not None:
            self._points.is_strict = is_strict

    def rewind(self, step: int) -> int:
        """Delete the points of all metrics from a step onwards; return their number."""
        self.channel(-1)
        return 0 if self._points is None else self._points.rewind(step)

    # The end

    def write_end(
        self, status: Status, error: str | None, traceback: str | None, exit_code: int | None
    ) -> None:
        """Write the end. Ctrl-C waits, but not for long: then the end is kept in the spool."""
        with afterwards(), live_runs.Undisturbed():
            try:
                self._write_end_now(status, error, traceback, exit_code)
            except BaseException:  # Ctrl-C that waited too long: the end is kept in the spool
                ending = self.__dict__.get("_ending")
                if ending is not None and not self.is_end_written:
                    self.recorder.keep_ending(self.uid, self.reference, ending, None)
                    self._has_ended()
                raise

    def end_after_start(self) -> None:
        """Let the end of a resumed run follow its start, even if the clock was set back since."""
        earliest_ns = to_micros(self.run.started_at) * 1000
        self._ahead_ns = max(self._ahead_ns, earliest_ns - time.monotonic_ns())

    def _has_ended(self) -> None:
        self.is_end_written = True
        live_runs.end(self)
        current.leave(self)

    def _write_end_now(
        self, status: Status, error: str | None, traceback: str | None, exit_code: int | None
    ) -> None:
        """Write the end. After an interruption, the next call writes the first end."""
        # A forked child has a copy of this object; the run belongs to the process that started it.
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
                "status": status,
                # If the clock was set back meanwhile, the time since the start counts.
                "ended_at": max(time.time_ns(), time.monotonic_ns() + self._ahead_ns) // 1000,
                "error": kept_text(error),
                "traceback": kept_text(traceback),
                "exit_code": exit_code,
            },
        )
        self.status = ending["status"]
        self.ends_with_process = True  # if this is interrupted
        answers = self._points is None or self._points.finish(with_end=True)
        if self.loading is not None and self.loading.look_last():
            # Before the end is written: a complete run has all of its modules.
            self.recorder.keep_late_modules(self.uid, self.loading)
        if self._output is not None and self._output.close():
            self.has_output = True
        points = None if self._points is None else self._points.files
        is_in_database = self.recorder.write_ending(
            self.uid, self.reference, ending, answers=answers, points=points
        )
        self._has_ended()
        if not is_in_database:
            return
        if self.has_output:
            self._take_output()
        if self.has_cells:
            self.recorder.keep_cells(self.uid)
        self.recorder.take_back()

    def _is_left_here(self) -> bool:
        """Check whether this process ends the run."""
        if self.is_here:
            return True
        try:
            return self.take_over()
        except StoreError:  # then the end is kept in the spool
            return True

    def take_over(self) -> bool:
        """Continue a run in a forked child, if its process has ended; return whether it has.

        Raises:
            StoreError: The database could not be written.
        """
        here = current_process()
        if self._process is None or self._process == here:
            return self._process is not None
        if os.getppid() == self._pid or not is_gone(self._process, silent_s=0.0):
            return False
        # Another child may have been faster, or the process has already written the end.
        if self.is_end_written or not self._backend.database.take_over(
            self.uid, self._process, here
        ):
            return False
        self._pid, self._process = here.pid, here
        live_runs.adopt(self)
        return True

    def reopen(self) -> bool:
        """Continue a complete run, because its program logs to it after its end.

        Returns whether points can be logged again.
        """
        if not self.is_end_written or not self.is_here or self._sampler == get_ident():
            return False
        if self.can_reopen and self.status is Status.COMPLETE and self._reopened():
            warn(
                f"The run {self.reference} had ended; it continues, because something was logged"
                " to it. It ends again with finish(), or with its process."
            )
            return True
        return False

    def _reopened(self) -> bool:
        if live_runs.is_over():
            return True  # points are imported by the next reader; the end is unchanged
        try:
            self.recorder.reopen(self.uid, current_process(), current_author())
        except genuine(RunstoreError, OSError):
            return False
        self.__dict__.pop("_ending", None)
        self.is_end_written, self.ends_with_process = False, True
        self.status = Status.RUNNING
        live_runs.begin(self)
        return True

    def take_status(self, status: Status) -> None:
        """Set the status that was recorded elsewhere."""
        self.status, self.is_end_written = status, status.is_final

    def withdraw(self) -> None:
        """Undo the start without a trace.

        Raises:
            ConflictError: The run has recorded data; it is kept.
        """
        if self.command_run is not None:
            from runstore.recording.joining.command_run import hand_back

            hand_back(self._backend, self.command_run)
        else:
            self.recorder.withdraw(self.uid)
        live_runs.end(self)
        current.leave(self)
        self.take_status(Status.INTERRUPTED)

    def leave_to(self, status: Status) -> None:
        """Stop executing a run that another process has ended."""
        self.hand_in(is_last=True)
        self.take_status(status)
        live_runs.end(self)
        current.leave(self)
        if self.has_output:
            self._take_output()
        self.recorder.take_back()

    # During the process and at its end (live_runs.LiveRun)

    def make_ready(self) -> None:
        """Load the modules that finalizers may need when the interpreter can load no more."""
        self.channel(-1)
        backend, recorder = self._backend, self.recorder
        _ = self.tags, backend.edits, recorder.deferred, backend.metrics, backend.trash
        _ = backend.path, backend.spool.place

    def heartbeat(self) -> None:
        """Write a heartbeat, and data that could not be written before."""
        if not self._has_loaded:
            self._has_loaded = True
            self._load_the_rest()
        self._backend.database.mark_seen([self.uid])
        self.recorder.take_back()
        if self.loading is not None:
            self.loading.look()

    def _load_the_rest(self) -> None:
        """Load what the run may need later; a short program ends before."""
        with suppressed(RunstoreError, OSError, ImportError):
            be_ready(EVERYTHING)
            _ = self._backend.objects  # whose modules depend on the place of the contents

    @once
    def wants_samples(self) -> bool:
        """Whether system metrics are logged, below `system/`."""
        # First read after a few seconds, to keep starts fast.
        from runstore.config import is_on

        with suppress(RunstoreError):
            return is_on("system-samples")
        return False

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Log a sample of system metrics; a run that ends meanwhile stays ended."""
        self._sampler = get_ident()
        try:
            if not self.status.is_final:
                self.channel(-1).log_sample(values)
        finally:
            self._sampler = 0

    def end_with_process(self, error: BaseException | None) -> None:
        """Write the end as the process ends, with this exception or without an error."""
        if error is None and self.status is Status.LIVE:
            with suppress(RunstoreError):  # an interactive session has no defined end
                self.heartbeat()
            return
        self.was_ended_by_exit = True
        self.end_by(error)

    def end_by(self, error: BaseException | None) -> None:
        """Write the end, with an exception or without an error."""
        self.write_end(*Ending(status_of(error), *error_details(error)))
