"""The files of a folder, and the entries that cannot be saved or read."""

from __future__ import annotations

import os
import stat
from collections.abc import Container
from pathlib import Path

from runstore.errors import genuine
from runstore.storage.sqlite.pool import files_in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN = 10
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FolderFiles:
    """The entries of a folder: files by relative name, and the reasons for leaving out others."""

    def __init__(self) -> None:
        self.files: list[tuple[str, Path]] = []
        self.left_out: list[tuple[str, str]] = []

    def told(self, folder: Path) -> str:
        """Return a sentence with the names of the skipped entries."""
        shown = [f"{name!r} ({why})" for name, why in self.left_out[:_SHOWN]]
        if (more := len(self.left_out) - _SHOWN) > 0:
            shown.append(f"and {more:,} more")
        return f"Skipped in the folder {str(folder)!r}: {', '.join(shown)}."


def files_in(folder: Path, *, follows: bool = False, without: Path | None = None) -> FolderFiles:
    """Return the files of a folder, without empty folders and one to skip.

    Links to files inside the folder are followed. Links to files inside the folder are followed,
    and on request all others, each folder once.
    """
    found = FolderFiles()
    root = os.path.realpath(folder)
    seen, in_use = {root}, files_in_use()

    def failed(error: OSError) -> None:
        name = os.path.relpath(error.filename or folder, folder)
        found.left_out.append((name, error.strerror or str(error)))

    for place, folders, names in os.walk(folder, onerror=failed, followlinks=follows):
        entered = []
        for name in sorted(folders):
            path = Path(place, name)
            why = _no_folder(path, seen, follows=follows, without=without)
            if why is None:
                entered.append(name)
            else:
                found.left_out.append((_inner(path, folder), why))
        folders[:] = entered
        for path in (Path(place, name) for name in sorted(names)):
            why = _no_file(path, None if follows else root, in_use)
            if why is None:
                found.files.append((_inner(path, folder), path))
            else:
                found.left_out.append((_inner(path, folder), why))
    return found


def _inner(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _no_folder(path: Path, seen: set[str], *, follows: bool, without: Path | None) -> str | None:
    """Return the reason to skip a folder; None to enter it."""
    real = os.path.realpath(path)
    if without is not None and real == os.path.realpath(without):
        return "the store itself"
    if not path.is_symlink():
        return None
    if not follows:
        return f"a link to the folder {str(path.readlink())!r}"
    if real in seen or any(one.startswith(f"{real}{os.sep}") for one in seen):
        return "a link to a folder that is included already"
    seen.add(real)
    return None


def _no_file(path: Path, root: str | None, in_use: Container[Any]) -> str | None:
    """Return the reason why a path is not a readable file; None if it is."""
    try:
        link = str(path.readlink()) if path.is_symlink() else None
        about = os.stat(path)  # noqa: PTH116 - pathlib raises other errors at loops
    except genuine(OSError):
        return "a broken link"
    if link is not None and root is not None and not _is_inside(os.path.realpath(path), root):
        return f"a link out of the folder, to {link!r}"
    if not stat.S_ISREG(about.st_mode):
        return _KINDS.get(stat.S_IFMT(about.st_mode), "not a file")
    if (about.st_dev, about.st_ino) in in_use:
        return "a file of a store in use"
    return None if os.access(path, os.R_OK) else "not readable for you"


def _is_inside(real: str, root: str) -> bool:
    return real.startswith(root.rstrip(os.sep) + os.sep)
