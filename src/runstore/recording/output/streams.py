"""The output of Python code in this process, kept for its runs and shown as usual."""

from __future__ import annotations

import io
import os
import sys
from codecs import getincrementaldecoder, lookup
from collections import deque
from contextlib import suppress
from threading import get_ident
from time import monotonic

from runstore import current
from runstore.errors import genuine, suppressed
from runstore.recording.readiness import OUTPUT, be_ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from codecs import IncrementalDecoder
    from collections.abc import Iterable
    from typing import Any, TextIO

    from runstore.recording.output.keeper import OutputKeeper
    from runstore.recording.output.records import KeptRecords
    from runstore.storage.files.spool import Spool

# As in `runstore.model.text.output`, which is slow to load.
STDOUT, STDERR = "stdout", "stderr"

# If `print` writes a line in parts, the first part is kept at once.
_PARTS_WAIT_S = 0.1


class _Takers:
    """The runs that keep the output of one stream."""

    def __init__(self) -> None:
        self.outputs: tuple[KeptOutput, ...] = ()

    def feed(self, name: str, data: bytes) -> None:
        """Keep output for the current run and its ancestors.

        Parallel runs, in threads or tasks, do not get each other's output.
        """
        run = current.innermost()
        for one in self.outputs:
            of = one.execution
            is_its_own = run is None or of.uid in run.lineage or not of.was_current
            # A kept log record is not kept again when it is shown.
            if is_its_own and not (one.showing and get_ident() in one.showing):
                one.feed(name, data)


class _Shared:
    """The common base of all kept streams."""

    shown: TextIO
    takers: _Takers

    def begin(self, output: KeptOutput) -> None:
        """Add a run that keeps the output."""
        self.takers.outputs += (output,)

    def end(self, output: KeptOutput) -> None:
        """Remove a run that keeps the output."""
        self.takers.outputs = tuple(one for one in self.takers.outputs if one is not output)


class _KeptBytes(io.BufferedIOBase):
    """The bytes of a kept text stream: passed on, and kept.

    Programs write to `sys.stdout.buffer`, or wrap it again with another encoding.
    """

    def __init__(self, shown: Any, name: str, takers: _Takers) -> None:
        self._shown = shown  # of bytes, buffered or not
        self._name = name
        self._takers = takers
        self._encoding = "utf-8"
        self._decoder: IncrementalDecoder | None = None
        self.shows_parts = False  # each part of a line at once
        # Parts of a line that are shown but not yet kept.
        self._parts: deque[bytes] = deque()
        self._kept_at = 0.0

    def decode_as(self, encoding: str) -> None:
        """Decode output with this encoding; it is kept as UTF-8."""
        if encoding != self._encoding:
            self._encoding = encoding
            name = lookup(encoding).name
            if name in {"utf-16", "utf-32"}:  # without a byte order mark in mid-stream
                name += "-le" if sys.byteorder == "little" else "-be"
            self._decoder = None if name == "utf-8" else getincrementaldecoder(name)("replace")

    def write(self, data: Any) -> int:
        count = self._shown.write(data)
        if type(data) is not bytes or count != len(data):
            data = self._with_rest(memoryview(data).cast("B"), count)
        kept = data
        if self._decoder is not None:
            kept = self._decoder.decode(kept).encode(errors="replace")
        if self._parts or (self.shows_parts and not kept.endswith(b"\n")):
            self._keep_in_parts(kept)
        else:
            self._takers.feed(self._name, kept)
        return len(data)

    def _with_rest(self, view: memoryview, written: int | None) -> bytes:
        """Write the rest after a partial write of an unbuffered stream; return the whole."""
        count = written
        while count and written is not None and written < len(view):
            count = self._shown.write(view[written:])
            written += count or 0
        return bytes(view[: written or 0])

    def _keep_in_parts(self, data: bytes) -> None:
        """Keep output that arrives in parts; the parts of one `print` call together."""
        self._parts.append(data)
        now = monotonic()
        if data.endswith(b"\n") or now - self._kept_at > _PARTS_WAIT_S:
            self._kept_at = now
            self.keep_parts()

    def keep_parts(self) -> None:
        """Keep the parts received so far."""
        parts = []
        with suppress(IndexError):  # another thread may take some
            while self._parts:
                parts.append(self._parts.popleft())
        if parts:
            self._takers.feed(self._name, b"".join(parts))

    def flush(self) -> None:
        self.keep_parts()
        # Also called when this object is collected, perhaps after the other was closed.
        if not self._shown.closed:
            self._shown.flush()

    # Read at each write: the base class's is much slower.
    closed = False

    def close(self) -> None:
        """Detach; the original stream stays open for its other users."""
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)

    # Attributes that the base class defines itself.

    def fileno(self) -> int:
        return int(self._shown.fileno())

    def isatty(self) -> bool:
        return bool(self._shown.isatty())

    def writable(self) -> bool:
        return bool(self._shown.writable())

    def seekable(self) -> bool:
        return bool(self._shown.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._shown.seek(offset, whence))

    def tell(self) -> int:
        return int(self._shown.tell())

    def truncate(self, size: int | None = None) -> int:
        return int(self._shown.truncate(size))


class _Lines(io.BufferedIOBase):
    """The target of a text stream on kept bytes: writes each line at once, at its end."""

    # Read at each write: the base class's is much slower.
    closed = False

    def __init__(self, kept: _KeptBytes) -> None:
        self._kept = kept
        self.write = kept.write  # type: ignore[method-assign]
        # Whether each line is shown at once.
        self.shows = False

    def flush(self) -> None:
        """Flush at the end of a line, if the original stream did."""
        if self.shows:
            self._kept.flush()

    def close(self) -> None:
        self.closed = True

    # Needed by the text stream when it is created.

    def writable(self) -> bool:
        return self._kept.writable()

    def seekable(self) -> bool:
        return self._kept.seekable()

    def tell(self) -> int:
        return self._kept.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._kept.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._kept.truncate(size)

    def fileno(self) -> int:
        return self._kept.fileno()

    def isatty(self) -> bool:
        return self._kept.isatty()


class _KeptText(_Shared, io.TextIOWrapper):
    """A standard text stream on kept bytes, with all its usual functions."""

    _flushes = True  # the original stream as well

    def __init__(self, shown: io.TextIOWrapper, name: str, takers: _Takers) -> None:
        shown.flush()
        self.shown = shown
        self.takers = takers
        self._bytes = _KeptBytes(shown.buffer, name, takers)
        self._lines = _Lines(self._bytes)
        super().__init__(
            self._lines,  # type: ignore[arg-type]  # it needs no name
            encoding=shown.encoding,
            errors=shown.errors,
            newline="\n",
            # A line is kept when `print` returns; it is shown as buffered as before.
            line_buffering=True,
            write_through=shown.write_through,
        )
        self._bytes.shows_parts = shown.write_through
        self._lines.shows = shown.line_buffering or shown.write_through
        self.__dict__["mode"] = getattr(shown, "mode", "w")  # as Python's own start sets it
        self._bytes.decode_as(shown.encoding)
        self._form = _form_of(shown)

    def is_as_new(self, shown: io.TextIOWrapper) -> bool:
        """Whether it can be reused for a stream that has not changed since."""
        if self.shown is not shown or self.closed or self._form != _form_of(shown):
            return False
        shown.flush()
        return True

    def begin(self, output: KeptOutput) -> None:
        super().begin(output)
        # Handlers of `logging` created earlier have the original stream: their output to
        # it is kept here, too.
        self.shown.write = self.write  # type: ignore[method-assign]

    def end(self, output: KeptOutput) -> None:
        # Closed or taken apart by the program, or its reader has gone.
        with suppressed(ValueError, OSError):
            super().flush()  # the part of a line that waits; it is shown as buffered as before
            self._bytes.keep_parts()
        super().end(output)
        if not self.takers.outputs:
            self.shown.__dict__.pop("write", None)

    @property
    def line_buffering(self) -> bool:
        """Whether each line is shown at once."""
        return self._lines.shows

    @property
    def buffer(self) -> Any:
        """The underlying bytes, which are kept as well."""
        return super().buffer and self._bytes

    def detach(self) -> Any:
        super().detach()
        return self._bytes

    def reconfigure(self, **options: Any) -> None:
        self._form = ()  # it is not as it was made
        shows_lines = options.pop("line_buffering", None)
        super().reconfigure(**options)
        self._bytes.decode_as(self.encoding)
        if options.get("write_through") is not None:
            self._bytes.shows_parts = bool(options["write_through"])
        if shows_lines is not None:
            self._lines.shows = bool(shows_lines)

    def flush(self) -> None:
        super().flush()
        if self._flushes and not self._bytes.closed:
            self._bytes.flush()

    def close(self) -> None:
        """Close the stream and the original one, as requested by the program."""
        is_in_use = bool(self.takers.outputs)
        if not is_in_use:
            # Collected, perhaps when the interpreter ends: a daemon thread may have died with
            # the lock of the original stream, and a flush would then abort the process. The
            # program may have wrapped our bytes, and write to them after that.
            self._lines.shows = self._flushes = False
        super().close()
        if is_in_use:
            self.shown.close()

    def __getattr__(self, name: str) -> Any:
        if name == "shown":  # before it is set
            raise AttributeError(name)
        return getattr(self.shown, name)


def _is_closed(stream: TextIO) -> bool:
    # Programs replace streams by objects that have only `write`.
    return bool(getattr(stream, "closed", False))


def _form_of(stream: io.TextIOWrapper) -> tuple[object, ...]:
    """Return the settings of a stream, unless its buffer was detached."""
    return stream.buffer, stream.encoding, stream.errors, stream.line_buffering


class _KeptStream(_Shared, io.TextIOBase):
    """A stream of any other kind, such as a notebook's: passes text on and keeps a copy."""

    def __init__(self, shown: TextIO, name: str, takers: _Takers) -> None:
        self.shown = shown
        self.takers = takers
        self._name = name

    def write(self, text: str) -> int:
        # Non-text is rejected there, or accepted, as it would be without us.
        written = self.shown.write(text)
        self.takers.feed(self._name, str(text).encode(errors="replace"))
        return written

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # as text is
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.shown.flush()

    def close(self) -> None:
        """Close the original stream, as requested by the program."""
        if self.takers.outputs:
            self.shown.close()

    def __del__(self) -> None:
        """Leave the original stream open."""

    def __getattribute__(self, name: str) -> Any:
        # Programs use the encoding, the underlying buffer, or attributes of this kind only.
        if name in _OWN or name.startswith("__"):
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("shown"), name)


_OWN = frozenset(
    {"shown", "_name", "takers", "begin", "end", "write", "writelines", "flush", "close"}
)


class _Forks:
    """The number of forks of this process: children keep their output in separate files."""

    count = 0


_forks = _Forks()


class KeptOutput:
    """The output and log records of this process, kept for one run from now on.

    The recorder is loaded and created on the first output: a run without output costs nothing.

    Args:
        spool: The spool, which has the output while the run is active.
        execution: The run.

    Attributes:
        showing: The threads that are showing a record of `logging` that is already kept.
    """

    def __init__(self, spool: Spool, execution: current.Executed) -> None:
        self.execution = execution
        self.showing: list[int] = []
        self._spool = spool
        # The settings are those of the folder that the run started in.
        self._here = _working_folder()
        self._keeper: OutputKeeper | None = None
        # Output received while nothing can be loaded.
        self._early: list[tuple[str, bytes]] = []
        self._is_beginning = False
        self._forks_before = _forks.count
        self._streams: dict[str, _KeptText | _KeptStream] = {}
        self._records: KeptRecords | None = None

    def keep_streams(self) -> None:
        """Keep the output to `sys.stdout` and `sys.stderr`; a repeated call has no effect."""
        if self._streams:
            return
        for name in (STDOUT, STDERR):
            shown = getattr(sys, name, None)
            if shown is None or _is_closed(shown):  # None is Python's value for a closed stream
                continue
            if isinstance(shown, (_KeptText, _KeptStream)):
                stream = shown  # of an outer or parallel run
            else:
                stream = _kept(shown, name)
                setattr(sys, name, stream)
            stream.begin(self)
            self._streams[name] = stream

    def keep_logging(self, logger: logging.Logger, level: int) -> None:
        """Keep the records of a logger and those below it, each once."""
        if self._records is None:
            from runstore.recording.output.records import KeptRecords

            self._records = KeptRecords(self)
        self._records.listen(logger, level)

    def keep_in_any_case(self, *, is_masked: bool | None = None) -> None:
        """Keep the output regardless of the settings."""
        if self._keeper is None:
            self._keeper = self._new_keeper(is_wanted=True, is_masked=is_masked)
        else:
            self._keeper.decide(is_wanted=True, is_masked=is_masked)

    def feed(self, name: str, data: bytes) -> None:
        """Keep output of a stream; it never fails."""
        keeper = self._keeper
        if keeper is None and not self._is_beginning:  # else this is a warning of the settings
            keeper = self._first_keeper()
        if keeper is None:
            self._early.append((name, data))
        else:
            keeper.feed(name, data)

    def _first_keeper(self) -> OutputKeeper | None:
        """Return the recorder of output; None if it cannot be loaded now."""
        self._is_beginning = True
        try:
            be_ready(OUTPUT)
            keeper = self._new_keeper()
        except genuine(OSError, ImportError):
            return None
        finally:
            self._is_beginning = False
        # Another thread or a signal handler may have been faster.
        first: OutputKeeper = self.__dict__.setdefault("_first", keeper)
        self._keeper = first
        while self._early:
            first.feed(*self._early.pop(0))
        return first

    def _new_keeper(
        self, *, is_wanted: bool | None = None, is_masked: bool | None = None
    ) -> OutputKeeper:
        from runstore.recording.output.keeper import OutputKeeper, on_by_settings

        if is_wanted is None:
            is_wanted = on_by_settings("output", self._here)
        return OutputKeeper(
            self._spool,
            self.execution.uid,
            is_masked=is_masked,
            is_wanted=is_wanted,
            here=self._here,
        )

    def close(self) -> bool:
        """Restore the streams; return whether there is output to import."""
        streams, self._streams = self._streams, {}
        for name, stream in streams.items():
            stream.end(self)
            # Other code may have wrapped ours, and continues to write through it.
            if getattr(sys, name, None) is stream:
                setattr(sys, name, _uncovered(stream))
        if self._records is not None:
            self._records.listen_no_more()
        keeper = self._keeper or (self._first_keeper() if self._early else None)
        path = None if keeper is None else keeper.close()
        return path is not None or self._forks_before != _forks.count


def _working_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - at every start
    except genuine(OSError):  # it was deleted
        return None


def _after_fork_in_parent() -> None:
    _forks.count += 1


os.register_at_fork(after_in_parent=_after_fork_in_parent)


# The last unused stream of each name, for reuse: programs start many runs.
_spare: dict[str, _KeptText] = {}


def _kept(shown: TextIO, name: str) -> _KeptText | _KeptStream:
    # Subclasses may override methods, which bypassing them would skip.
    if type(shown) is io.TextIOWrapper:
        # Its buffer was detached, or its text cannot be written now.
        with suppressed(ValueError, OSError):
            spare = _spare.get(name)
            if spare is not None and spare.is_as_new(shown):
                return spare
            _spare[name] = made = _KeptText(shown, name, _Takers())
            return made
    return _KeptStream(shown, name, _Takers())


def _uncovered(stream: TextIO) -> TextIO:
    """Return the original stream, below any streams that are no longer kept."""
    while isinstance(stream, (_KeptText, _KeptStream)) and not stream.takers.outputs:
        stream = stream.shown
    return stream
