"""The runs that this process executes: signs of life, and what happens to them at its end."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from runstore import background
from runstore.errors import RunstoreError
from runstore.model.status import Status

if TYPE_CHECKING:
    from runstore.capture.system import SystemProbe

HEARTBEAT_S = 10.0
# What a signal that ends the process by default does to a run: it is recorded as interrupted.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(SystemExit):
    """A signal asked the process to end; passes through the program as `sys.exit` does."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal_number = number

    def __reduce__(self) -> tuple[type[Terminated], tuple[int]]:
        return type(self), (self.signal_number,)  # the exit status is no argument of ours


class Living(Protocol):
    """A run that this process executes."""

    uid: str
    reference: str
    status: Status

    def beat(self) -> None:
        """Write a sign of life."""

    def end(self, status: Status, error: BaseException | None) -> None:
        """Write the end, because the process ends."""

    @property
    def wants_samples(self) -> bool:
        """Whether what the machine does is kept with it."""

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Keep what the machine did."""


class _Registry:
    """Every unfinished run of this process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.runs: dict[str, Living] = {}
        self.terminated_by: int | None = None
        self._beating = False
        self._handled: list[int] = []
        self._probe: SystemProbe | None = None

    def add(self, run: Living) -> None:
        self.runs[run.uid] = run
        self._take_signals()
        if not self._beating:
            # A container that allows no more threads costs the signs of life alone. Unlike
            # Thread.start, this does not wait until the thread runs: starts stay quick.
            with suppress(RuntimeError):
                _thread.start_new_thread(self._beat, ())
                self._beating = True

    def remove(self, run: Living) -> None:
        self.runs.pop(run.uid, None)
        if not self.runs:
            self._give_back_signals()

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            for run in list(self.runs.values()):
                # A missed sign of life harms nothing: the process itself is the evidence.
                with suppress(RunstoreError):
                    run.beat()
            self._sample()

    def _sample(self) -> None:
        """Let the runs know what this process and its children use."""
        wanting = [run for run in list(self.runs.values()) if run.wants_samples]
        if not wanting:
            return
        if self._probe is None:
            from runstore.capture.system import SystemProbe

            self._probe = SystemProbe()
        values = self._probe.sample()
        for run in wanting if values else ():
            with suppress(RunstoreError):
                run.log_sample(values)

    def _take_signals(self) -> None:
        """Handle signals that nobody else handles; only the main thread may ask for them."""
        if threading.current_thread() is not threading.main_thread():
            return
        if self._handled:
            return
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _terminate)
                self._handled.append(number)

    def _give_back_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        while self._handled:
            number = self._handled.pop()
            if signal.getsignal(number) is _terminate:
                signal.signal(number, signal.SIG_DFL)


_registry = _Registry()


def _current() -> _Registry:
    """Return this process's registry; a forked child has none of its parent's runs."""
    global _registry  # noqa: PLW0603 - one per process, whatever forked
    if _registry.pid != os.getpid():
        _registry = _Registry()
    return _registry


def begin(run: Living) -> None:
    """Watch over a run that this process executes."""
    _current().add(run)


def end(run: Living) -> None:
    """Stop watching over a run that has ended."""
    _current().remove(run)


def running(uid: str) -> Living | None:
    """Return the run with this uid if this process executes it."""
    return _current().runs.get(uid)


def forget(is_meant: Callable[[Living], bool]) -> None:
    """Stop watching over runs whose store was closed; evidence speaks for them."""
    registry = _current()
    for run in [one for one in registry.runs.values() if is_meant(one)]:
        registry.remove(run)


def wait_for_background(patience_s: float = background.PATIENCE_S) -> None:
    """Wait until facts that are being captured are written, or the time is over."""
    background.wait_until_done(patience_s)


def _terminate(number: int, _frame: FrameType | None) -> None:
    """Unwind the program, so that its run is recorded; in a forked child, end as by default."""
    if _registry.pid != os.getpid():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _registry.terminated_by = number
    raise Terminated(number)


def _at_exit() -> None:
    """End what nobody ended, with the exception or signal that ends the process."""
    registry = _current()
    # At a prompt, the last error may be hours old and have nothing to do with the end.
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    if registry.terminated_by is not None:
        error = Terminated(registry.terminated_by)
    runs = list(registry.runs.values())
    for run in runs:
        if error is not None:
            interrupted = isinstance(error, (KeyboardInterrupt, Terminated))
            run.end(Status.INTERRUPTED if interrupted else Status.ERROR, error)
        else:
            # Nobody said how it ended: the next reader finds the process gone, after this sign.
            with suppress(RunstoreError):
                run.beat()
    # An interactive session has no defined end, so none is missed.
    unended = [run for run in runs if run.status is not Status.LIVE]
    if unended and error is None:
        _say_unended(unended)
    wait_for_background()


def _say_unended(runs: list[Living]) -> None:
    shown = ", ".join(run.reference for run in runs[:3]) + (", …" if len(runs) > 3 else "")  # noqa: PLR2004 - a line's worth
    if sys.stderr is None:  # Python's word for one that is closed
        return
    with suppress(OSError, ValueError):
        sys.stderr.write(
            f"runstore: the process ends, but nobody ended {shown}; recorded as lost."
            " Call run.finish(), or use `with`.\n"
        )


atexit.register(_at_exit)
