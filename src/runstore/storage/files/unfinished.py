"""Folders of unfinished work, which are removed even if their process is killed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runstore.errors import suppressed
from runstore.storage.files.locks import lock_now, unlock
from runstore.storage.files.safe_files import Folder, folder_at, open_in, remove_tree

# A file beside the folder, which exists before it and until it is finished or removed. Its lock
# ends with the process. Folders without this file, or of disks without locks, are kept.
MARK = ".lock"
_NAMES = re.compile(rf"[0-9a-f]{{16}}{re.escape(MARK)}")
_FILES = ".runstore-unfinished-"
_OPEN = os.O_RDWR | os.O_CLOEXEC
_EVERYBODY, _PRIVATE = 0o777, 0o700


class UnfinishedFolder:
    """A new folder, which belongs to this process until it is kept or removed.

    If the process is killed, the next process that makes one in the same place removes it.

    Attributes:
        path: The folder.
    """

    __slots__ = ("_identity", "_is_kept", "_lock", "_mark", "_pid", "path")

    def __init__(
        self,
        above: Path,
        prefix: str,
        *,
        is_private: bool = False,
        has_results: Callable[[Path], bool] | None = None,
        removes_others: bool = True,
    ) -> None:
        """Create it, and remove those of killed processes.

        Args:
            above: The folder that it is in.
            prefix: Begin of its name, which no other entry there has.
            is_private: Whether other users cannot enter it; otherwise the umask decides.
            has_results: Checks whether the folder of a killed process is kept.
            removes_others: Whether those of killed processes are removed: `above` is listed.

        Raises:
            OSError: It cannot be created.
        """
        if removes_others:
            remove_abandoned(above, prefix, has_results)
        self._pid = os.getpid()
        self._is_kept = False
        while not self._begin(above / f"{prefix}{os.urandom(8).hex()}"):
            pass
        try:
            self.path.mkdir(_PRIVATE if is_private else _EVERYBODY)
        except BaseException:  # there is nothing that the mark belongs to
            self._release()
            raise

    def __enter__(self) -> UnfinishedFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def _begin(self, path: Path) -> bool:
        """Lock the mark of a folder; return False if another process removed it as abandoned."""
        self.path = path
        self._mark = path.with_name(f"{path.name}{MARK}")
        self._lock: int | None = os.open(self._mark, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        is_held = lock_now(self._lock)
        about = os.fstat(self._lock)
        self._identity = about.st_dev, about.st_ino
        if is_held and os.path.lexists(self._mark):
            return True
        self._release()
        return is_held is None

    def keep_locked_by_children(self) -> None:
        """Let programs that are started from now on hold the lock as well."""
        if self._lock is not None:
            os.set_inheritable(self._lock, True)  # noqa: FBT003 - positional only

    def keep(self) -> None:
        """Leave it where it is: its work is finished."""
        self._is_kept = True
        self._release()

    def keep_as(self, path: Path) -> None:
        """Rename it: its work is finished.

        Raises:
            OSError: There is something at the path.
        """
        self.path.rename(path)
        self.keep()

    def remove(self) -> None:
        """Remove it, unless it was kept; a forked child leaves it to its parent."""
        if self._is_kept or os.getpid() != self._pid:
            return
        from shutil import rmtree

        rmtree(self.path, ignore_errors=True)
        self._release(is_removed=not os.path.lexists(self.path))

    def _release(self, *, is_removed: bool = True) -> None:
        """Remove the mark and its lock; the mark of a folder that remains is left for others."""
        if is_removed:
            with suppressed(OSError):
                self._mark.unlink()
        descriptor, self._lock = self._lock, None
        # If the program has closed it, the number may be that of another file now.
        with suppressed(OSError):
            if descriptor is not None:
                about = os.fstat(descriptor)
                if (about.st_dev, about.st_ino) == self._identity:
                    unlock(descriptor)
                    os.close(descriptor)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a new path on the same disk, which is renamed to this one at the end of the block.

    An existing file is replaced. If the process is killed, the next one that writes a file to the
    same folder removes the incomplete one.
    """
    with UnfinishedFolder(path.parent, _FILES) as folder:
        aside = folder.path / path.name
        yield aside
        aside.replace(path)


def remove_abandoned(
    above: Path, prefix: str, has_results: Callable[[Path], bool] | None = None
) -> None:
    """Remove the folders of processes that have ended; see `UnfinishedFolder`."""
    with suppressed(OSError), folder_at(above, levels=0) as folder:
        for name in folder.names():
            if name.startswith(prefix) and _NAMES.fullmatch(name, len(prefix)):
                with suppressed(OSError):  # removed meanwhile, or not ours
                    _remove_if_abandoned(folder, name, has_results)


def _remove_if_abandoned(
    above: Folder, mark: str, has_results: Callable[[Path], bool] | None
) -> None:
    lock = open_in(above, mark, _OPEN)
    try:
        about = os.fstat(lock)
        if about.st_size or about.st_uid != os.geteuid() or not lock_now(lock):
            return
        if not os.fstat(lock).st_nlink:  # finished or removed just now
            return
        name = mark.removesuffix(MARK)
        if has_results is None or not has_results(above.path / name):
            with suppressed(FileNotFoundError):
                remove_tree(above, name)
        above.remove(mark)
    finally:
        unlock(lock)
        os.close(lock)
