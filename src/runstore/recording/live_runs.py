"""The runs that this process executes: their heartbeats, and their end with the process."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import atexit
import builtins
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import FrameType

from runstore import background
from runstore.errors import RunstoreError, suppressed
from runstore.model.status import Status
from runstore.recording.readiness import Uncollected
from runstore.recording.signals.forks import ForkSignals
from runstore.recording.signals.late import LateSignals
from runstore.recording.tickers import Ticker, stop_all
from runstore.storage.sqlite.descriptors import keep_reserve
from runstore.storage.sqlite.signals import ENDING, Uninterrupted, is_waiting
from runstore.user_warnings import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from runstore.capture.machine.system import SystemProbe
    from runstore.current import StoreBlock
else:
    Protocol = object

_BUILTINS = vars(builtins)
HEARTBEAT_S = 10.0
# How long Ctrl-C waits for a write.
PATIENCE_S = 3.0
# How long the end of the process waits for threads to finish their work.
_THREADS_PATIENCE_S = 1.0
# Signals that end the process by default: the run is recorded as interrupted.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """A signal requested the end of the process; raised in the program, as by `sys.exit`."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal_number = number

    def __reduce__(self) -> tuple[type[Terminated], tuple[int]]:
        return type(self), (self.signal_number,)  # the exit status is not our argument


class LiveRun(Protocol):
    """A run that this process executes; the attributes are those of `Execution`."""

    uid: str
    reference: str
    status: Status
    recorder: Any
    block: StoreBlock | None
    is_block: bool
    ends_with_process: bool

    def heartbeat(self) -> None:
        """Write a heartbeat."""

    def make_ready(self) -> None:
        """Load the modules that finalizers may need when the interpreter can load no more."""

    def take_over(self) -> bool:
        """Continue a run whose process has ended; return whether this process executes it."""

    def end_with_process(self, error: BaseException | None) -> None:
        """Write the end as the process ends, with this exception or without an error."""

    def end_by(self, error: BaseException | None) -> None:
        """Write the end, with this exception or without an error."""

    @property
    def wants_samples(self) -> bool:
        """Whether system metrics are recorded."""

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Record a sample of system metrics."""


class ExitCalls:
    """Calls of `sys.exit`, `exit` and `quit`, which are otherwise unknown at a process's end.

    They are watched while a run is active. `raise SystemExit(3)` cannot be seen, but it can be
    seen that the program did not reach its last line.
    """

    def __init__(self) -> None:
        self.last: SystemExit | None = None
        self._program: FrameType | None = None
        # The number of frames around the last call; the next one often has as many.
        self._depth = 0
        self._is_watching = False
        # The replacement of each function, created once.
        self._made: list[tuple[dict[str, Any], str, Callable[..., Any], Callable[..., Any]]] = []

    def watch(self) -> None:
        """Watch calls from now on; at a prompt, they do not end the process."""
        if self._is_watching or "ps1" in vars(sys):
            return
        self._program = self._outermost()
        self._is_watching = True
        for names, name, known, _ in self._made:
            if names.get(name) is not known:  # other code has replaced it since
                self._made.clear()
                break
        if not self._made:
            for names, name in ((vars(sys), "exit"), (_BUILTINS, "exit"), (_BUILTINS, "quit")):
                original = names.get(name)
                if original is not None:
                    self._made.append((names, name, original, self._noting(original)))
        for names, name, _, noting in self._made:
            names[name] = noting

    def unwatch(self) -> None:
        """Restore the functions, unless other code has replaced them since."""
        # A reference to the frame would keep all objects of the program from being finalized.
        self._program = None
        if not self._is_watching:
            return
        for names, name, original, noting in self._made:
            if names.get(name) is noting:
                names[name] = original
        self._is_watching = False

    def _outermost(self) -> FrameType | None:
        """Return the outermost frame of the main thread."""
        if not background.in_main_thread():
            frame = _frame_of_main_thread()
        else:
            try:  # at once, because Python would create the objects of all frames between
                frame = sys._getframe(self._depth)  # noqa: SLF001 - named so by Python's documentation
            except ValueError:
                self._depth = 0
                frame = sys._getframe()  # noqa: SLF001 - the same
        while frame is not None and frame.f_back is not None:
            frame = frame.f_back
            self._depth += 1
        return frame

    @property
    def is_caught(self) -> bool:
        """Whether the program reached its last line, even if an exit was raised before."""
        return self._program is None or _has_returned(self._program)

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def noting(*status: Any, **more: Any) -> Any:
            if background.in_main_thread():
                self.last = SystemExit(*status, *more.values())
            return original(*status, **more)

        return noting


def _has_returned(frame: FrameType) -> bool:
    if frame.f_lasti < 0:
        return True
    import opcode

    # A finished frame is at its last instruction.
    return opcode.opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN")


def _frame_of_main_thread() -> FrameType | None:
    """Return the innermost frame of the main thread, for another thread."""
    main = threading.main_thread().ident
    # A collection inside this call would run finalizers while Python holds the lock of its list of
    # threads: if one of them waits, all threads stop for ever. Source: CPython, gh-106883.
    with Uncollected():
        return None if main is None else sys._current_frames().get(main)  # noqa: SLF001 - as above


class _Registry:
    """Every unfinished run of this process."""

    def __init__(self, parent: _Registry | None = None) -> None:
        self.pid = os.getpid()
        self.runs: dict[str, LiveRun] = {}
        # Those left without an end, which the program may still end itself.
        self.left_open: set[str] = set()
        # The runs of the process that this one was forked from: a daemon continues them.
        self.inherited: dict[str, LiveRun] = (
            {} if parent is None else {**parent.runs, **parent.inherited}
        )
        self.terminated_by: int | None = None
        self.is_over = False
        self.exits: ExitCalls = ExitCalls() if parent is None else parent.exits
        self._ends_with_worker = False
        self._is_ending = False
        self._ticker = Ticker(self._heartbeat, lambda: HEARTBEAT_S)
        self._handled: list[int] = []
        self._late: LateSignals | None = None  # in workers of multiprocessing
        self._probe: SystemProbe | None = None

    def add(self, run: LiveRun) -> None:
        self.runs[run.uid] = run
        self.take_signals()
        self.exits.watch()
        self._end_with_worker()
        if self._late is not None and self._handled and background.in_main_thread():
            self._late.watch()
        keep_reserve()
        # In a container that allows no more threads, only the heartbeats are lost.
        self._ticker.start()

    def remove(self, run: LiveRun) -> None:
        self.runs.pop(run.uid, None)
        if not self.runs:
            self.give_back_signals()
            self.exits.unwatch()

    def end_with_store(
        self, recorder: object, error: BaseException | None, block: StoreBlock
    ) -> None:
        """End the runs that were begun in a block of a store, and have none of their own.

        Args:
            recorder: The recorder of its runs.
            error: The exception that the block is left with, if any.
            block: The block.
        """
        _take_over(one for one in self.inherited.values() if one.recorder is recorder)
        runs = [one for one in self.runs.values() if one.recorder is recorder and not one.is_block]
        runs = [one for one in runs if one.block is not None and one.block.is_in(block)]
        if error is None:
            if self._ends_with_worker:
                return  # with the status of its end
            runs = [one for one in runs if one.status is not Status.LIVE]
            ending = [one for one in runs if one.ends_with_process]
            self._leave_open([one for one in runs if one not in ending], "the store was closed")
            runs = ending
        for run in runs:
            run.end_by(error)

    def end_all(self, error: BaseException | None) -> None:
        """End every run, as the process ends."""
        for run in list(self.runs.values()):
            run.end_with_process(error)
        background.wait_until_done()

    def end_by_exit(self) -> None:
        """End every run with the exception, the signal or the call that ends the process."""
        _take_over(self.inherited.values())
        error = _last_error()
        if self.terminated_by is not None:
            error = Terminated(self.terminated_by)
        if self._ends_with_worker:  # its program, copied from its parent, never reaches its end
            error = error or _exit_of_worker() or self.exits.last
        elif error is None:
            reached_its_end = self.exits.is_caught
            error = None if reached_its_end else self.exits.last
            if error is None:
                # `raise SystemExit(n)` does not reveal its exit status.
                left = [one for one in self.runs.values() if one.status is not Status.LIVE]
                left = [one for one in left if not (reached_its_end and one.ends_with_process)]
                for run in left:
                    with suppressed(RunstoreError, OSError, ImportError):
                        run.heartbeat()
                        run.make_ready()
                self._leave_open(left, "the process ended")
        self.end_all(error)
        self.exits.unwatch()
        self.is_over = True

    def _leave_open(self, runs: list[LiveRun], event: str) -> None:
        """Leave unfinished runs without an end, with a message."""
        if not runs:
            return
        for run in runs:
            self.remove(run)
            self.left_open.add(run.uid)
        names = [run.reference for run in runs]
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")  # noqa: PLR2004 - a line's worth
        say(
            f"{event} without finishing {shown}; recorded as lost."
            " Call run.finish(), use `with`, or set run.ends_with_process = True."
        )

    def _end_with_worker(self) -> None:
        """End the runs of a worker of multiprocessing, which ends without `atexit`."""
        process = sys.modules.get("multiprocessing.process")
        if self._ends_with_worker or process is None or process.parent_process() is None:
            return
        import multiprocessing.util

        self._ends_with_worker = True
        self._late = LateSignals(_terminate, lambda: self.terminated_by is not None)
        multiprocessing.util.Finalize(None, self._end_by_worker, exitpriority=100)
        if sys.version_info[:2] < _WORKERS_FORGET:
            # A signal may end these calls before ours; this one follows them. A thread that
            # outlives the worker's function is too late for it.
            with suppress(RuntimeError):
                threading._register_atexit(self._end_at_last)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way

    def note_signal(self, number: int) -> None:
        """Note the signal that ends this process."""
        self.terminated_by = number
        if not self._ends_with_worker or self._is_ending:
            return
        if sys.modules["multiprocessing.util"]._exiting:  # noqa: SLF001 - the only sign
            self._end_by_worker()  # what the handler raises ends the calls of the worker's exit

    def _end_at_last(self) -> None:
        if self.pid == os.getpid():
            self._end_by_worker()

    def _end_by_worker(self) -> None:
        self._is_ending = True
        with Uninterrupted(patience_s=PATIENCE_S):
            self._end_all_of_worker()

    def _end_all_of_worker(self) -> None:
        if self.terminated_by is not None:
            self.end_all(Terminated(self.terminated_by))
        else:
            self.end_all(sys.exc_info()[1] or _exit_of_worker())

    def _heartbeat(self) -> None:
        for run in list(self.runs.values()):
            # A missed heartbeat is harmless: the process itself is evidence.
            with suppressed(RunstoreError, OSError, ImportError):
                run.heartbeat()
        with suppressed(OSError, ImportError):  # no descriptors left to read it
            self._sample()

    def _sample(self) -> None:
        """Pass the resource usage of this process and its children to the runs."""
        wanting = [run for run in list(self.runs.values()) if run.wants_samples]
        if not wanting:
            return
        if self._probe is None:
            from runstore.capture.machine.system import SystemProbe

            self._probe = SystemProbe()
        values = self._probe.sample()
        for run in wanting if values else ():
            with suppress(RunstoreError):
                run.log_sample(values)

    def take_signals(self) -> None:
        """Handle signals that have no handler; only the main thread can do this."""
        if self._handled or not background.in_main_thread():
            return
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                try:
                    signal.signal(number, _terminate)
                except ValueError:  # the main thread of a subinterpreter
                    return
                self._handled.append(number)

    def give_back_signals(self) -> None:
        """Restore the default action of signals."""
        if not background.in_main_thread():
            return
        if self._late is not None:
            self._late.unwatch()
        for number in list(self._handled):
            handler = signal.getsignal(number)
            if is_waiting(handler):
                continue  # until the block ends, which tries again
            self._handled.remove(number)
            if handler is _terminate:
                signal.signal(number, signal.SIG_DFL)


_registry = _Registry()


def _take_over(runs: Iterable[LiveRun]) -> None:
    """Continue runs of a process that this one was forked from, if it has ended."""
    for run in runs:
        with suppressed(RunstoreError, OSError):
            run.take_over()


def _current() -> _Registry:
    """Return this process's registry; a forked child starts with an empty one."""
    global _registry  # noqa: PLW0603 - one per process, whatever forked
    if _registry.pid != os.getpid():
        _registry = _Registry(_registry)
    return _registry


class Undisturbed(Uninterrupted):
    """Defer signals while the end of a run is written."""

    # The signals; see `Uninterrupted`.
    deferred: tuple[int, ...] | None = None

    def __init__(self) -> None:
        super().__init__(self.deferred, patience_s=PATIENCE_S)

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            registry = _current()
            if not registry.runs:
                registry.give_back_signals()


class Beginning(Undisturbed):
    """Defer signals that end the process until a new run is registered.

    This includes signals without a handler: by default they would end the process at once, and
    leave a run without an end in the database.
    """

    deferred = ENDING

    def __enter__(self) -> Beginning:
        _current().take_signals()
        super().__enter__()
        return self


def begin(run: LiveRun) -> None:
    """Register a run that this process executes."""
    _current().add(run)


def adopt(run: LiveRun) -> None:
    """Register a run whose process has ended, in a child that continues it.

    This excludes workers of multiprocessing: their end says nothing about the run.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        begin(run)


def end(run: LiveRun) -> None:
    """Remove a run that has ended."""
    _current().remove(run)


def is_of_this_program(uid: str) -> bool:
    """Check whether a run without an end was begun by this program, not before `os.execv`."""
    registry = _current()
    return uid in registry.runs or uid in registry.left_open


def running(uid: str) -> LiveRun | None:
    """Return the run with this uid if this process executes it."""
    return _current().runs.get(uid)


def end_with_store(recorder: object, error: BaseException | None, block: StoreBlock) -> None:
    """End the runs of a block of a store; see `_Registry.end_with_store`."""
    with Undisturbed():
        _current().end_with_store(recorder, error, block)


_WORKERS_FORGET = (3, 13)


def _last_error() -> BaseException | None:
    """Return the exception that ended the program, or that it has reported as such."""
    # At a prompt, the last error may be hours old and have nothing to do with the end.
    return None if "ps1" in vars(sys) else getattr(sys, "last_value", None)


def _repeat_ctrl_c() -> None:
    """Make Python end the process by SIGINT again, if Ctrl-C has ended the program.

    Python forgets it when it executes source text, as `namedtuple` does: a module that is loaded
    in the background is enough. A shell would continue its loop if the process exited by itself.

    Source: CPython 3.10 to 3.13, `run_eval_code_obj` in `pythonrun.c` and `Py_RunMain`.
    """
    error = _last_error()
    if type(error) is not KeyboardInterrupt or error.__traceback__ is None:
        return
    program = error.__traceback__.tb_frame
    if program.f_back is None and not _has_returned(program):  # the program did not catch it
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - the only way to note it


def _exit_of_worker() -> SystemExit | None:
    """Return the end of a worker whose exception is gone by now.

    Since Python 3.13, it is gone in each forked worker.

    Source: CPython 3.10 to 3.13, `multiprocessing.process.BaseProcess._bootstrap` and
    `multiprocessing.popen_fork.Popen._launch`.
    """
    forgets = sys.version_info[:2] >= _WORKERS_FORGET
    function, variable = ("_launch", "code") if forgets else ("_bootstrap", "exitcode")
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the documented way to see callers
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    code = None if frame is None else frame.f_locals.get(variable)
    return SystemExit(code) if isinstance(code, int) else None


def _terminate(number: int, _frame: FrameType | None) -> None:
    """Unwind the program, so that the end of its run is recorded.

    In a forked child, and if no run is left, end as by default: a run that was ended by another
    thread could not restore the signal handler.
    """
    if _registry.pid != os.getpid() or not _registry.runs:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _registry.note_signal(number)
    raise Terminated(number)


def exit_status_by_signal() -> int | None:
    """Return the exit status that a signal gave this process; None if none is ending it."""
    number = _current().terminated_by
    return None if number is None else 128 + number


def is_over() -> bool:
    """Check whether the runs of this process were ended because it is ending."""
    return _current().is_over


def _at_exit() -> None:
    registry = _current()
    if registry.is_over:
        return
    with Uninterrupted(patience_s=PATIENCE_S) as signals:
        registry.end_by_exit()
        # The process ends anyway.
        signals.drop(signal.default_int_handler, _terminate)
        stop_all(_THREADS_PATIENCE_S)
        _repeat_ctrl_c()


_fork = ForkSignals(_terminate)
# The last registered is called first before a fork: signals wait during the hooks of others.
os.register_at_fork(
    before=_fork.before,
    after_in_parent=_fork.after_in_parent,
    after_in_child=_fork.after_in_child,
)
# A signal may arrive before they are protected from it, so this is repeated.
for _ in range(3):
    atexit.register(_at_exit)
