"""Private folders for data that cannot be written to the folder of a store.

They are in the user's state folder or, if no home folder is writable, in a folder for temporary
files, where anybody could have created a folder of the expected name first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from errno import EPERM
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.sqlite.paths import (
    DATABASE,
    absolute,
    is_own_uid,
    leave_to_owner,
    opened_folder,
    sync_folder,
)

_SHARED_BITS = 0o077
_NOTE = "store"
_LONGEST_NOTE = 1 << 14
# Root, and the owner of files whose owner is unknown within a container. Source: Linux,
# user_namespaces(7), overflowuid.
_SYSTEM = {0, 65534}


def own_place(folders: Sequence[str], name: str) -> Path:
    """Return a private folder of this user in the first of these that works, created if missing.

    Raises:
        OSError: It cannot be created anywhere.
    """
    refused: OSError | None = None
    for folder in folders:
        if isinstance(refused, NotADirectoryError):
            break  # a file in the way is a mistake in a setting, which is reported and not hidden
        is_temporary = not folder.endswith("/spool")
        try:
            if is_temporary and os.path.lexists(folder) and not _is_private(Path(folder)):
                return private_folder(_beside(folder) / name, parts=2)
            return private_folder(Path(folder, name), parts=2 if is_temporary else 3)
        except genuine(OSError) as error:
            refused = error
    raise refused or OSError("there is no place for data in flight")


def note_store(place: Path, store: str) -> None:
    """Record the store of a private folder; if that fails, the runs' uids identify it."""
    note = place / _NOTE
    if os.path.lexists(note):
        return
    with suppressed(OSError):
        database = os.stat(os.path.join(store, DATABASE))
        text = f"{database.st_ino}\n{absolute(store)}"
        with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.fsencode(text))


def remove_unused(place: str, names: Sequence[str]) -> None:
    """Remove a private folder with only these names that is empty, except for its note."""
    with suppressed(OSError):
        if {*names} <= {_NOTE}:
            Path(place, _NOTE).unlink(missing_ok=True)
            Path(place).rmdir()


def is_for_another(place: Path, store: str) -> bool:
    """Check whether a private folder belongs to another store, which is still in its place.

    If a store was moved, its files have another folder but the same database.
    """
    from runstore.storage.files.safe_files import read_file

    try:
        inode, _, folder = os.fsdecode(read_file(place / _NOTE, at_most=_LONGEST_NOTE)).partition(
            "\n"
        )
        there = Path(folder, DATABASE).stat()
        here = os.stat(os.path.join(store, DATABASE))
    except genuine(OSError, ValueError):
        return False
    is_there = str(there.st_ino) == inode
    return is_there and (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def others_beside(folder: str) -> Iterator[str]:
    """Yield private folders of this user beside one that another user created."""
    place, name = os.path.split(folder)
    with suppressed(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(f"{name}-") and _is_private(Path(entry.path)):
                yield entry.path


def _beside(folder: str) -> Path:
    """Return a private folder of this user with an unpredictable name."""
    for there in others_beside(folder):
        return Path(there)
    import tempfile

    place, name = os.path.split(folder)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))


def private_folder(path: Path, *, parts: int) -> Path:
    """Create a private folder with the last `parts` of its path and all missing parents.

    Raises:
        OSError: It cannot be created, or belongs to others, or they can replace it.
    """
    chain = [path, *path.parents[: parts - 1]]
    while not (above := chain[-1].parent).exists():
        chain.append(above)
    _check_reach(above)
    for one in reversed(chain):
        with suppress(FileExistsError):
            one.mkdir(0o700)
            with suppressed(OSError):  # as noticed when a name in it is synced
                sync_folder(one.parent)
            with suppressed(OSError), opened_folder(one) as made:
                leave_to_owner(made, one.parent.stat())
        _make_private(one)
    return path


def _check_reach(folder: Path) -> None:
    """Raise PermissionError for a folder whose entries other users could replace."""
    real = Path(os.path.realpath(folder))
    for one in (real, *real.parents):
        about = one.stat()
        is_replaceable = about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX
        if is_replaceable or not (is_own_uid(about.st_uid) or about.st_uid in _SYSTEM):
            raise PermissionError(EPERM, f"others can change {one}", str(folder))


def _is_private(path: Path) -> bool:
    """Check whether a folder, and a link that leads to it, belong to this user."""
    return is_own_uid(path.lstat().st_uid) and is_own_uid(path.stat().st_uid) and path.is_dir()


def _make_private(path: Path) -> None:
    if not _is_private(path):
        raise PermissionError(EPERM, "it belongs to another user", str(path))
    if path.stat().st_mode & _SHARED_BITS:
        path.chmod(0o700)
