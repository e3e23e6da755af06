"""Reading a SQLite file if nothing can be written beside it: on read-only and full disks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from runstore.storage.files.unfinished import UnfinishedFolder
from runstore.storage.sqlite.paths import file_uri, has_content
from runstore.value_classes import dataclass

_COPIES = "runstore-reads-"


@dataclass(frozen=True, slots=True)
class Readable:
    """A way to open the file, perhaps a copy in a temporary folder that the caller removes."""

    uri: str
    copy: UnfinishedFolder | None = None


def ways_to_read(
    path: Path, *, may_copy: bool = True, leave_alone: bool = False
) -> Iterator[Readable]:
    """Yield ways to open a database for reading, the most faithful first.

    Args:
        path: The database.
        may_copy: Whether the last way is a copy in the temporary folder.
        leave_alone: Whether to leave out the first way, for which SQLite may create files.

    Raises:
        OSError: The last way, a copy in the temporary folder, failed as well.
        ImportError: The same.
    """
    if not leave_alone:
        yield Readable(file_uri(path, "mode=ro"))
    if not has_content(_beside(path, "-wal")):
        yield Readable(file_uri(path, "immutable=1"))
        return
    if not may_copy:
        return
    # The newest runs may be in the write-ahead log, which `immutable` would omit; to read it,
    # SQLite requires a file of its own beside it.
    folder = _copied(path)
    yield Readable(file_uri(folder.path / path.name, "mode=rw"), folder)


def _copied(path: Path) -> UnfinishedFolder:
    """Copy a database and its log to a private temporary folder."""
    # A module that another thread failed to load, as descriptors are used up, lacks names: only
    # `from` turns that into an ImportError.
    from shutil import copyfileobj, disk_usage
    from tempfile import gettempdir

    above = Path(gettempdir())
    files = (path, _beside(path, "-wal"))
    if sum(one.stat().st_size for one in files) > disk_usage(above).free // 2:
        raise OSError("the copy would need more than half of the temporary disk space")
    folder = UnfinishedFolder(above, _COPIES, is_private=True)
    try:
        for one, ending in zip(files, ("", "-wal"), strict=True):
            with _plain(one) as source, (folder.path / (path.name + ending)).open("xb") as copy:
                copyfileobj(source, copy)
    except BaseException:  # there is no other reference to remove it
        folder.remove()
        raise
    return folder


def _plain(path: Path) -> BinaryIO:
    """Open a regular file for reading; a pipe or a device would have no end."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - for the caller to close
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def _beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that SQLite keeps beside the database, which may be a link."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + suffix)
