"""Private temporary folders, on a disk that can be written or in memory."""

from __future__ import annotations

from pathlib import Path

from runstore.errors import genuine
from runstore.storage.files.unfinished import UnfinishedFolder

# A folder in the memory of Linux. Source: Linux, filesystems/tmpfs.
_MEMORY = "/dev/shm"  # noqa: S108 - folders in it are private
_LEAST_BYTES = 1 << 20
_PREFIX = "runstore-files-"


def temporary_folder() -> UnfinishedFolder:
    """Return a new private folder.

    Raises:
        OSError: It cannot be created.
    """
    from shutil import disk_usage
    from tempfile import gettempdir

    place = _MEMORY
    try:
        if disk_usage(gettempdir()).free > _LEAST_BYTES:
            place = gettempdir()
    except genuine(OSError):
        pass  # there is no folder for temporary files
    return UnfinishedFolder(Path(place), _PREFIX, is_private=True)
