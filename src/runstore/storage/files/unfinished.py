"""Folders of unfinished work, which are removed even if their process is killed."""

from __future__ import annotations

import os
from pathlib import Path

from runstore.errors import suppressed
from runstore.storage.files.locks import lock_now, unlock
from runstore.storage.files.safe_files import Folder, folder_at, open_in, remove_tree

# Its lock ends with the process. Folders without this file, or of disks without locks, are kept.
MARK = "unfinished.lock"
_OPEN = os.O_RDWR | os.O_CLOEXEC
_EVERYBODY, _PRIVATE = 0o777, 0o700


class UnfinishedFolder:
    """A new folder, which belongs to this process until it is kept or removed.

    If the process is killed, the next one that makes such a folder in the same place removes it.

    Attributes:
        path: The folder.
    """

    __slots__ = ("_identity", "_is_kept", "_lock", "_pid", "path")

    def __init__(self, above: Path, prefix: str, *, is_private: bool = False) -> None:
        """Create it, and remove those of killed processes.

        Args:
            above: The folder that it is in.
            prefix: Begin of its name, which no other entry there has.
            is_private: Whether other users cannot enter it; otherwise the umask decides.

        Raises:
            OSError: It cannot be created.
        """
        _remove_abandoned(above, prefix)
        self._pid = os.getpid()
        self._is_kept = False
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None
        self.path = above / f"{prefix}{os.urandom(8).hex()}"
        self.path.mkdir(_PRIVATE if is_private else _EVERYBODY)
        with suppressed(OSError):  # the disk is full, as the caller will notice
            self._mark()

    def __enter__(self) -> UnfinishedFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def _mark(self) -> None:
        # Locked before it gets its name: others lock what they find, and remove it.
        new = self.path / f"new-{MARK}"
        self._lock = os.open(new, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        about = os.fstat(self._lock)
        self._identity = about.st_dev, about.st_ino
        if lock_now(self._lock):
            new.rename(self.path / MARK)
        else:
            new.unlink()

    def keep_as(self, path: Path) -> None:
        """Rename it: its work is finished.

        Raises:
            OSError: There is something at the path.
        """
        self.path.rename(path)
        self._is_kept = True
        with suppressed(OSError):
            (path / MARK).unlink()
        self._release()

    def remove(self) -> None:
        """Remove it, unless it was kept; a forked child leaves it to its parent."""
        if self._is_kept or os.getpid() != self._pid:
            return
        from shutil import rmtree

        rmtree(self.path, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        descriptor, self._lock = self._lock, None
        # If the program has closed it, the number may be that of another file now.
        with suppressed(OSError):
            if descriptor is not None:
                about = os.fstat(descriptor)
                if (about.st_dev, about.st_ino) == self._identity:
                    unlock(descriptor)
                    os.close(descriptor)


def _remove_abandoned(above: Path, prefix: str) -> None:
    """Remove the folders of processes that have ended."""
    with suppressed(OSError), folder_at(above, levels=0) as folder:
        for name in folder.names():
            if name.startswith(prefix):
                with suppressed(OSError):  # removed meanwhile, or not ours
                    _remove_if_abandoned(folder, name)


def _remove_if_abandoned(above: Folder, name: str) -> None:
    with above.inner(name) as folder:
        mark = open_in(folder, MARK, _OPEN)
    try:
        if os.fstat(mark).st_uid == os.geteuid() and lock_now(mark):
            remove_tree(above, name)
    finally:
        unlock(mark)
        os.close(mark)
