"""The output of this process, of its C code and of its child processes: shown, and kept.

Descriptors 1 and 2 lead to another process, which shows and keeps the output. A thread cannot do
that: code that prints and holds Python's lock would wait for a thread that waits for the lock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import runstore
from runstore.recording.output.keeper import on_by_settings
from runstore.runner.output_process import FOR_THE_EXPERIMENT
from runstore.runner.streams import flush_own, open_channels
from runstore.storage.sqlite.descriptors import identity_of
from runstore.user_warnings import warn

# The carrier needs this package and the standard library, not the rest of the user's setup. The
# library comes first: old packages beside this one may have the names of modules there.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from runstore.runner.output_process import carry_for_parent; carry_for_parent(sys.argv[2:])"
)
_PATIENCE_S = 10.0


@contextmanager
def kept(store_folder: Path, uid: str) -> Iterator[None]:
    """Keep the output of this process and its children within the block, for one run.

    If that is impossible, the output is only shown, and a warning says so.
    """
    flush_own()
    try:
        carried = _Carried(store_folder, uid)
    except OSError as error:
        warn(f"The output is shown but not kept: {error}.")
        yield
        return
    try:
        yield
    finally:
        flush_own()
        carried.end()


@contextmanager
def _blocked() -> Iterator[None]:
    """Block signals in this thread, and in a process until it ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_EXPERIMENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Carried:
    """Descriptors 1 and 2 on their way through a process of their own."""

    def __init__(self, store_folder: Path, uid: str) -> None:
        self._pid = os.getpid()
        self._shown = os.dup(1), os.dup(2)
        self._lock = threading.Lock()
        self._has_ended = False
        ended, self._end = os.pipe()
        self._channels = open_channels(self._shown)
        self._process = self._spawn(store_folder, uid, ended)
        os.close(ended)
        for place, channel in enumerate(self._channels, 1):
            os.dup2(channel.write_end, place)
            os.close(channel.write_end)
        # The experiment may close them, and open files of its own in their place.
        own = (self._end, *self._shown, *(one.read_end for one in self._channels))
        self._own = {one: identity_of(one) for one in own}
        with suppress(RuntimeError):  # no more threads: the carrier goes unwatched
            threading.Thread(target=self._watch, name="runstore-output", daemon=True).start()

    def _spawn(self, store_folder: Path, uid: str, ended: int) -> subprocess.Popen[bytes]:
        passed = [
            f"{one.read_end}:{one.shown_on}:{int(one.is_terminal)}" for one in self._channels
        ]
        package = str(Path(runstore.__file__).parents[1])
        program = [sys.executable, "-I", "-S", "-c", _PROGRAM, package]
        used = [ended, *self._shown, *(one.read_end for one in self._channels)]
        # A bare Python has nothing to read settings with.
        is_masked = str(int(on_by_settings("mask-output")))
        with _blocked():
            return subprocess.Popen(
                [*program, str(store_folder.absolute()), uid, str(ended), is_masked, *passed],
                stdin=subprocess.DEVNULL,
                pass_fds=used,
            )

    def _watch(self) -> None:
        """Show the output directly should the carrier be killed: a full pipe would stop all."""
        self._process.wait()
        with self._lock:
            if not self._has_ended:
                self._restore()
                self._show_rest()

    def _show_rest(self) -> None:
        for channel in self._channels:
            if not (self._is_own(channel.read_end) and self._is_own(channel.shown_on)):
                continue
            os.set_blocking(channel.read_end, False)
            with suppress(OSError):
                while data := os.read(channel.read_end, 1 << 16):
                    os.write(channel.shown_on, data)
        warn("The output is shown but no longer kept: the process that kept it was killed.")

    def _restore(self) -> None:
        self._has_ended = True
        for place, shown in enumerate(self._shown, 1):
            if self._is_own(shown):
                os.dup2(shown, place)

    def _is_own(self, descriptor: int) -> bool:
        return identity_of(descriptor) == self._own[descriptor]

    def _close(self, *descriptors: int) -> None:
        for one in filter(self._is_own, descriptors):
            os.close(one)

    def end(self) -> None:
        """Show the output directly again, once all that was printed is shown and kept.

        The output of a forked child that leaves the block is shown and kept as before.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            is_shown = self._has_ended
            if not is_shown:
                self._restore()
        self._close(self._end)
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            warn(
                "The last output is still being written; it is imported when the store is opened."
            )
            return
        if self._process.returncode and not is_shown:
            self._show_rest()
        self._close(*self._shown, *(one.read_end for one in self._channels))
