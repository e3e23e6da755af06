"""Lines that programs of any language write for their run: metrics, files, tags.

A program appends lines to the file named in `RUNSTORE_LOG`, and the process that executes the run
imports them. The format is documented in `docs/reference/spool.md`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time as clock
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore.errors import RunstoreError, UsageError, genuine, quoted, suppressed
from runstore.model.display.formatting import cropped
from runstore.model.logged.values import to_float
from runstore.model.status import Status
from runstore.storage.files.locks import lock_now, pause
from runstore.storage.files.safe_files import open_file, remove_file, stat_file
from runstore.storage.files.spool import LINES_SUFFIX, Spool, new_name
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.recording.active import ActiveRun
    from runstore.storage.backend import Backend

VARIABLE = "RUNSTORE_LOG"
_POLL_S = 0.2
# A child that a process forked just before it was killed has the lock until its program starts.
_PATIENCE_S = 1.0
_PAUSE_S = 0.01
_CHUNK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 20
# The head has the position up to which lines were imported; its length never changes.
_HEAD = "# runstore lines, taken in up to byte {:020d}\n"
_HEAD_BYTES = len(_HEAD.format(0))
_FOLDER = "# folder "
_OPTIONS = ("step", "time")
_INVALID = (ValueError, TypeError, OverflowError, RecursionError)
_SHOWN = 200  # characters of the reason why a line is invalid
_QUOTING = re.compile(r"[\"'\\\t\r\n]")


class Metrics(NamedTuple):
    """Values of one step.

    Attributes:
        values: Numbers by key.
        step: The step; None for the next step.
        time: Seconds since 1970; None for the current time.
    """

    values: dict[str, float]
    step: int | None = None
    time: float | None = None


class Saved(NamedTuple):
    """A file to save, and its artifact name; None for its own path."""

    path: str
    name: str | None = None


class Tagged(NamedTuple):
    """Tags to set."""

    tags: dict[str, str]


def parse_line(line: str) -> Metrics | Saved | Tagged | None:
    """Return the request in a line; None for an empty line or a comment.

    `loss=0.3 acc=0.9 step=10`, `{"loss": 0.3, "step": 10}`, `save out/model.bin [NAME]`,
    `tag phase=pilot`.

    Raises:
        UsageError: The line is not a valid request.
    """
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    try:
        if text.startswith("{"):
            return _metrics(json.loads(text))
        return _words(text)
    except _INVALID as error:
        raise _refused(text, f"line of {VARIABLE}", error) from None


def parse_metrics(words: Sequence[str]) -> Metrics:
    """Return the metrics of words such as `loss=0.3` and `step=10`.

    Raises:
        UsageError: A word is not a valid metric.
    """
    try:
        return _pairs(words)
    except _INVALID as error:
        raise _refused(" ".join(words), "metric", error) from None


def _refused(text: str, kind: str, error: Exception) -> UsageError:
    return UsageError(
        f"{quoted(text)} is not a valid {kind}: {cropped(str(error), _SHOWN)}.",
        hint="Write for example: loss=0.3 step=10",
    )


def _words(text: str) -> Metrics | Saved | Tagged:
    import shlex

    # Without quotes, a split at spaces is the same and takes a tenth of the time.
    is_plain = not _QUOTING.search(text)
    words = [one for one in text.split(" ") if one] if is_plain else shlex.split(text)
    if words[0] == "save" and len(words) in {2, 3}:
        return Saved(*words[1:])
    if words[0] == "tag" and len(words) > 1:
        return Tagged({key: value for key, _, value in (one.partition("=") for one in words[1:])})
    return _pairs(words)


def _pairs(words: Sequence[str]) -> Metrics:
    pairs = [word.rpartition("=") for word in words]
    if not all(key and separator for key, separator, _ in pairs):
        raise ValueError("expected key=value")
    return _metrics({key: value for key, _, value in pairs})


def _metrics(found: Any) -> Metrics:
    if not isinstance(found, dict):
        raise TypeError("expected an object")
    step, time = (found.get(name) for name in _OPTIONS)
    if isinstance(step, float) and not step.is_integer():
        raise ValueError("the step is not a whole number")
    values = {key: to_float(value) for key, value in found.items() if key not in _OPTIONS}
    if not values:
        raise ValueError("there is no metric")
    return Metrics(
        values, None if step is None else int(step), None if time is None else float(time)
    )


def text_of(metrics: Metrics) -> str:
    """Return the line for a request."""
    options = {"step": metrics.step, "time": metrics.time}
    said = {name: value for name, value in options.items() if value is not None}
    return json.dumps({**metrics.values, **said}) + "\n"


class LineFile:
    """The file to which a run's programs append lines; imported while it grows.

    The position in the head is updated after each line, so a line is only imported twice if this
    process is killed in between.

    Args:
        path: The file; created if it is missing.
        spool: Its spool. If other users can write there, requests to save files are ignored.
        folder: The base of relative paths; None to use the one recorded in the file.

    Raises:
        OSError: The file cannot be created or opened, or is not a regular file.
    """

    def __init__(self, path: Path, spool: Spool, folder: Path | None = None) -> None:
        self.path = path
        self._spool = spool
        self._head = -1  # written without O_APPEND, which ignores the position
        # Not inherited: the lock ends with this process.
        flags = os.O_RDWR | os.O_APPEND | (0 if folder is None else os.O_CREAT)
        self._file = open_file(path, flags, is_ours=True)
        self.is_mine = lock_now(self._file) is not False
        self._place = 0
        self._folder = folder
        self._wrong: list[str] = []
        if folder is not None:
            spool.vouch(path, self._file)
            head = _HEAD.format(_HEAD_BYTES) + f"{_FOLDER}{folder}\n"
            os.write(self._file, head.encode(errors="surrogateescape"))
        if os.pread(self._file, _HEAD_BYTES, 0).startswith(_HEAD[:20].encode()):
            self._head = open_file(path, os.O_WRONLY, is_ours=True)
            with suppress(ValueError):
                self._place = int(os.pread(self._file, 20, _HEAD_BYTES - 21))
            self._place = max(self._place, _HEAD_BYTES)

    def take_in(self, run: ActiveRun, *, is_over: bool = False, at: float | None = None) -> None:
        """Execute the requests in new lines, even an incomplete last one once the run is over.

        Lines without a time have that of `at`, in seconds since 1970.

        Raises:
            OSError: No disk accepts more points; the lines remain.
        """
        waiting = b""
        while data := os.pread(self._file, _CHUNK_BYTES, self._place + len(waiting)):
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                self._do(run, line, at)
                self._move_on(len(line) + 1)
            if len(waiting) > _LONGEST_LINE_BYTES:
                self._wrong.append("a line of more than a megabyte")
                self._move_on(len(waiting))
                waiting = b""
        if waiting and is_over:
            self._do(run, waiting, at)
            self._move_on(len(waiting))

    def _move_on(self, length: int) -> None:
        self._place += length
        if self._head >= 0:
            os.pwrite(self._head, _HEAD.format(self._place).encode(), 0)

    def _do(self, run: ActiveRun, line: bytes, at: float | None) -> None:
        text = os.fsdecode(line)
        if self._folder is None and text.startswith(_FOLDER):
            self._folder = Path(text.removeprefix(_FOLDER))
        try:
            asked = parse_line(text)
            if isinstance(asked, Metrics):
                if not run.execution.has_room_for_points():  # the line is on a disk
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                run.log(
                    asked.values, step=asked.step, time=at if asked.time is None else asked.time
                )
            elif isinstance(asked, Saved):
                self._save(run, asked)
            elif isinstance(asked, Tagged):
                run.tags.update(asked.tags)
        except RunstoreError as error:
            self._wrong.append(str(error))

    def _save(self, run: ActiveRun, asked: Saved) -> None:
        """Save a file named in a line.

        Raises:
            UsageError: Another user may have written the line, to read a private file.
        """
        if not self._spool.vouches(self.path, self._file):
            raise UsageError(
                f"The line that saves {asked.path!r} was ignored: its file was not made by"
                " runstore for this user on this machine.",
                hint=f"If the line is yours, save the file with: runstore save {asked.path}",
            )
        path = Path(self._folder or "", asked.path)
        run.save(asked.path if asked.name is None else asked.name, path)

    def end(self, run: ActiveRun) -> None:
        """Import the rest, warn about invalid lines, and remove the file."""
        self.take_in(run, is_over=True)
        self.remove()
        self.close()
        self.complain(run.reference)

    def remove(self) -> None:
        """Remove the file."""
        remove_file(self.path)
        self._spool.forget(self.path)

    def complain(self, reference: str) -> None:
        """Warn about lines that could not be imported."""
        if self._wrong:
            count = len(self._wrong)
            lines = "1 line was" if count == 1 else f"{count:,} lines were"
            first = "" if count == 1 else "The first: "
            warn(f"{lines} not imported for {reference}. {first}{self._wrong[0]}")

    def close(self) -> None:
        """Close the file."""
        for descriptor in (self._file, self._head):
            if descriptor >= 0:
                os.close(descriptor)


class LineTaker:
    """Imports the lines of a run's programs while they run, in a thread if possible.

    Attributes:
        path: The file to append to; it does not exist if no disk can be written.
    """

    def __init__(self, spool: Spool, run: ActiveRun) -> None:
        self._run = run
        name = f"{new_name(run.uid)}{LINES_SUFFIX}"
        try:
            folder = Path.cwd()
        except FileNotFoundError:  # deleted: only absolute paths are valid
            folder = Path("/")
        self._file: LineFile | None = None
        self._refusal: OSError | None = None
        try:
            self._file = spool.in_first_place(lambda place: LineFile(place / name, spool, folder))
        except genuine(OSError) as error:
            self._refusal = error
        self.path = os.devnull if self._file is None else str(self._file.path.absolute())
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        thread = threading.Thread(target=self._tend, name="runstore-lines", daemon=True)
        with suppress(RuntimeError):  # no more threads: everything is imported at the end
            thread.start()
            self._thread = thread

    def _tend(self) -> None:
        while self._file is not None and not self._ended.wait(_POLL_S):
            with suppressed(OSError):  # tried again
                self._file.take_in(self._run)

    def end(self) -> None:
        """Import the rest."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._file is None:
            reason = "" if self._refusal is None else f": {self._refusal.strerror}"
            warn(f"Lines that the command wrote to {VARIABLE} were not kept{reason}.")
            return
        try:
            self._file.end(self._run)
        except genuine(OSError) as error:
            warn(f"The last lines of {self._run.reference} are kept in {self.path}: {error}.")


def append(path: Path, metrics: Metrics) -> None:
    """Append a line to the file of a run; durable on return.

    Raises:
        OSError: The file cannot be written.
    """
    file = open_file(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, text_of(metrics).encode())
        os.fsync(file)
    finally:
        os.close(file)


def take_in_leftover(backend: Backend, path: Path, ended: Run) -> None:
    """Import a leftover file of a run that has ended, and remove it.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
    """
    from runstore.recording.active import ActiveRun

    run = ActiveRun(backend, ended, is_owner=False)
    run.execution.take_status(Status.RUNNING)  # as when the lines were written
    deadline = clock.monotonic() + _PATIENCE_S
    # Opened each time, because whoever has the lock may remove the file.
    while not _is_taken_in(path, backend.spool, run) and clock.monotonic() < deadline:
        pause(_PAUSE_S)
    run.execution.hand_in(is_last=True)


def _is_taken_in(path: Path, spool: Spool, run: ActiveRun) -> bool:
    """Import a file and remove it, unless it is locked."""
    with closing(LineFile(path, spool)) as file:
        if file.is_mine:
            file.take_in(run, is_over=True, at=stat_file(path).st_mtime)
            file.remove()
            file.complain(run.reference)
        return file.is_mine
