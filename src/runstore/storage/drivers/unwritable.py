"""Reading a SQLite file where SQLite may write nothing beside it: read-only and full disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runstore.storage.drivers.paths import file_uri


@dataclass(frozen=True, slots=True)
class Readable:
    """A way to open the file.

    Attributes:
        uri: What SQLite opens.
        copy: The temporary folder that holds a copy, to be removed by who opens it; None for
            the file itself.
    """

    uri: str
    copy: Path | None = None


def ways_to_read(path: Path) -> Iterator[Readable]:
    """Yield ways to open a database for reading alone, the most faithful first.

    Raises:
        OSError: The last way, a copy in the folder for temporary files, is closed as well.
    """
    yield Readable(file_uri(path, "mode=ro"))
    if not _has_content(_beside(path, "-wal")):
        yield Readable(file_uri(path, "immutable=1"))
        return
    # The newest runs may be in the write-ahead log, which `immutable` would leave out; to read it
    # SQLite needs a file of its own beside it.
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="runstore-"))
    copy = folder / path.name
    shutil.copyfile(path, copy)
    shutil.copyfile(_beside(path, "-wal"), _beside(copy, "-wal"))
    yield Readable(file_uri(copy, "mode=rw"), folder)


def remove_copy(folder: Path, pid: int) -> None:
    """Remove a copy, in the process that made it: a forked child leaves it alone."""
    if os.getpid() == pid:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
