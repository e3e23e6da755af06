"""The output of a command: shown as it comes, and kept."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

from runstore.model.output import STDERR, STDOUT
from runstore.output import OutputKeeper

_CHUNK_BYTES = 1 << 16
# How long to listen on after the command has ended, to what it left in the background.
_AFTER_END_S = 0.2


@dataclass(slots=True)
class Channel:
    """One stream of a command.

    Attributes:
        name: `stdout` or `stderr`.
        read_end: Where its output arrives; -1 when nobody listens any more.
        shown_on: Descriptor that it is shown on.
        write_end: What the command writes to; -1 when it is closed here.
        is_terminal: Whether it is a pseudo-terminal.
    """

    name: str
    read_end: int
    shown_on: int
    write_end: int
    is_terminal: bool


def open_channels(shown_on: tuple[int, int] = (1, 2)) -> tuple[Channel, Channel]:
    """Return new channels for stdout and stderr.

    Where ours is a terminal, the command gets one as well: programs colour and buffer by it.
    """
    return _open_channel(STDOUT, shown_on[0]), _open_channel(STDERR, shown_on[1])


class Carrier:
    """Carries output from channels to where it is shown, and keeps it.

    Args:
        channels: Where it arrives.
        keeper: What keeps it.
        ended: A descriptor that is readable, or at its end, once the command has ended.
    """

    def __init__(self, channels: tuple[Channel, ...], keeper: OutputKeeper, ended: int) -> None:
        self._channels = channels
        self._keeper = keeper
        self._ended = ended

    def resized(self) -> None:
        """Tell the command's terminal the size of ours."""
        for channel in self._channels:
            if channel.is_terminal and channel.read_end >= 0:
                _copy_size(channel.shown_on, channel.read_end)

    def carry(self) -> None:
        """Carry until all ends are closed, or the command has ended and its channels are quiet.

        What a process in the background still holds open is let go then.
        """
        has_ended, was_quiet = False, False
        while True:
            waiting = {one.read_end: one for one in self._channels if one.read_end >= 0}
            if not waiting:
                return
            watched = [*waiting, *([] if has_ended else [self._ended])]
            ready = select.select(watched, [], [], _AFTER_END_S if has_ended else None)[0]
            if self._ended in ready:
                has_ended = True
                ready.remove(self._ended)
            elif not ready:
                if was_quiet:
                    return
                was_quiet = True
            for descriptor in ready:
                self._carry_some(waiting[descriptor])

    def close(self) -> None:
        """Let go of the channels."""
        for channel in self._channels:
            _close(channel)

    def _carry_some(self, channel: Channel) -> None:
        try:
            data = os.read(channel.read_end, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # a pseudo-terminal's way to say that it is over
                raise
            data = b""
        if not data:
            _close(channel)
            return
        self._keeper.feed(channel.name, data)
        try:
            _write_all(channel.shown_on, data)
        except OSError:
            # Nobody looks any more (`| head`): the command learns it as it would without us.
            _close(channel)


class Streams:
    """stdout and stderr of a command, carried by a thread of this process.

    Args:
        keeper: What keeps them.
    """

    def __init__(self, keeper: OutputKeeper) -> None:
        self._channels = open_channels()
        self._ended, self._end = os.pipe()
        self._carrier = Carrier(self._channels, keeper, self._ended)
        self._thread = threading.Thread(
            target=self._carrier.carry, name="runstore-output", daemon=True
        )
        self.resized = self._carrier.resized

    @property
    def write_ends(self) -> tuple[int, int]:
        """What the command gets as its descriptors 1 and 2."""
        return self._channels[0].write_end, self._channels[1].write_end

    def begin(self) -> None:
        """Begin to carry; the command has its ends by now."""
        for channel in self._channels:
            os.close(channel.write_end)
        self._thread.start()

    def end(self) -> None:
        """Carry the rest."""
        os.close(self._end)
        self._thread.join()
        os.close(self._ended)
        self._carrier.close()


def _open_channel(name: str, shown_on: int) -> Channel:
    if not os.isatty(shown_on):
        read_end, write_end = os.pipe()
        return Channel(name, read_end, shown_on, write_end, is_terminal=False)
    import pty
    import tty

    read_end, write_end = pty.openpty()
    # Bytes arrive as they were written; the real terminal does what terminals do to them.
    tty.setraw(write_end)
    _copy_size(shown_on, write_end)
    return Channel(name, read_end, shown_on, write_end, is_terminal=True)


def _close(channel: Channel) -> None:
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
    """Write out what this process has printed, so that it stands before the command's output."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
