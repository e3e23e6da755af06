"""Uninterrupted work: loading the modules that recording needs, and necessary writes.

Code that interrupts the import of a module cannot use that module. So modules that are loaded
late, to keep starts fast, are loaded together and without interruption: signal handlers due
meanwhile are called afterwards.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import gc
import importlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from runstore.errors import genuine, suppressed
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.forks import inside_the_engine
from runstore.user_warnings import warn

# The modules for logging, which most runs need.
POINTS = (
    "json",
    "runstore.recording.points.log",
    "runstore.storage.metrics.chunks",
    "runstore.storage.metrics.table",
)
# The modules for what the database refuses, and for the output of a run, which is imported at its
# end.
INFLIGHT = (
    "base64",
    "runstore.inflight.deferred",
    "runstore.storage.artifacts",
    "runstore.storage.files.objects",
    "runstore.storage.late_params",
    "runstore.storage.trust.own_places",
)
# The modules for tags and notes, and for parameters.
EDITS = (
    *INFLIGHT,
    "getpass",
    "runstore.artifacts.masking",
    "runstore.reading.names",
    "runstore.recording.mappings",
    "runstore.storage.edits",
    "runstore.storage.indexes.facts",
    "runstore.storage.integrity.history",
)
PARAMS = (
    *EDITS,
    "runstore.model.params.added",
    "runstore.model.params.build",
    "runstore.model.params.encode",
    "runstore.model.run",
)
# The modules for saving files and objects, and for the inputs of a run.
SAVING = (
    *INFLIGHT,
    "csv",
    "hashlib",
    "mimetypes",
    "tempfile",
    "runstore.artifacts.masking",
    "runstore.artifacts.previews",
    "runstore.artifacts.saving",
    "runstore.artifacts.serializers",
)
INPUTS = (
    *INFLIGHT,
    "hashlib",
    "runstore.artifacts.inputs",
    "runstore.artifacts.masking",
    "runstore.model.run",
    "runstore.reading.names",
    "runstore.storage.trash",
)
# The modules for opening a store, and for starting and resuming a run.
OPENING = ("runstore.inflight",)
STARTING = (
    "runstore.recording.starting",
    "runstore.capture.machine.process",
    "runstore.capture.program.command",
    "runstore.model.params.build",
)
CAPTURE = (
    "runstore.capture.surroundings",
    "runstore.capture.git.state",
    "runstore.capture.machine.environment",
    "runstore.capture.machine.host",
    "runstore.capture.program.files",
)
RESUMING = (
    *STARTING,
    "runstore.model.run",
    "runstore.recording.joining.attaching",
    "runstore.recording.resuming",
    "runstore.storage.indexes.facts",
    "runstore.storage.integrity.history",
)
# Modules that few runs need.
STREAMS = ("runstore.recording.output.streams",)
OUTPUT = ("runstore.recording.output.keeper",)
LOGGING = (*INFLIGHT, *STREAMS, *OUTPUT, "logging", "runstore.recording.output.records")
MEDIA = (*SAVING, *POINTS, "runstore.recording.media_log")
# Including the modules that `traceback` loads when it prints.
TRACEBACKS = ("traceback", "ast", "tokenize", "unicodedata")
MASKING = ("runstore.capture.secrets.text",)
# What a run may still need when its program has used up its descriptors, or when another version
# of this package is installed. Without `logging`, whose hooks must not appear during a fork.
EVERYTHING = (*POINTS, *STREAMS, *OUTPUT, *PARAMS, *INPUTS, *MEDIA, *TRACEBACKS, *MASKING)
_PAUSES_S = (0.01, 0.1, 0.3)
# Python's own, which does nothing: the event loop is notified in another way.
_OF_THE_LOOP = "_sighandler_noop"
# The signals by which people and systems end a program.
ENDING = (int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP))
# The methods in which a block begins and ends; a signal that meets another block is only late.
_EDGES = {"__enter__", "__exit__", "_give_back"}
# Named signals only; real-time signals are rarely handled and would double the time.
_EVERY = tuple(number for number in map(int, signal.valid_signals()) if number < 32)  # noqa: PLR2004 - as of signal(7)


class UnloadableError(OSError):
    """A module cannot be read: the program has used all descriptors and the reserve.

    Signal handlers are called when the modules are loaded. So callers must not take any `OSError`
    for this one: theirs may be a `TimeoutError`, which the program waits for.
    """


def be_ready(needed: tuple[str, ...]) -> None:
    """Load the modules for a part of recording; fast if they are loaded.

    Args:
        needed: The modules, such as `POINTS`.

    Raises:
        UnloadableError: A module cannot be read.
        ImportError: The interpreter is being shut down.
    """
    if needed in _loaded:
        return
    # A child that is forked while another thread imports could never import the same.
    with inside_the_engine(), Uninterrupted(), _Uncollected():
        # Logging and printing do not wait: values are held.
        _loaded_soon(needed, () if needed in {POINTS, OUTPUT} else _PAUSES_S)
    _loaded.append(needed)


def _loaded_soon(needed: tuple[str, ...], pauses_s: tuple[float, ...]) -> None:
    """Load modules; wait if another thread has taken the descriptors of the reserve."""
    for pause_s in pauses_s:
        with suppressed(OSError, ImportError):
            return _load(needed)
        time.sleep(pause_s)
    try:
        return _load(needed)
    except genuine(OSError) as error:
        raise UnloadableError(*error.args) from error


def _load(needed: tuple[str, ...]) -> None:
    with_room(lambda: [importlib.import_module(name) for name in needed])


_loaded: list[tuple[str, ...]] = []


class Later:
    """Holds logged values in memory while the modules for logging cannot be loaded.

    Args:
        reference: The run, for messages.
        channel: Returns the channel, once its modules can be loaded.
    """

    def __init__(self, reference: str, channel: Callable[[], Any]) -> None:
        self._reference = reference
        self._channel = channel
        self._calls: deque[tuple[str, tuple[Any, ...], dict[str, Any]]] = deque()
        self._is_said = False

    def log(self, metrics: Any = None, /, *others: Any, **more: Any) -> None:
        """Log one value of each of these metrics; see `Channel.log`."""
        if more.get("time") is None:
            more["time"] = time.time()
        if isinstance(metrics, Mapping):
            metrics = dict(metrics)  # as it is now
        self._hold("log", ({} if metrics is None else metrics, *others), more)

    def log_points(self, key: str, values: Any, **more: Any) -> None:
        """Log many points of one metric; see `Channel.log_points`."""
        self._hold("log_points", (key, list(values)), more)

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Log nothing: samples of system metrics are not worth the memory."""

    def _hold(self, name: str, arguments: tuple[Any, ...], more: dict[str, Any]) -> None:
        self._calls.append((name, arguments, more))
        why = self.release()
        if why is not None and not self._is_said:
            self._is_said = True
            reason = why.strerror if isinstance(why, OSError) else why
            warn(f"Points of {self._reference} are held in memory: {reason}.")

    def release(self) -> Exception | None:
        """Log the held values; return the remaining obstacle, if any."""
        try:
            be_ready(POINTS)
        except (UnloadableError, ImportError) as why:
            return why
        channel = self._channel()
        while self._calls:
            try:
                name, arguments, more = self._calls.popleft()
            except IndexError:  # another thread did it
                break
            getattr(channel, name)(*arguments, **more)
        return None

    def give_up(self) -> None:
        """Log the held values a last time, and warn about values that are lost."""
        if self.release() is not None and self._calls:
            lost = len(self._calls)
            warn(f"{lost:,} calls that logged to {self._reference} were lost.")


class _Uncollected:
    """Defers garbage collection to the end of a block, as finalizers may run any code."""

    def __enter__(self) -> None:
        self._collects = gc.isenabled()
        gc.disable()

    def __exit__(self, *error: object) -> None:
        if self._collects:
            gc.enable()


def is_waiting(handler: object) -> bool:
    """Check whether a handler is that of an `Uninterrupted` block."""
    return getattr(handler, "__func__", None) is Uninterrupted._wait  # noqa: SLF001 - of this file


def _is_at_edge(frame: FrameType | None) -> bool:
    """Check whether a signal arrived while a block begins or ends, or a tracer looks at that."""
    if frame is None or frame.f_code.co_name in _EDGES:
        return frame is not None
    around = frame.f_back
    return around is not None and around.f_code.co_name in _EDGES


class Uninterrupted:
    """Defers Python's signal handlers to the end of a block.

    Args:
        numbers: The signals; None for all except real-time signals. Others are deferred only while
            the block begins or ends: a handler that raised then would leave these deferred.
        patience_s: Seconds to defer them. After that, the first signal interrupts the block, once:
            a second Ctrl-C need not wait for a database that does not respond.
    """

    def __init__(
        self, numbers: tuple[int, ...] | None = None, *, patience_s: float | None = None
    ) -> None:
        self._numbers = numbers
        self._patience_s = patience_s
        self._due: list[int] = []
        self._handlers: dict[int, Callable[..., Any]] = {}

    def __enter__(self) -> Uninterrupted:
        """Replace the handlers; signals only interrupt the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return self
        self._began = time.monotonic()
        try:
            for number, handler in zip(_EVERY, map(signal.getsignal, _EVERY), strict=True):
                if type(handler) is int or handler is None:  # most have no Python handler
                    continue
                if callable(handler) and getattr(handler, "__name__", "") != _OF_THE_LOOP:
                    self._handlers[number] = handler
                    signal.signal(number, self._wait)
        except ValueError:  # the main thread of a subinterpreter gets no signals
            self._handlers.clear()
        except BaseException:  # of a signal received before its handler was replaced
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers, and call those that are due."""
        handlers = dict(self._handlers)
        try:
            self._give_back()
        finally:
            self._call_due(handlers)

    def drop(self, *handlers: Callable[..., Any]) -> None:
        """Discard received signals that have one of these handlers."""
        self._due = [one for one in self._due if self._handlers.get(one) not in handlers]

    def _wait(self, number: int, frame: FrameType | None) -> None:
        # Quickly: signals that come every few microseconds call it within itself.
        if _is_at_edge(frame) or not self._is_let_through(number):
            self._due.append(number)
        else:
            self._handlers[number](number, frame)

    def _is_let_through(self, number: int) -> bool:
        if self._numbers is not None and number not in self._numbers:
            return True
        if self._patience_s is None or time.monotonic() - self._began < self._patience_s:
            return False
        self._patience_s = None
        return True

    def _call_due(self, handlers: Mapping[int, Callable[..., Any]]) -> None:
        try:
            while self._due:
                number = self._due.pop(0)
                handlers[number](number, sys._getframe())  # noqa: SLF001 - as Python calls it
        finally:
            if self._due:  # a handler raised; as in a signal mask, each signal is due once
                self._due = list(dict.fromkeys(self._due))
                self._call_due(handlers)

    def _give_back(self) -> None:
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                signal.signal(number, handler)
                self._handlers.pop(number, None)
        finally:
            if self._handlers:  # a handler was called as soon as it was restored
                self._give_back()
