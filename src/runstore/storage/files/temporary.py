"""Private temporary folders, on a disk that can be written or in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstore.errors import genuine

# A folder in the memory of Linux. Source: Linux, filesystems/tmpfs.
_MEMORY = "/dev/shm"  # noqa: S108 - folders in it are private
_LEAST_BYTES = 1 << 20


def new_temporary_folder() -> Path:
    """Return a new folder, which the caller removes.

    Raises:
        OSError: It cannot be created.
    """
    from shutil import disk_usage
    from tempfile import gettempdir, mkdtemp

    place = _MEMORY
    try:
        if disk_usage(gettempdir()).free > _LEAST_BYTES:
            place = gettempdir()
    except genuine(OSError):
        pass  # there is no folder for temporary files
    return Path(mkdtemp(prefix="runstore-", dir=place))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Return a new folder, which is removed on exit.

    Raises:
        OSError: It cannot be created.
    """
    from shutil import rmtree

    folder = new_temporary_folder()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
