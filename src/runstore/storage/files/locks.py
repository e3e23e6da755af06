"""File locks that end with the process that holds them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.errors import StoreLockedError, genuine, suppressed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_PAUSE_S = 0.005
_HELD = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})


def pause(longest_s: float) -> None:
    """Sleep for a short random time, so that waiting processes do not retry at once."""
    # Nothing is imported for it, because the program may have used all its descriptors.
    time.sleep(longest_s * (1 + os.urandom(1)[0]) / 256)


def lock_now(descriptor: int, *, is_shared: bool = False) -> bool | None:
    """Lock an open file without waiting.

    Args:
        descriptor: The file, open for writing; the lock ends with `unlock`, or when the file is
            closed here and in all children that were forked meanwhile.
        is_shared: Whether others can hold the lock at the same time, if theirs is shared as well.

    Returns:
        Whether the lock was acquired; None if the system or the disk has no locks.
    """
    try:
        import fcntl

        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except ImportError:
        return None
    except genuine(OSError) as error:
        # A network disk treats it as a lock of fcntl(2), which has two more errors for "held".
        return False if error.errno in _HELD else None
    return True


def wait_for_lock(descriptor: int, *, is_shared: bool = False, patience_s: float) -> bool | None:
    """Lock an open file, waiting for others for a while; see `lock_now`."""
    deadline = time.monotonic() + patience_s
    while (held := lock_now(descriptor, is_shared=is_shared)) is False:
        if time.monotonic() > deadline:
            return False
        pause(_PAUSE_S)
    return held


def has_no_locks(folder: str) -> bool:
    """Check whether the disk of a folder refuses locks, which SQLite reports as a held lock.

    The lock is tried on a file of its own: closing a descriptor of a database would release the
    locks that SQLite has on it.
    """
    with suppressed(ImportError, OSError):  # it cannot be tried
        import fcntl
        import tempfile

        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except genuine(OSError) as error:
                return error.errno == errno.ENOLCK
    return False


def kept_locked(path: Path, patience_s: float) -> StoreLockedError:
    """Return the error for a lock that others held for too long."""
    return StoreLockedError(
        f"Another program kept {path} locked for {patience_s:g} s.",
        kept="Nothing was changed.",
        hint="Stop the program that holds the lock, or try again later.",
    )


def unlock(descriptor: int) -> None:
    """Release a lock, also in children that were forked meanwhile and have the file open."""
    with suppressed(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked(path: Path, *, is_shared: bool, patience_s: float) -> Iterator[bool]:
    """Hold the lock of a file inside the block; the file is created if it does not exist.

    Args:
        path: The file; nothing is written to it.
        is_shared: Whether others can hold it at the same time, if theirs is shared as well.
        patience_s: How long to wait for others, in seconds.

    Yields:
        Whether locks are available: without them, others are not kept out.

    Raises:
        StoreLockedError: Others held it for longer than that.
        OSError: The file cannot be created, or is not a regular file.
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
        with suppressed(OSError):
            os.close(descriptor)
