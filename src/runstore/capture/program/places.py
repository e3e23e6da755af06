"""The files of modules: their places and times of writing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from runstore.capture.git.source_files import masked_path
from runstore.errors import genuine


def file_or_archive(file: str) -> str | None:
    """Return a module's file, or its archive; None if there is neither."""
    place = file
    while not os.path.isfile(place):  # noqa: PTH113 - text all along
        above = os.path.dirname(place)  # noqa: PTH120 - the same
        if above in {place, ""} or os.path.isdir(place):  # noqa: PTH112 - the same
            return None
        place = above
    return place


def written_ns(file: str) -> int:
    """Return the time at which a file was written or moved to its place; 0 if it is gone.

    The modification time can be set by programs; the change time of the inode cannot.
    """
    place = file_or_archive(file)
    try:
        about = os.stat(place) if place else None  # noqa: PTH116 - text all along
    except genuine(OSError):
        return 0
    if about is None or not stat.S_ISREG(about.st_mode):
        return 0
    return about.st_ctime_ns


def place_of(file: str, root: str | None) -> str:
    """Return the path of a file, relative to the root of the work tree if it is inside."""
    start = None if root is None else root.rstrip(os.sep) + os.sep
    inside = start is not None and file.startswith(start)
    return masked_path(file[len(start or "") :] if inside else file)


def first_written_since(since_ns: int, root: str | None, files: Iterable[str]) -> str:
    """Return a sentence about a module whose file was written since; empty without any.

    The time is in nanoseconds since 1970.
    """
    for file in files:
        if written_ns(file) > since_ns:
            return f"{place_of(file, root)} was written after the program had begun"
    return ""
