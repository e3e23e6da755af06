"""The files of modules: where each one is, and when it was written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from runstore.capture.git.source_files import shown


def file_or_archive(file: str) -> str | None:
    """Return a module's file, or the archive that holds it; None where there is neither."""
    place = file
    while not os.path.isfile(place):  # noqa: PTH113 - text all along
        above = os.path.dirname(place)  # noqa: PTH120 - the same
        if above in {place, ""} or os.path.isdir(place):  # noqa: PTH112 - the same
            return None
        place = above
    return place


def written_ns(file: str) -> int:
    """Return when a file was written or put where it is; 0 where it is gone.

    The time of its last change can be set to any; that of its entry cannot.
    """
    place = file_or_archive(file)
    try:
        about = os.stat(place) if place else None  # noqa: PTH116 - text all along
    except OSError:
        return 0
    if about is None or not stat.S_ISREG(about.st_mode):
        return 0
    return about.st_ctime_ns


def place_of(file: str, root: str | None) -> str:
    """Return the path of a file, below the root of the work tree where it is in there."""
    start = None if root is None else root.rstrip(os.sep) + os.sep
    inside = start is not None and file.startswith(start)
    return shown(file[len(start or "") :] if inside else file)


def first_written_since(since_ns: int, root: str | None, files: Iterable[str]) -> str:
    """Return which module's file was written since, as a sentence; empty without any.

    Args:
        since_ns: Nanoseconds since 1970.
        root: The top folder of the work tree.
        files: Files of modules.
    """
    for file in files:
        if written_ns(file) > since_ns:
            return f"{place_of(file, root)} was written after the program had begun"
    return ""
