"""Writing the output of a run to a disk that accepts it, and reading it again."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

from runstore.errors import RunstoreError, genuine, suppressed
from runstore.storage.files.output import LETTERS, OutputFile
from runstore.storage.files.spool import OUTPUT_SUFFIX, Spool, new_name, write_copy
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.forks import LiveSet
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.recording.output.masked import LineMasker

# Maximum output in memory while no disk can be written.
_HELD_BYTES = 1 << 22
_RETRY_S = 1.0
# How long the end waits for a thread that is writing.
_LOOKS, _LOOK_EVERY_S = 5000, 0.001

_IF_UNREADABLE = {
    "output": "The output is kept.",
    "mask-output": "Secrets in the output are masked.",
}

# Every keeper of this process.
_keepers: LiveSet[OutputKeeper] = LiveSet()


def on_by_settings(setting: str, here: str | None = None) -> bool:
    """Return whether `output` or `mask-output` is on for a folder, or cannot be read."""
    from runstore.config import is_on

    try:
        return is_on(setting, here)
    except RunstoreError as error:
        warn(f"{error} {_IF_UNREADABLE[setting]}")
        return True


class OutputKeeper:
    """Records the output of this process for a run, on any disk that accepts it.

    The settings are those of the project that `here` is in; None for the working directory.
    """

    _masker: LineMasker | None

    def __init__(
        self,
        spool: Spool,
        uid: str,
        *,
        is_masked: bool | None = None,
        is_wanted: bool = True,
        here: str | None = None,
    ) -> None:
        self._spool = spool
        self._uid = uid
        self._is_wanted = False
        self._masker_class: type[LineMasker] | None = None
        self._here = here
        self._begin_in_this_process()
        self.decide(is_wanted=is_wanted, is_masked=is_masked)
        _keepers.add(self)

    def decide(self, *, is_wanted: bool, is_masked: bool | None = None) -> None:
        """Set whether and how output is kept; output received so far is not affected."""
        if is_masked is None and is_wanted and not self._is_wanted:
            is_masked = on_by_settings("mask-output", self._here)
        if is_masked and is_wanted and self._masker is None:
            from runstore.recording.output.masked import LineMasker

            self._masker_class = LineMasker
            self._masker = LineMasker()
        self._is_wanted = self._is_wanted or is_wanted

    def _begin_in_this_process(self) -> None:
        self._pid = os.getpid()
        self._file: OutputFile | None = None
        self._held: list[tuple[bytes, bytes]] = []
        self._held_bytes = 0
        self._retry_at = 0.0
        self._is_closed = False
        # Output received during a write, by another thread or before an interruption,
        # is written by the current writer: no thread waits here.
        self._coming: deque[tuple[bytes, bytes]] = deque()
        self._turn: dict[str, tuple[int]] = {}
        self._path: Path | None = None
        self._masker = None if self._masker_class is None else self._masker_class()

    def after_fork(self) -> None:
        """Write to a separate file in a forked child."""
        if self._file is not None:
            self._file.leave_to_parent()
        is_closed = self._is_closed
        self._begin_in_this_process()
        self._is_closed = is_closed

    def feed(self, stream: str, data: bytes) -> None:
        """Keep output of a stream; it never fails."""
        if self._is_wanted and not self._is_closed:
            self._coming.append((LETTERS[stream], data))
            self._write_what_came()

    def _write_what_came(self) -> bool:
        """Write all received output, and close on request; return False if another thread does."""
        mine = (threading.get_ident(),)
        while True:
            if self._turn.setdefault("", mine) is not mine:
                return False
            try:
                if self._held and time.monotonic() >= self._retry_at:
                    self._release()
                while self._coming:
                    letter, data = self._coming.popleft()
                    if self._masker is not None:
                        data = self._masker.passed(letter, data)
                    if data:
                        self._feed(letter, data)
                if self._is_closed:
                    for rest in () if self._masker is None else self._masker.rest():
                        self._feed(*rest)
                    self._close_file()
            finally:
                del self._turn[""]
            if not self._coming and not (self._is_closed and self._file):
                return True

    def _feed(self, letter: bytes, data: bytes) -> None:
        if self._held:
            self._hold(letter, data)
            return
        try:
            if self._file is not None and self._file.is_open:
                self._file.feed(letter, data)
            else:
                self._begin_file(letter, data)
        except genuine(OSError) as error:
            self._let_go(error)
            try:
                self._begin_file(letter, data)
            except genuine(OSError):
                self._hold(letter, data)

    def _begin_file(self, letter: bytes, data: bytes) -> None:
        """Write to a new file, in the first folder with room for the data."""

        def begun(place: Path) -> OutputFile:
            file = OutputFile(place / f"{new_name(self._uid)}{OUTPUT_SUFFIX}")
            try:
                file.feed(letter, data)
            except genuine(OSError):
                file.give_up()
                raise
            return file

        self._file = with_room(lambda: self._spool.in_first_place(begun))
        self._path = self._file.path

    def _let_go(self, error: OSError) -> None:
        """Abandon a file that cannot be written; the next may be in another folder."""
        if self._file is not None:
            self._file.give_up()
            warn(f"{self._file.path} could not be written: {error.strerror}.")
        self._file = None

    def _hold(self, letter: bytes, data: bytes) -> None:
        if not self._held:
            self._retry_at = time.monotonic() + _RETRY_S
        if self._held_bytes < _HELD_BYTES:
            self._held.append((letter, data))
            self._held_bytes += len(data)

    def _release(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        for letter, data in held:
            self._feed(letter, data)

    def close(self) -> Path | None:
        """Stop recording, and return the file; None if there was no output."""
        if self._pid != os.getpid():
            return None
        self._is_closed = True
        for _ in range(_LOOKS):
            if self._write_what_came():
                break
            if self._turn.get("") == (threading.get_ident(),):
                break  # this is an interruption: the file is closed when writing continues
            time.sleep(_LOOK_EVERY_S)
        return self._path

    def _close_file(self) -> None:
        if self._held:
            self._release()
        lost, file = self._held_bytes, self._file
        self._file, self._held, self._held_bytes = None, [], 0
        if lost:
            warn(f"{lost:,} bytes of output were lost: no disk could be written.")
        if file is not None:
            with suppressed(OSError):
                self._rescue(file)
            with suppressed(OSError):
                file.close()

    def _rescue(self, file: OutputFile) -> None:
        """Write a file again that was deleted; nobody imports it before it is closed."""
        saved = file.saved()
        if saved is not None:
            self._spool.in_first_place(lambda place: write_copy(place, file.path, saved))


def _after_fork_in_child() -> None:
    for keeper in list(_keepers):
        keeper.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
