"""What Python code of this process prints and logs, kept for a run while it is shown as ever."""

from __future__ import annotations

import io
import logging
import sys
from codecs import getincrementaldecoder, lookup
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from runstore.model.text.output import LOGGING, STDERR, STDOUT
from runstore.recording.output.keeper import OutputKeeper

if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from collections.abc import Callable
    from pathlib import Path

    from runstore.storage.files.spool import Spool


class _KeptBytes(io.BufferedIOBase):
    """The bytes below a kept text stream: passed on, and kept.

    Programs write to `sys.stdout.buffer`, or wrap it anew with another encoding.

    Args:
        shown: The stream of bytes that was there before.
        name: `stdout` or `stderr`.
        keeper: What keeps the copy.
    """

    def __init__(self, shown: Any, name: str, keeper: OutputKeeper) -> None:
        self._shown = shown  # of bytes, buffered or not
        self._name = name
        self._keeper = keeper
        self._encoding = "utf-8"
        self._decoder: IncrementalDecoder | None = None

    def decode_as(self, encoding: str) -> None:
        """Take what comes as text of this encoding; UTF-8 is what is kept."""
        if encoding != self._encoding:
            self._encoding = encoding
            is_utf8 = lookup(encoding).name == "utf-8"
            self._decoder = None if is_utf8 else getincrementaldecoder(encoding)("replace")

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            # Below an unbuffered stream, a call may write a part.
            count = self._shown.write(view[written:])
            if count is None:
                break
            written += count
        kept = bytes(view[:written])
        if self._decoder is not None:
            kept = self._decoder.decode(kept).encode(errors="replace")
        self._keeper.feed(self._name, kept)
        return written

    def flush(self) -> None:
        # Also called when this object is collected, perhaps after the other was closed.
        if not self._shown.closed:
            self._shown.flush()

    def close(self) -> None:
        """Let go; the stream that was there before stays open for those who have it."""
        if not self.closed:
            super().close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)

    # What the base class answers for itself.

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


class _KeptText(io.TextIOWrapper):
    """A text stream of Python's own kind above kept bytes: all that programs do with it works.

    Args:
        shown: The stream that was there before.
        name: `stdout` or `stderr`.
        keeper: What keeps the copy.
    """

    def __init__(self, shown: io.TextIOWrapper, name: str, keeper: OutputKeeper) -> None:
        shown.flush()
        self.shown = shown
        self.is_released = False
        self._bytes = _KeptBytes(shown.buffer, name, keeper)
        super().__init__(
            self._bytes,
            encoding=shown.encoding,
            errors=shown.errors,
            newline="\n",
            line_buffering=shown.line_buffering,
            # A line is kept when `print` returns; it is shown as buffered as before.
            write_through=True,
        )
        self.__dict__["mode"] = getattr(shown, "mode", "w")  # as Python's own start sets it
        self._bytes.decode_as(shown.encoding)

    def reconfigure(self, **options: Any) -> None:
        super().reconfigure(**options)
        self._bytes.decode_as(self.encoding)

    def close(self) -> None:
        """Close the stream, and the one that was there before, as the program asked."""
        super().close()
        if not self.is_released:
            self.shown.close()

    def __getattr__(self, name: str) -> Any:
        if name == "shown":  # before it is set
            raise AttributeError(name)
        return getattr(self.shown, name)


class _KeptStream(io.TextIOBase):
    """A stream of any other kind, such as a notebook's: passes text on, and keeps a copy.

    Args:
        shown: The stream that was there before.
        name: `stdout` or `stderr`.
        keeper: What keeps the copy.
    """

    def __init__(self, shown: TextIO, name: str, keeper: OutputKeeper) -> None:
        self.shown = shown
        self.is_released = False
        self._name = name
        self._keeper = keeper

    def write(self, text: str) -> int:
        # What is no text is refused there, as it would be without us.
        written = self.shown.write(text)
        self._keeper.feed(self._name, text.encode(errors="replace"))
        return written

    def flush(self) -> None:
        self.shown.flush()

    def close(self) -> None:
        """Close the stream that was there before, as the program asked."""
        if not self.is_released:
            self.shown.close()

    def __del__(self) -> None:
        """Leave the other stream open; it has its own life."""

    def __getattribute__(self, name: str) -> Any:
        # Programs ask for the encoding, the underlying buffer, what only this kind has …
        if name in _OWN or name.startswith("__"):
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("shown"), name)


_OWN = frozenset({"shown", "is_released", "_name", "_keeper", "write", "flush", "close"})


class KeptOutput:
    """What Python code of this process prints and logs, kept for one run from here on.

    Args:
        spool: Where it is kept while the run goes on.
        uid: The run.
        is_masked: Whether secrets are masked; None for what the project's settings say.
    """

    def __init__(self, spool: Spool, uid: str, *, is_masked: bool | None = None) -> None:
        self._keeper = OutputKeeper(spool, uid, is_masked=is_masked)
        self._streams: dict[str, _KeptText | _KeptStream] = {}
        self._levels: dict[logging.Logger, int] = {}
        self._handler = _Handler(self._keeper)

    def keep_streams(self) -> None:
        """Keep what is printed to `sys.stdout` and `sys.stderr`; asking twice changes nothing."""
        if self._streams:
            return
        for name in (STDOUT, STDERR):
            shown = getattr(sys, name, None)
            if shown is not None and not shown.closed:  # None is Python's word for a closed one
                self._streams[name] = _kept(shown, name, self._keeper)
                setattr(sys, name, self._streams[name])

    def keep_logging(self, logger: logging.Logger, level: int) -> None:
        """Keep the records of a logger and those below it, each once."""
        self._levels[logger] = level
        _listen(self)

    def take(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Keep a record that this logger passes to handlers; tell whether it was asked for."""
        asked: logging.Logger | None = logger
        while asked is not None:
            if record.levelno >= self._levels.get(asked, sys.maxsize):
                self._handler.handle(record)
                return True
            asked = asked.parent if asked.propagate else None
        return False

    def close(self) -> Path | None:
        """Leave the streams as they were, and return the file; None where nothing came."""
        for name, stream in self._streams.items():
            with suppress(ValueError):  # closed, or taken apart by the program
                stream.flush()
            stream.is_released = True
            # Whoever put another one over ours goes on to write through it.
            if getattr(sys, name, None) is stream:
                setattr(sys, name, _uncovered(stream))
        _listen_no_more(self)
        return self._keeper.close()


def _kept(shown: TextIO, name: str, keeper: OutputKeeper) -> _KeptText | _KeptStream:
    # Subclasses have ways of their own, which writing past them would leave out.
    if isinstance(shown, io.TextIOWrapper) and type(shown) in {io.TextIOWrapper, _KeptText}:
        with suppress(ValueError):  # its buffer was detached
            return _KeptText(shown, name, keeper)
    return _KeptStream(shown, name, keeper)


def _uncovered(stream: TextIO) -> TextIO:
    """Return the stream that was there before, and before others that are kept no more."""
    while isinstance(stream, (_KeptText, _KeptStream)) and stream.is_released:
        stream = stream.shown
    return stream


class _Handler(logging.Handler):
    """Keeps the text of records."""

    def __init__(self, keeper: OutputKeeper) -> None:
        super().__init__()
        self._keeper = keeper
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - code of the record's parts; said as every handler does
            self.handleError(record)
            return
        self._keeper.feed(LOGGING, (text + "\n").encode(errors="replace"))


# A handler of ours among those of a logger would not do: `logging.basicConfig` does nothing while
# there is one, and every later configuration removes it.
_listening: list[KeptOutput] = []
_is_in_place = False
_call_handlers: Callable[[logging.Logger, logging.LogRecord], None] = logging.Logger.callHandlers


def _call_handlers_and_keep(logger: logging.Logger, record: logging.LogRecord) -> None:
    taken = [output.take(logger, record) for output in tuple(_listening)]
    # What no handler takes, logging shows on stderr; this record was taken.
    if logger.hasHandlers() or not any(taken):
        _call_handlers(logger, record)


def _listen(output: KeptOutput) -> None:
    global _call_handlers, _is_in_place
    if not _is_in_place:
        _call_handlers, _is_in_place = logging.Logger.callHandlers, True
        logging.Logger.callHandlers = _call_handlers_and_keep  # type: ignore[method-assign,assignment]
    if output not in _listening:
        _listening.append(output)


def _listen_no_more(output: KeptOutput) -> None:
    global _is_in_place  # noqa: PLW0603 - the same
    if output in _listening:
        _listening.remove(output)
    # Whoever replaced ours in the meantime calls it, so it stays.
    if not _listening and logging.Logger.callHandlers is _call_handlers_and_keep:
        logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign,assignment]
        _is_in_place = False
