"""Locks on files that end with the process that holds them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runstore.errors import StoreLockedError

_PAUSE_S = 0.005
_HELD = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})


def pause(longest_s: float) -> None:
    """Wait a little, and not as long as others who wait."""
    # Nothing is loaded for it: the program may have used all its descriptors.
    time.sleep(longest_s * (1 + os.urandom(1)[0]) / 256)


def lock_now(descriptor: int, *, is_shared: bool = False) -> bool | None:
    """Lock an open file without waiting.

    Args:
        descriptor: The file, open for writing; the lock ends with `unlock`, or when it is closed
            here and in all children that were forked meanwhile.
        is_shared: Whether others may have the same lock, as long as it is shared as well.

    Returns:
        Whether it is ours now; None where the system or the disk has no locks.
    """
    try:
        import fcntl

        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        # A network disk takes it for a lock of fcntl(2), which has two more errors for "held".
        return False if error.errno in _HELD else None
    return True


def wait_for_lock(descriptor: int, *, is_shared: bool = False, patience_s: float) -> bool | None:
    """Lock an open file, and wait for others for a while; see `lock_now`."""
    deadline = time.monotonic() + patience_s
    while (held := lock_now(descriptor, is_shared=is_shared)) is False:
        if time.monotonic() > deadline:
            return False
        pause(_PAUSE_S)
    return held


def kept_locked(path: Path, patience_s: float) -> StoreLockedError:
    """Return the error for a lock that others did not give back in this time."""
    return StoreLockedError(
        f"Another program kept {path} locked for {patience_s:g} s.",
        kept="Nothing was changed.",
        hint="End the program that holds the lock, or try again later.",
    )


def unlock(descriptor: int) -> None:
    """Give a lock back, also for children that were forked meanwhile and have the file open."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked(path: Path, *, is_shared: bool, patience_s: float) -> Iterator[bool]:
    """Hold the lock of a file within the block; the file is made when it is missing.

    Args:
        path: The file; nothing is written to it.
        is_shared: Whether others may have it at the same time, as long as theirs is shared too.
        patience_s: How long to wait for others, in seconds.

    Yields:
        Whether there are locks at all: without them, nothing keeps others away.

    Raises:
        StoreLockedError: Others kept it for longer than that.
        OSError: The file cannot be made, or is no plain file.
    """
    from runstore.storage.files.safe_files import open_or_replace

    descriptor = open_or_replace(path)
    try:
        held = wait_for_lock(descriptor, is_shared=is_shared, patience_s=patience_s)
        if held is False:
            raise kept_locked(path, patience_s)
        yield bool(held)
    finally:
        unlock(descriptor)
        with suppress(OSError):
            os.close(descriptor)
