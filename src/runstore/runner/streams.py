"""The output of a command: shown as it comes, and kept."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runstore.active import warn

_CHUNK_BYTES = 1 << 16
# How long to listen on after the command has ended, to what it left in the background.
_AFTER_END_S = 0.2


@dataclass(slots=True)
class _Channel:
    """One stream of the command.

    Attributes:
        read_end: Where its output arrives; -1 when nobody listens any more.
        shown_on: Descriptor that it is shown on.
        write_end: What the command writes to.
        is_terminal: Whether it is a pseudo-terminal.
    """

    read_end: int
    shown_on: int
    write_end: int
    is_terminal: bool


class Streams:
    """stdout and stderr of a command, on their way to ours and into a file.

    Where ours is a terminal, the command gets one as well: programs colour and buffer by it.

    Args:
        kept_in: The file; made new. What arrives is kept as it is, both streams in one.
    """

    def __init__(self, kept_in: Path) -> None:
        self._path = kept_in
        self._file = -1
        try:
            kept_in.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(kept_in, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            self._cannot_keep(error)
        self._channels = [_open_channel(1), _open_channel(2)]
        self._ended = threading.Event()
        self._pump = threading.Thread(target=self._carry, name="runstore-output", daemon=True)

    @property
    def write_ends(self) -> tuple[int, int]:
        """What the command gets as its descriptors 1 and 2."""
        return self._channels[0].write_end, self._channels[1].write_end

    def begin(self) -> None:
        """Begin to carry; the command has its ends by now."""
        for channel in self._channels:
            os.close(channel.write_end)
        self._pump.start()

    def end(self) -> None:
        """Carry the rest; what a process in the background still holds open is let go."""
        self._ended.set()
        self._pump.join()
        for channel in self._channels:
            if channel.read_end >= 0:
                os.close(channel.read_end)
        if self._file >= 0:
            os.close(self._file)

    def resized(self) -> None:
        """Tell the command's terminal the size of ours."""
        for channel in self._channels:
            if channel.is_terminal and channel.read_end >= 0:
                _copy_size(channel.shown_on, channel.read_end)

    def _carry(self) -> None:
        quiet_since_end = False
        while True:
            waiting = {one.read_end: one for one in self._channels if one.read_end >= 0}
            if not waiting:
                return
            patience = _AFTER_END_S if self._ended.is_set() else 1.0
            ready = select.select(list(waiting), [], [], patience)[0]
            for descriptor in ready:
                self._carry_some(waiting[descriptor])
            if not ready and self._ended.is_set():
                if quiet_since_end:
                    return
                quiet_since_end = True

    def _carry_some(self, channel: _Channel) -> None:
        try:
            data = os.read(channel.read_end, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # a pseudo-terminal's way to say that it is over
                raise
            data = b""
        if not data:
            self._close(channel)
            return
        self._keep(data)
        try:
            _write_all(channel.shown_on, data)
        except OSError:
            # Nobody looks any more (`| head`): the command learns it as it would without us.
            self._close(channel)

    def _keep(self, data: bytes) -> None:
        if self._file < 0:
            return
        try:
            _write_all(self._file, data)
        except OSError as error:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1
            self._cannot_keep(error)

    def _cannot_keep(self, error: OSError) -> None:
        warn(f"From here on the output is shown but not kept in {self._path}: {error.strerror}.")

    @staticmethod
    def _close(channel: _Channel) -> None:
        os.close(channel.read_end)
        channel.read_end = -1


def _open_channel(shown_on: int) -> _Channel:
    if not os.isatty(shown_on):
        read_end, write_end = os.pipe()
        return _Channel(read_end, shown_on, write_end, is_terminal=False)
    import pty
    import tty

    read_end, write_end = pty.openpty()
    # Bytes arrive as they were written; the real terminal does what terminals do to them.
    tty.setraw(write_end)
    _copy_size(shown_on, write_end)
    return _Channel(read_end, shown_on, write_end, is_terminal=True)


def _copy_size(source: int, target: int) -> None:
    import fcntl
    import termios

    with suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8)))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # a terminal that another program made non-blocking
            select.select([], [descriptor], [])


def flush_own() -> None:
    """Write out what this process has printed, so that it stands before the command's output."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
