"""The output of a command: shown as it comes, and kept."""

from __future__ import annotations

import errno
import os
import select
import selectors
import stat
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from runstore.model.text.output import STDERR, STDOUT
from runstore.user_warnings import say

# `select` refuses descriptors above 1023; `poll` refuses terminals on macOS. Source: poll(2).
_Selector = selectors.SelectSelector if sys.platform == "darwin" else selectors.PollSelector
_CHUNK_BYTES = 1 << 16
# How long to read from background processes after the command has ended.
_AFTER_END_S = 0.2


class CommandStream:
    """One stream of a command.

    Args:
        name: `stdout` or `stderr`.
        read_end: Descriptor from which its output is read; -1 when it is closed.
        shown_on: Descriptor that it is shown on.
        write_end: Descriptor that the command writes to; -1 when it is closed here.
        is_terminal: Whether it is a pseudo-terminal.
    """

    __slots__ = ("is_terminal", "name", "read_end", "shown_on", "write_end")

    def __init__(
        self, name: str, read_end: int, shown_on: int, write_end: int, *, is_terminal: bool
    ) -> None:
        self.name = name
        self.read_end = read_end
        self.shown_on = shown_on
        self.write_end = write_end
        self.is_terminal = is_terminal


def open_channels(shown_on: tuple[int, int] = (1, 2)) -> tuple[CommandStream, CommandStream]:
    """Return new channels for stdout and stderr.

    Where ours is a terminal, the command gets one as well: programs colour and buffer by it.
    """
    return _open_channel(STDOUT, shown_on[0]), _open_channel(STDERR, shown_on[1])


class OutputTaker(Protocol):
    """Gets the output of a command as it comes."""

    def feed(self, stream: str, data: bytes) -> None:
        """Take new output of a stream; never an error."""


class Carrier:
    """Reads the output in channels, shows it, and passes it to its readers.

    The descriptor `ended` is readable, or at its end, once the command has ended.
    """

    def __init__(
        self, channels: tuple[CommandStream, ...], readers: Sequence[OutputTaker], ended: int
    ) -> None:
        self._channels = channels
        self._readers = readers
        self._ended = ended

    def resized(self) -> None:
        """Copy the size of our terminal to that of the command."""
        for channel in self._channels:
            if channel.is_terminal and channel.read_end >= 0:
                _copy_size(channel.shown_on, channel.read_end)

    def carry(self) -> None:
        """Carry until all ends are closed, or the command has ended and its output is carried."""
        while waiting := self._open_ends():
            ready = _readable([*waiting, self._ended])
            if self._ended in ready:
                self._carry_the_rest()
                return
            for descriptor in ready:
                self._carry_some(waiting[descriptor])

    def _carry_the_rest(self) -> None:
        """Carry the output up to the end of the command, and output that follows at once.

        Processes in the background may print forever; they are not waited for.
        """
        owed = {descriptor: _waiting_bytes(descriptor) for descriptor in self._open_ends()}
        end_at = time.monotonic() + _AFTER_END_S
        while waiting := self._open_ends():
            left_s = max(0.0, end_at - time.monotonic())
            ready = _readable(waiting, left_s)
            is_owed = any(owed[descriptor] > 0 for descriptor in waiting)
            if not ready or (left_s == 0.0 and not is_owed):
                return
            for descriptor in ready:
                owed[descriptor] -= self._carry_some(waiting[descriptor])

    def _open_ends(self) -> dict[int, CommandStream]:
        return {one.read_end: one for one in self._channels if one.read_end >= 0}

    def close(self) -> None:
        """Close the channels; processes in the background can still print."""
        for channel in self._channels:
            if channel.read_end >= 0:
                _hand_over(channel)
            _close(channel)

    def _carry_some(self, channel: CommandStream) -> int:
        """Carry the output in a channel, and return its size in bytes."""
        try:
            data = os.read(channel.read_end, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # a pseudo-terminal's way to say that it is over
                raise
            data = b""
        if not data:
            _close(channel)
            return 0
        for reader in self._readers:
            reader.feed(channel.name, data)
        try:
            _write_all(channel.shown_on, data)
        except OSError as error:
            self._show_no_more(channel)
            if error.errno not in {errno.EPIPE, errno.EBADF}:  # such as a full disk
                say(f"The rest of {channel.name} cannot be shown: {error.strerror}.")
        return len(data)

    def _show_no_more(self, channel: CommandStream) -> None:
        """Close a channel whose reader has gone (`| head`): it gets SIGPIPE, as without us."""
        _close(channel)


class Streams:
    """stdout and stderr of a command, carried by a thread of this process.

    Args:
        readers: Get all of it.

    Raises:
        OSError: There can be no more pipes, terminals or threads.
    """

    def __init__(self, *readers: OutputTaker) -> None:
        self._channels = open_channels()
        self._ended, self._end = os.pipe()
        self._carrier = Carrier(self._channels, readers, self._ended)
        self._thread = threading.Thread(
            target=self._carrier.carry, name="runstore-output", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from None
        self.resized = self._carrier.resized

    @property
    def write_ends(self) -> tuple[int, int]:
        """The descriptors 1 and 2 of the command."""
        return self._channels[0].write_end, self._channels[1].write_end

    def begin(self) -> None:
        """Leave the ends to the command, which has them by now."""
        for channel in self._channels:
            os.close(channel.write_end)

    def end(self) -> None:
        """Carry the rest."""
        os.close(self._end)
        self._thread.join()
        os.close(self._ended)
        self._carrier.close()


def _open_channel(name: str, shown_on: int) -> CommandStream:
    if not os.isatty(shown_on):
        read_end, write_end = os.pipe()
        return CommandStream(name, read_end, shown_on, write_end, is_terminal=False)
    import pty
    import tty

    read_end, write_end = pty.openpty()
    # Bytes arrive as they were written; the real terminal processes them.
    tty.setraw(write_end)
    _copy_size(shown_on, write_end)
    return CommandStream(name, read_end, shown_on, write_end, is_terminal=True)


def _hand_over(channel: CommandStream) -> None:
    """Let another process read the rest: without a reader, SIGPIPE ends a process that prints.

    It is shown on a terminal or in a file, as it would be without us. A pipe is not kept open: its
    reader waits until every writer has closed it.
    """
    can_show = channel.is_terminal or stat.S_ISREG(os.fstat(channel.shown_on).st_mode)
    nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    shown = (os.POSIX_SPAWN_DUP2, channel.shown_on, 1) if can_show else nowhere
    with suppress(OSError):
        os.posix_spawnp(
            "cat",
            ["cat"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, channel.read_end, 0),
                shown,
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,
            setsigmask=(),
        )


def _readable(descriptors: Iterable[int], timeout_s: float | None = None) -> list[int]:
    """Wait for descriptors, and return those that can be read or are at their end."""
    with _Selector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        return [key.fd for key, _ in selector.select(timeout_s)]


def _waiting_bytes(descriptor: int) -> int:
    """Return how many bytes can be read at once."""
    import array
    import fcntl
    import termios

    found = array.array("i", [0])
    with suppress(OSError):
        fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]


def _close(channel: CommandStream) -> None:
    if channel.read_end >= 0:
        os.close(channel.read_end)
        channel.read_end = -1


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
    """Flush the output of this process, so that it precedes that of the command."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # Python has None for a closed one
            with suppress(OSError, ValueError):
                stream.flush()
