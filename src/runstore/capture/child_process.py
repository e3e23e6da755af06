"""The output of another program, read with a time limit.

`subprocess` and the modules that it needs take longer to load than git to answer.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat, starmap

from runstore.errors import genuine, suppressed
from runstore.value_classes import NamedTuple

_CHUNK_BYTES = 1 << 16


class ProgramOutput(NamedTuple):
    """The outputs of a program, and its exit status; negative if a signal ended it."""

    exit_code: int
    output: bytes
    complaint: bytes


def environment() -> dict[str, str]:
    """Return the environment variables, which another thread may remove meanwhile."""
    found = {name: os.environ.get(name) for name in os.environ}
    return {name: value for name, value in found.items() if value is not None}


def output_of(
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    limit_bytes: int,
    timeout_s: float,
) -> ProgramOutput | None:
    """Run a program, and return its outputs; None after the time limit.

    It gets no input, and a session of its own. Beyond a limit, it is ended with its children.

    Args:
        command: The program and its arguments.
        variables: Its environment variables; the program is found in those of this process.
        limit_bytes: Limit of the output; slightly more is returned if it is exceeded.
        timeout_s: Time limit in seconds.

    Raises:
        OSError: The program could not be started.
    """
    child = _Child()
    try:
        child.start(command, variables)
        read = child.read(limit_bytes, time.monotonic() + timeout_s)
        if read is None:
            return None
        if len(read[0]) > limit_bytes:
            child.kill()
        return ProgramOutput(child.wait(), *read)
    finally:
        child.end()


class _Child:
    """A process and its two pipes.

    Some steps are single calls of the interpreter, although they consist of several: a signal
    handler that raises between them would leave a process or a descriptor that nobody knows.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._ends: list[int] = []
        self._ended: list[tuple[int, int]] = []

    def start(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self._ends.extend(chain.from_iterable(starmap(os.pipe, ((), ()))))
        spawn = partial(
            os.posix_spawnp,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._ends[1], 1),
                (os.POSIX_SPAWN_DUP2, self._ends[3], 2),
                *zip(repeat(os.POSIX_SPAWN_CLOSE), _inheritable()),
            ],
            setsid=True,
            setsigmask=(),  # our threads block signals
            # Python ignores these; a program does not expect that.
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._ids.extend(map(spawn, command[:1], (command,), (variables,)))
        self._close((3, 1))

    def read(self, limit_bytes: int, deadline: float) -> tuple[bytes, bytes] | None:
        """Read both outputs until they end or the limit is exceeded; None after the time limit.

        A thread for the time limit would take as long to start as git to answer.
        """
        outputs = {descriptor: bytearray() for descriptor in self._ends}
        answer, complaint = outputs.values()
        waiting = select.poll()  # `select` refuses descriptors above 1023
        for descriptor in outputs:
            waiting.register(descriptor, select.POLLIN)
        are_open = len(outputs)
        while are_open and len(answer) <= limit_bytes:
            ready = waiting.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                return None
            for descriptor, _ in ready:
                data = os.read(descriptor, _CHUNK_BYTES)
                outputs[descriptor] += data
                if not data:
                    waiting.unregister(descriptor)
                    are_open -= 1
        return bytes(answer), bytes(complaint)

    def wait(self) -> int:
        """Return the exit status, once the process has ended."""
        try:
            self._ended.extend(map(os.waitpid, self._ids, (0,)))
        except ChildProcessError:  # this process ignores SIGCHLD, or waits for every child
            self._ended.append((self._ids[0], 0))
        return os.waitstatus_to_exitcode(self._ended[0][1])

    def kill(self) -> None:
        with suppressed(OSError):
            os.killpg(self._ids[0], signal.SIGKILL)

    def end(self) -> None:
        try:
            if self._ids and not self._ended:
                self.kill()
                self.wait()
        finally:
            self._close(range(len(self._ends) - 1, -1, -1))

    def __del__(self) -> None:
        if hasattr(self, "_ended"):
            self.end()  # again, if a signal handler interrupted it

    def _close(self, places: Iterable[int]) -> None:
        any(map(os.close, map(self._ends.pop, places)))


def _inheritable() -> list[int]:
    """Return descriptors that a child would inherit; a daemon of git would keep them."""
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - before every run
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):  # noqa: PLR2004 - the standard ones
                found.append(int(name))
        except genuine(OSError):  # of the listing itself, which is closed
            continue
    return found
