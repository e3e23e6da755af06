"""Loading all that recording needs, before a signal handler or a finalizer may need it.

A module that is being imported cannot be used by whoever interrupts its import. So what recording
loads late, to start quickly, is loaded at once and without interruption: handlers that are due
meanwhile are called afterwards.
"""

from __future__ import annotations

import gc
import importlib
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from runstore.storage.drivers.forks import inside_the_engine

# What logging needs, which most runs do.
POINTS = (
    "json",
    "random",
    "runstore.logging_points",
    "runstore.storage.chunks",
    "runstore.storage.metrics",
)
EVERYTHING = (
    *POINTS,
    "csv",
    "hashlib",
    "tempfile",
    "runstore.artifacts",
    "runstore.model.late_params",
    "runstore.model.parameter_sets",
    "runstore.naming",
    "runstore.put_aside",
    "runstore.saving",
    "runstore.previews",
    "runstore.storage.artifacts",
    "runstore.storage.edits",
    "runstore.storage.fact_index",
    "runstore.storage.late_params",
    "runstore.storage.objects",
    "runstore.tags",
)
# Python's own, which does nothing: the event loop hears of the signal in another way.
_OF_THE_LOOP = "_sighandler_noop"


def be_ready(needed: tuple[str, ...] = EVERYTHING) -> None:
    """Load what a part of recording needs; quick when that was done.

    Args:
        needed: `POINTS` for logging, which starts quickly, or `EVERYTHING`.
    """
    if needed in _loaded:
        return
    # A child that is forked while another thread imports could never import the same.
    with inside_the_engine(), _Uninterrupted():
        for name in needed:
            importlib.import_module(name)
    _loaded.append(needed)


_loaded: list[tuple[str, ...]] = []


class _Uninterrupted:
    """Let Python's signal handlers and the garbage collector wait for the end of a block."""

    def __enter__(self) -> None:
        self._due: list[int] = []
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._collects = gc.isenabled()
        gc.disable()
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler) and getattr(handler, "__name__", "") != _OF_THE_LOOP:
                    try:
                        signal.signal(number, lambda due, _frame: self._due.append(due))
                    except ValueError:  # the main thread of a subinterpreter gets no signals
                        break
                    self._handlers[number] = handler

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._collects:
            gc.enable()
        for number in self._due:
            self._handlers[number](number, sys._getframe())  # noqa: SLF001 - as Python calls it
