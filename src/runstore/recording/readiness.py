"""Loading the modules that recording needs, without interruption.

Code that interrupts the import of a module cannot use that module. So modules that are loaded
late, to keep starts fast, are loaded together and without interruption: signal handlers due
meanwhile are called afterwards.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from runstore.errors import StoreUnavailableError, genuine, suppressed
from runstore.storage.sqlite.descriptors import is_used_up, too_few_files, with_room
from runstore.storage.sqlite.forks import inside_the_engine
from runstore.storage.sqlite.signals import Uninterrupted
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

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
# The module for looking up a run by its name, such as that of a parent.
NAMES = ("runstore.reading.names",)
# The modules for tags and notes, and for parameters.
EDITS = (
    *INFLIGHT,
    *NAMES,
    "getpass",
    "runstore.artifacts.masking",
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
    *NAMES,
    "hashlib",
    "runstore.artifacts.inputs",
    "runstore.artifacts.masking",
    "runstore.model.run",
    "runstore.storage.trash",
)
# The modules for opening a store, and for starting and resuming a run.
OPENING = ("runstore.inflight",)
STARTING = ("runstore.recording.starting",)
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


def be_ready(needed: tuple[str, ...]) -> None:
    """Load the modules for a part of recording; fast if they are loaded.

    Args:
        needed: The modules, such as `POINTS`.

    Raises:
        StoreUnavailableError: The program has used all descriptors and the reserve.
        OSError: A module cannot be read.
        ImportError: The interpreter is being shut down.
    """
    if needed in _loaded:
        return
    # A child that is forked while another thread imports could never import the same.
    with inside_the_engine(), Uninterrupted(), Uncollected():
        # Logging and printing do not wait: values are held.
        try:
            _loaded_soon(needed, () if needed in {POINTS, OUTPUT} else _PAUSES_S)
        except genuine(OSError, ImportError) as error:
            if is_used_up(error):
                raise _too_few_files() from error
            raise
    _loaded.append(needed)


def _too_few_files() -> StoreUnavailableError:
    return too_few_files(
        f"A part of runstore could not be loaded: {os.strerror(errno.EMFILE)}.",
        "What was recorded before is kept; this call recorded nothing.",
    )


def _loaded_soon(needed: tuple[str, ...], pauses_s: tuple[float, ...]) -> None:
    """Load modules; wait if another thread has taken the descriptors of the reserve."""
    for pause_s in pauses_s:
        with suppressed(OSError, ImportError):
            return _load(needed)
        time.sleep(pause_s)
    return _load(needed)


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
        except genuine(OSError, ImportError) as why:
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


class Uncollected:
    """Defers garbage collection to the end of a block, as finalizers may run any code.

    If several threads are inside such blocks, the last one to leave turns it on again.
    """

    # An entry for each thread inside, and whether one of them has turned it off.
    _inside: ClassVar[list[None]] = []
    _has_turned_off = False

    def __enter__(self) -> None:
        self._inside.append(None)
        if gc.isenabled():
            gc.disable()
            Uncollected._has_turned_off = True

    def __exit__(self, *error: object) -> None:
        with suppress(IndexError):  # forked inside
            self._inside.pop()
        if not self._inside:
            self.end_all()

    @classmethod
    def end_all(cls) -> None:
        """Collect again, also in a forked child, which lacks the other threads."""
        cls._inside.clear()
        if cls._has_turned_off:
            cls._has_turned_off = False
            gc.enable()


os.register_at_fork(after_in_child=Uncollected.end_all)
