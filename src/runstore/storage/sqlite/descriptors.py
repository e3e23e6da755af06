"""File descriptors of this process: a small reserve, and checks that they are unchanged.

A program may use all descriptors that the system allows. A program that becomes a daemon closes
every open descriptor, and its own files reuse the numbers.
"""

from __future__ import annotations

import errno
import fcntl as system
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import fcntl
from itertools import count, islice
from weakref import WeakSet

from runstore.errors import StoreUnavailableError, genuine, is_of_signal, suppressed
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


class HeldFile(NamedTuple):
    """An open file of a database, or one of the reserve.

    Attributes:
        number: The descriptor.
        identity: Device and inode.
        mark: See `marked`; if it is 0, `fstat` is used instead.
        is_log: Whether it is the log of the database.
    """

    number: int
    identity: tuple[int, int]
    mark: int = 0
    is_log: bool = False


Files = Sequence[HeldFile]
_SET_MARK: int | None = getattr(system, "F_SETSIG", None)
_GET_MARK: int = getattr(system, "F_GETSIG", 0)
_MARKS = 60  # of the 64 signals of Linux
_marks = count()
# An import requires one; a file of points requires two while it is written.
_IN_RESERVE = 6
# A start requires about as many.
_AT_ONCE = 6
ALLOW_MORE = "Close files that are not needed, or allow more: ulimit -n 1024"
_USED_UP = {errno.EMFILE, errno.ENFILE}
# A connection opens three files that stay open; other threads may open some meanwhile.
_NEXT = 10


def identity_of(descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of a descriptor's file; None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except genuine(OSError):
        return None
    return status.st_dev, status.st_ino


def marked(descriptor: int) -> int:
    """Mark an open file so that it can be recognised; return the mark, or 0 if it failed.

    The mark belongs to this open file description, not to the descriptor's number. It is the
    signal that the system would send on input if it was asked to, which is never done for a file.
    Source: fcntl(2), F_SETSIG.
    """
    if _SET_MARK is None:
        return 0
    mark = next(_marks) % _MARKS + 1
    try:
        fcntl(descriptor, _SET_MARK, mark)
        return mark if fcntl(descriptor, _GET_MARK) == mark else 0
    except genuine(OSError):
        return 0


def is_whole(
    files: Files,
    # Bound here because module names are gone before objects when the interpreter exits.
    fstat: Callable[[int], os.stat_result] = os.fstat,
    ask: Callable[[int, int], int] = fcntl,
    get_mark: int = _GET_MARK,
    gone: type[OSError] = OSError,
    is_of_signal: Callable[[BaseException], bool] = is_of_signal,
) -> bool:
    """Check whether each descriptor still leads to its file; fast, for use before transactions.

    A mark is read in a third of the time of `fstat`. And since Linux 6.13, a file takes longer to
    sync after the next write if its status was queried, because its times must be distinguishable.
    """
    try:
        for number, identity, mark, _ in files:
            if mark and ask(number, get_mark) == mark:
                continue
            status = fstat(number)
            if (status.st_dev, status.st_ino) != identity:
                return False
    except gone as error:
        if is_of_signal(error):
            raise
        return False
    return True


@contextmanager
def new_descriptors() -> Iterator[Callable[[], dict[int, tuple[int, int]]]]:
    """Return a function that lists the first descriptors opened inside the block, by any thread.

    Each comes with device and inode of its file. The list is empty if another such block began
    or ended meanwhile, because the descriptors could belong to it.
    """

    def opened() -> dict[int, tuple[int, int]]:
        if not is_alone or next(_turns) != turn + 1:
            return {}
        found = ((one, identity_of(one)) for one in numbers)
        return {one: identity for one, identity in found if identity is not None}

    _open_blocks.add(opened)
    turn = next(_turns)
    is_alone = len(_open_blocks) == 1
    numbers = _next_numbers()
    try:
        yield opened
    finally:
        _open_blocks.discard(opened)


_turns = count()
# By weak references, because a signal handler that raises may prevent the end of a block.
_open_blocks: WeakSet[Callable[[], object]] = WeakSet()


def _next_numbers() -> list[int]:
    """Return the numbers that the next descriptors get: the lowest that are free.

    Listing all open descriptors instead takes longer than opening a database. No more than one is
    opened, because other threads may need the last ones, by an object: a number would stay open if
    a signal handler raised before it has a name.
    """
    with suppressed(OSError), open(os.devnull, "rb", buffering=0) as file:
        first = file.fileno()
        return [first, *islice(filter(_is_free, count(first + 1)), _NEXT - 1)]
    return []  # none is free


def _is_free(number: int) -> bool:
    try:
        fcntl(number, system.F_GETFD)
    except genuine(OSError):
        return True
    return False


def is_log_removed(
    files: Files,
    # Bound here because module names are gone before objects when the interpreter exits.
    readlink: Callable[[str], str] = os.readlink,
    fstat: Callable[[int], os.stat_result] = os.fstat,
    gone: type[OSError] = OSError,
    is_of_signal: Callable[[BaseException], bool] = is_of_signal,
) -> bool:
    """Check whether a database's log was removed while the database stays; Linux only.

    The status of a log with a mark is not queried, for the reason given at `is_whole`.
    """
    try:
        for log, _, mark, is_log in files:
            if is_log and mark and readlink(f"/proc/self/fd/{log}").endswith(" (deleted)"):
                return any(fstat(one).st_nlink for one, *_ in files if one != log)
    except gone as error:
        if is_of_signal(error):
            raise
    return False


def keep_for_ever(thing: object) -> None:
    """Prevent the deletion of an object, even when the interpreter exits.

    Its deletion would close descriptors that it no longer owns.
    """
    _kept.append(thing)
    with suppressed(ImportError, OSError):
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


_kept: list[object] = []
# Duplicates of a pipe of our own, so that other files can be distinguished from it.
_reserve: list[HeldFile] = []


def keep_reserve() -> None:
    """Keep descriptors open for `with_room`, if any are left."""
    if not is_whole(_reserve[:1]):
        _reserve.clear()  # the program closed them
    if len(_reserve) == _IN_RESERVE:  # at each start of a run but the first
        return
    with suppressed(OSError):
        if not _reserve:
            reading, writing = os.pipe()
            os.close(writing)
            status = os.fstat(reading)
            _reserve.append(HeldFile(reading, (status.st_dev, status.st_ino), marked(reading)))
        first = _reserve[0]
        while len(_reserve) < _IN_RESERVE:
            _reserve.append(first._replace(number=os.dup(first.number)))


def occupy_closed_streams() -> None:
    """Open the null device at the numbers of closed standard streams, as SQLite does.

    Otherwise the next file would get such a number, and the text that the program, or its C code,
    prints. As with a closed stream, reading from it and writing to it fail.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        if _is_free(number):
            with suppressed(OSError):  # none is left, or there is no such device
                made = os.open(os.devnull, flags)
                if made != number:  # another thread was faster
                    os.close(made)


@contextmanager
def _released() -> Iterator[None]:
    while _reserve:
        held = _reserve.pop()
        if identity_of(held.number) == held.identity:  # otherwise the program closed it
            os.close(held.number)
    try:
        yield
    finally:
        keep_reserve()


def is_used_up(error: Exception) -> bool:
    """Check whether descriptors ran out; for a failed import, only the message shows it."""
    if isinstance(error, OSError):
        return error.errno in _USED_UP
    return any(os.strerror(number) in str(error) for number in _USED_UP)


def too_few_files(what: str, kept: str, error: Exception | None = None) -> StoreUnavailableError:
    """Return the error for work that failed because descriptors ran out, for `is_used_up`."""
    refused = StoreUnavailableError(what, kept=kept, hint=ALLOW_MORE)
    refused.errno = getattr(error, "errno", None) or errno.EMFILE
    refused.strerror = os.strerror(refused.errno)
    return refused


def none_left() -> bool:
    """Check whether all descriptors are used, for errors of libraries that do not say so."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except genuine(OSError) as error:
        return error.errno in _USED_UP
    return False


def ran_out(error: Exception) -> bool:
    """Check whether work of a store failed because descriptors ran out.

    SQLite does not report it, and some are free again when the work has failed.
    """
    if is_used_up(error):
        return True
    held: list[int] = []
    try:
        while len(held) < _AT_ONCE:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except genuine(OSError) as refused:
        return is_used_up(refused)
    finally:
        for one in held:
            os.close(one)
    return False


def with_room(work: Callable[[], T]) -> T:
    """Call a function, and retry it with the reserve if descriptors have run out.

    Raises:
        OSError: As raised by the function.
        ImportError: As raised by the function.
    """
    try:
        return work()
    except genuine(OSError, ImportError) as error:
        if not is_used_up(error):
            raise
    with _released():
        return work()
