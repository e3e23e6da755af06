"""What a run prints: kept while it is shown as ever, and read again."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from runstore.errors import NotFoundError, StoreCorruptError
from runstore.model.output import LOGGING, STDERR, STDOUT, OutputLine
from runstore.model.run import Run
from runstore.storage.output import LETTERS, OutputFile, Tail, read_lines
from runstore.storage.spool import OUTPUT_SUFFIX, Spool
from runstore.user_warnings import warn

if TYPE_CHECKING:
    import logging

    from runstore.store import Store

# What waits in memory while no disk takes it.
_HELD_BYTES = 1 << 22
_RETRY_S = 1.0


def new_output_path(place: Path, uid: str) -> Path:
    """Return the name of a new file of printed lines; later ones come later in order."""
    return place / f"{uid}.{time.time_ns():020d}{OUTPUT_SUFFIX}"


class OutputKeeper:
    """Keeps what this process prints for a run, on whatever disk takes it.

    Args:
        spool: Where it is kept while the run goes on.
        uid: The run.
    """

    def __init__(self, spool: Spool, uid: str) -> None:
        self._spool = spool
        self._uid = uid
        self._lock = threading.RLock()
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        self._pid = os.getpid()
        self._file: OutputFile | None = None
        self._held: list[tuple[bytes, bytes]] = []
        self._held_bytes = 0
        self._retry_at = 0.0
        self._is_closed = False

    def feed(self, stream: str, data: bytes) -> None:
        """Keep what a stream printed; never an error."""
        if self._pid != os.getpid():  # a forked child writes a file of its own
            self._lock = threading.RLock()
            self._begin_in_this_process()
        with self._lock:
            if self._is_closed:
                return
            if self._held and time.monotonic() >= self._retry_at:
                self._release()
            self._feed(LETTERS[stream], data)

    def _feed(self, letter: bytes, data: bytes) -> None:
        if self._held:
            self._hold(letter, data)
            return
        try:
            self._opened().feed(letter, data)
        except OSError as error:
            self._let_go(error)
            try:
                self._opened().feed(letter, data)
            except OSError:
                self._hold(letter, data)

    def _opened(self) -> OutputFile:
        if self._file is None:
            self._file = self._spool.in_first_place(
                lambda place: OutputFile(new_output_path(place, self._uid))
            )
        return self._file

    def _let_go(self, error: OSError) -> None:
        """Leave a file that takes no more; the next one may lie elsewhere."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            warn(f"{self._file.path} takes no more output: {error.strerror}.")
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
        """Keep no more, and return the file; None where nothing was printed here."""
        if self._pid != os.getpid():
            return None
        with self._lock:
            if self._held:
                self._release()
            self._is_closed = True
            lost, file = self._held_bytes, self._file
            self._file, self._held = None, []
            if lost:
                warn(f"{lost:,} bytes of output could not be kept: no disk took them.")
            if file is not None:
                with suppress(OSError):
                    file.close()
            return None if file is None else file.path


class KeptStream(io.TextIOBase):
    """A text stream that passes on what is written to it, and keeps a copy.

    Args:
        shown: The stream that was there before.
        name: `stdout` or `stderr`.
        keeper: What keeps the copy.
    """

    def __init__(self, shown: TextIO, name: str, keeper: OutputKeeper) -> None:
        self.shown = shown
        self._name = name
        self._keeper = keeper

    def write(self, text: str) -> int:
        """Write to the stream that was there before, and keep it."""
        # What is no text is refused there, as it would be without us.
        written = self.shown.write(text)
        self._keeper.feed(self._name, text.encode(errors="replace"))
        return written

    def flush(self) -> None:
        """Flush the stream that was there before."""
        self.shown.flush()

    def __getattr__(self, name: str) -> Any:
        # Programs ask for the encoding, the underlying buffer …
        return getattr(self.shown, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream that was there before."""
        return self.shown.encoding

    def isatty(self) -> bool:
        """Tell whether it is shown on a terminal."""
        return self.shown.isatty()

    def fileno(self) -> int:
        """Return the descriptor that it is shown on."""
        return self.shown.fileno()

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True


class KeptOutput:
    """What Python code of this process prints and logs, kept for one run from here on.

    Args:
        spool: Where it is kept while the run goes on.
        uid: The run.
    """

    def __init__(self, spool: Spool, uid: str) -> None:
        self._keeper = OutputKeeper(spool, uid)
        self._streams: list[KeptStream] = []
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []

    def keep_streams(self) -> None:
        """Keep what is printed to `sys.stdout` and `sys.stderr`; asking twice changes nothing."""
        if self._streams:
            return
        for name in (STDOUT, STDERR):
            shown = getattr(sys, name)
            if shown is not None:  # Python's word for one that is closed
                self._streams.append(KeptStream(shown, name, self._keeper))
                setattr(sys, name, self._streams[-1])

    def keep_logging(self, logger: logging.Logger, level: int) -> None:
        """Keep the records of a logger and those below it."""
        handler = _handler(self._keeper, level)
        logger.addHandler(handler)
        self._handlers.append((logger, handler))

    def close(self) -> Path | None:
        """Leave the streams as they were, and return the file; None where nothing came."""
        for name, stream in zip((STDOUT, STDERR), self._streams, strict=False):
            # Whoever put another one over ours goes on to write through it.
            if getattr(sys, name) is stream:
                setattr(sys, name, stream.shown)
        for logger, handler in self._handlers:
            logger.removeHandler(handler)
        return self._keeper.close()


def _handler(keeper: OutputKeeper, level: int) -> logging.Handler:
    import logging

    class _Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                text = self.format(record)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                self.handleError(record)  # a record whose parts do not fit; said as ever
                return
            keeper.feed(LOGGING, (text + "\n").encode(errors="replace"))

    handler = _Kept(level)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    return handler


def lines_of(store: Store, run: Run) -> Iterator[OutputLine]:
    """Yield what a run printed, in the order of its printing, up to now.

    Raises:
        NotFoundError: What was kept is gone.
        StoreCorruptError: It was changed or damaged.
    """
    parts = store.artifacts.table.outputs_of(run.uid)
    files = [store.artifacts.objects.whole(one.digest, one.size_bytes) for one in parts]
    seen = {one.part for one in parts}
    files += [path for path in store.spool.output_files(run.uid) if path.name not in seen]
    return read_lines(files)


def text_of(store: Store, run: Run) -> str | None:
    """Return all that a run printed as one text, without colours; None for nothing.

    Files that are gone or damaged are left out.
    """
    from runstore.model.output import plain_text

    parts = [one for one in store.artifacts.table.outputs_of(run.uid) if one.size_bytes]
    seen = {one.part for one in parts}
    files = [
        path
        for path in store.spool.output_files(run.uid)
        if path.name not in seen and path.stat().st_size
    ]
    if not parts and not files:
        return None
    kept = []
    for one in parts:
        with suppress(NotFoundError, StoreCorruptError):
            kept.append(store.artifacts.objects.whole(one.digest, one.size_bytes))
    return "\n".join(plain_text(line.text) for line in read_lines([*kept, *files]))


class Follower:
    """Follows what a run prints, until it has ended.

    Args:
        store: Where the run is kept.
        uid: The run.
    """

    def __init__(self, store: Store, uid: str) -> None:
        self._store = store
        self._uid = uid
        self._tails: dict[str, Tail] = {}

    def poll(self) -> tuple[list[OutputLine], OutputLine | None, bool]:
        """Return new whole lines, a line that is open, and whether the run has ended."""
        # Asked first: what was printed before the end is found then.
        has_ended = self._store.get(self._uid).status.is_final
        for path in self._paths():
            if path.name not in self._tails:
                with suppress(FileNotFoundError):  # taken in this moment
                    self._tails[path.name] = Tail(path)
        whole: list[OutputLine] = []
        last: OutputLine | None = None
        for tail in self._tails.values():
            new, is_open = tail.lines()
            whole += new
            last = is_open or last
        return sorted(whole, key=lambda line: line.at), last, has_ended

    def _paths(self) -> Iterator[Path]:
        yield from self._store.spool.output_files(self._uid)
        artifacts = self._store.artifacts
        for one in artifacts.table.outputs_of(self._uid):
            if one.part not in self._tails:
                kept = artifacts.objects.whole(one.digest, one.size_bytes)
                with suppress(FileNotFoundError):
                    self._tails[one.part] = Tail(kept)

    def close(self) -> None:
        """Let go of the files."""
        for tail in self._tails.values():
            tail.close()
