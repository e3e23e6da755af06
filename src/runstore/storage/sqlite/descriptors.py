"""Descriptors of this process: a few in reserve, and whether one is still what it was.

A program may use all that the system allows it. One that becomes a daemon closes whatever is open,
and its own files get the numbers.
"""

from __future__ import annotations

import errno
import fcntl as system
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import fcntl
from itertools import count
from typing import TypeVar

T = TypeVar("T")
# Descriptors, each with the device and the file that it leads to, and its mark; 0 for those that
# may be asked for their status.
Files = tuple[tuple[int, tuple[int, int], int], ...]
_SET_MARK: int | None = getattr(system, "F_SETSIG", None)
_GET_MARK: int = getattr(system, "F_GETSIG", 0)
_MARKS = 60  # of the 64 signals of Linux
_marks = count()
# For an import one is enough; a file of points takes two as long as it is written.
_IN_RESERVE = 6
_USED_UP = {errno.EMFILE, errno.ENFILE}
_LISTS = ("/proc/self/fd", "/dev/fd")


def identity_of(descriptor: int) -> tuple[int, int] | None:
    """Return the device and the file that a descriptor leads to; None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def marked(descriptor: int) -> int:
    """Mark what a descriptor leads to, so that it is known again; return the mark, 0 for none.

    The mark belongs to this opening of the file, whatever number it has. It is the signal that
    the system would send if it was asked to tell of input, which nobody does of a file.
    Source: fcntl(2), F_SETSIG.
    """
    if _SET_MARK is None:
        return 0
    mark = next(_marks) % _MARKS + 1
    try:
        fcntl(descriptor, _SET_MARK, mark)
        return mark if fcntl(descriptor, _GET_MARK) == mark else 0
    except OSError:
        return 0


def is_whole(
    files: Files,
    # Bound here: at the end of the interpreter, names of modules are gone before objects.
    fstat: Callable[[int], os.stat_result] = os.fstat,
    ask: Callable[[int, int], int] = fcntl,
    get_mark: int = _GET_MARK,
    gone: type[OSError] = OSError,
) -> bool:
    """Tell whether each descriptor still leads to its file; quick, before each transaction.

    Since Linux 6.13, a file that was asked for its status takes longer to sync after the next
    write, as its times have to be told apart. A log is asked for its mark instead.
    """
    try:
        for number, identity, mark in files:
            if mark and ask(number, get_mark) == mark:
                continue
            status = fstat(number)
            if (status.st_dev, status.st_ino) != identity:
                return False
    except gone:
        return False
    return True


@contextmanager
def new_descriptors() -> Iterator[Callable[[], dict[int, tuple[int, int]]]]:
    """Return the descriptors that were opened within the block, by whomever, when called.

    Each comes with the device and the file that it leads to. The result is empty if another such
    block began or ended meanwhile: it opens others of its kind.
    """
    turn, before = next(_turns), _in_use()
    is_alone = before and not _open_blocks
    _open_blocks.append(turn)

    def opened() -> dict[int, tuple[int, int]]:
        if not is_alone or next(_turns) != turn + 1:
            return {}
        return {one: identity for one, identity in _in_use().items() if one not in before}

    try:
        yield opened
    finally:
        _open_blocks.remove(turn)


_turns = count()
_open_blocks: list[int] = []


def _in_use() -> dict[int, tuple[int, int]]:
    for folder in _LISTS:
        with suppress(OSError):
            found = [(number, identity_of(number)) for number in map(int, os.listdir(folder))]  # noqa: PTH208 - for every connection
            # One of them was that of the list.
            return {number: identity for number, identity in found if identity is not None}
    return {}


def keep_for_ever(thing: object) -> None:
    """Let nothing delete an object, not even the end of the interpreter.

    It would close descriptors that are no longer its own.
    """
    _kept.append(thing)
    with suppress(ImportError, OSError):
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


_kept: list[object] = []
# Each with its identity; of a pipe that nobody else has, so that it is told from any other file.
_reserve: list[tuple[int, tuple[int, int] | None]] = []


def keep_reserve() -> None:
    """Keep descriptors open for `with_room`, as far as there are any left."""
    with suppress(OSError):
        if _reserve and identity_of(_reserve[0][0]) != _reserve[0][1]:
            _reserve.clear()  # the program has closed them
        if not _reserve:
            reading, writing = os.pipe()
            os.close(writing)
            _reserve.append((reading, identity_of(reading)))
        first, identity = _reserve[0]
        while len(_reserve) < _IN_RESERVE:
            _reserve.append((os.dup(first), identity))


@contextmanager
def _released() -> Iterator[None]:
    while _reserve:
        descriptor, identity = _reserve.pop()
        if identity_of(descriptor) == identity:  # else the program has closed it
            os.close(descriptor)
    try:
        yield
    finally:
        keep_reserve()


def _is_used_up(error: OSError | ImportError) -> bool:
    """Tell whether descriptors are missing; of a library that is loaded, only the text says so."""
    if isinstance(error, OSError):
        return error.errno in _USED_UP
    return any(os.strerror(number) in str(error) for number in _USED_UP)


def with_room(work: Callable[[], T]) -> T:
    """Do something; if the program has used all its descriptors, do it again with the reserve.

    Raises:
        OSError: As the work does.
        ImportError: The same.
    """
    try:
        return work()
    except (OSError, ImportError) as error:
        if not _is_used_up(error):
            raise
    with _released():
        return work()
