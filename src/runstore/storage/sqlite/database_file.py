"""The database file: created only on request, and checked to stay the same file.

SQLite names a file's log and shared memory after the file's path. If a store is removed while a
program has it open, a connection that created the file again would reuse the shared memory of the
old one, and truncate it under the mappings of older connections: that kills the process.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from os.path import basename, dirname, join

from runstore.errors import StoreCorruptError, StoreUnavailableError, genuine, suppressed
from runstore.storage.sqlite.descriptors import (
    Files,
    HeldFile,
    identity_of,
    is_log_removed,
    is_whole,
    keep_for_ever,
    marked,
    occupy_closed_streams,
)
from runstore.storage.sqlite.paths import (
    follow_folder,
    is_missing,
    mode_of,
    out_of_reach,
    sync_folder,
    wait_for_rights,
)
from runstore.user_warnings import warn

_LOG, _SHARED_MEMORY = "-wal", "-shm"
APPLICATION_ID = 0x72756E73  # "runs"; marks the file as ours (PRAGMA application_id)
_HEAD_BYTES, _FIRST_PAGES_BYTES = 100, 1 << 20
_NOTES = b"schema_migrations"
# Contents are at objects/ab/cdef…, by their SHA-256; git, for example, uses SHA-1.
_IS_PART = re.compile(r"[0-9a-f]{2}").fullmatch
_IS_REST_OF_DIGEST = re.compile(r"[0-9a-f]{62}").fullmatch
_BESIDE = (_LOG, _SHARED_MEMORY, "-journal")
_LOCK_PATIENCE_S = 5.0
# Databases that this process must not use any more, with what happened and a hint.
_severed: dict[tuple[int, int] | None, tuple[str, str]] = {}


class DatabaseFile:
    """A database file, identified by device and inode rather than by name."""

    # While a descriptor is open, no new file gets the inode number of this one. Of the class,
    # because a signal handler may raise before this object has its attributes.
    _pin: Files = ()
    # Why it must not be used any more.
    abandoned: StoreUnavailableError | None = None

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
        self._group: int | None = None

    def __del__(self) -> None:
        for descriptor, *_ in self._pin if is_whole(self._pin) else ():
            os.close(descriptor)

    @property
    def is_known(self) -> bool:
        """Whether the file was opened before."""
        return self._identity is not None

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the opened file."""
        try:
            found = os.stat(self.path)
        except genuine(OSError):
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def check(self) -> None:
        """Check that the path still leads to the opened file.

        Raises:
            StoreUnavailableError: The file was removed, moved or replaced, or its folder cannot be
                reached now.
        """
        if self.is_in_place:
            return
        raise out_of_reach(self.path) or StoreUnavailableError(
            f"The store at {dirname(self.path)} was moved, removed or replaced while open.",
            kept="Nothing was written to any store in its place.",
            hint="If it was moved, open it in its new place.",
        )

    def check_held(self, files: Files) -> None:
        """Check that a connection's descriptors still lead to the database and its log.

        Raises:
            StoreUnavailableError: The program has closed them, the log was removed, or the file is
                not the one that was opened.
        """
        if not is_whole(files) or not (files or self._has_pin):
            raise self._closed_by_program()
        if not self.is_in_place:
            self.check()
        if is_log_removed(files):
            raise self._abandon(
                f"Another program removed the log of {self.path}, as if no program used it.",
                "Do not open files of a store in a program that uses it: closing one releases "
                "its locks. To copy a store: runstore copy",
            )

    def prove(self) -> None:
        """Check that all connections have the same file, before it is opened and afterwards.

        Raises:
            StoreUnavailableError: It is another file, or it was abandoned before.
        """
        if self.is_known:
            self.check()
            return
        with suppressed(OSError):  # removed just now, as the next statement will find
            self.remember()
        if (why := _severed.get(self._identity)) is not None:
            raise self._abandon(*why)

    def _closed_by_program(self) -> StoreUnavailableError:
        return self._abandon(
            f"This program has closed the open files of {self.path}.",
            "Close only files that your program has opened.",
        )

    def _abandon(self, what: str, hint: str) -> StoreUnavailableError:
        """Abandon a database whose descriptors or log are gone; return the error to raise.

        The numbers of closed descriptors may belong to other files now, and SQLite shares some
        descriptors, and the index of the log, among all connections of this process.
        """
        if self._identity not in _severed:
            _severed[self._identity] = what, hint
            # If it is removed, a new file must not get its inode number.
            if not self._has_pin and self.is_in_place:
                with suppressed(OSError):
                    self.remember()
            keep_for_ever(self)
        self.abandoned = StoreUnavailableError(
            what, kept="Nothing was written to other files.", hint=hint
        )
        return self.abandoned

    def check_surroundings(self) -> None:
        """Check, before the file is first opened, that SQLite will touch only the store's files.

        A link to a database of the same owner is followed, because people keep databases on other
        disks; SQLite keeps the log and similar files beside the database itself.

        Raises:
            StoreUnavailableError: The database or a file beside it is a link to elsewhere, or not
                a regular file, such as a pipe.
        """
        real, link = self.path, _entry(self.path)
        if link is not None and stat.S_ISLNK(link.st_mode):
            self._check_link(link)
            real = self._real()
            self._check_not_emptied(real)
        elif link is not None and not stat.S_ISREG(link.st_mode):
            raise _unsafe(self.path, "is not a regular file")  # opening a pipe blocks for ever
        elif link is not None and link.st_size < _HEAD_BYTES:
            self._check_not_emptied(self.path)
        for ending in _BESIDE:
            path = real + ending
            found = _entry(path)
            if found is None:
                continue
            if not stat.S_ISREG(found.st_mode):
                raise _unsafe(path, "is not a regular file")
            if found.st_nlink > 1:
                raise _unsafe(path, "is a hard link of another file")

    def _check_not_emptied(self, real: str) -> None:
        """Raise an error for an emptied database, because SQLite would create a new one.

        It would also delete the log, which may still hold the contents.

        Raises:
            StoreCorruptError: It is empty, but other files show that it contained runs.
        """
        if not _is_empty(real):
            return
        beside = _first_kept(_signs_of_runs(real, dirname(self.path)))
        if beside is not None and _is_empty(real):  # otherwise it was created just now
            raise StoreCorruptError(
                f"{self.path} is empty, but {beside} beside it shows that it contained runs.",
                kept="Nothing was changed.",
                hint="Restore a backup; to start afresh, move the whole folder aside.",
            )

    def _check_link(self, link: os.stat_result) -> None:
        try:
            found = os.stat(self.path)
        except genuine(OSError) as error:
            raise _unsafe(self.path, "is a broken link") from error
        if link.st_uid not in {found.st_uid, 0}:
            raise _unsafe(self.path, "is a link to a file of another user")
        if not stat.S_ISREG(found.st_mode):
            raise _unsafe(self.path, "is a link to something other than a regular file")
        # SQLite would create its log beside another program's file before it could be checked.
        if not _is_run_database(self.path, found):
            raise _unsafe(self.path, "is a link to a file that is not a run database")

    @property
    def has_other_names(self) -> bool:
        """Whether the file is a hard link: writing to it would change another file."""
        try:
            return os.stat(self.path).st_nlink > 1
        except genuine(OSError):
            return False

    def remember(self) -> None:
        """Remember the identity of the file at the path.

        Raises:
            OSError: The file does not exist.
        """
        if hasattr(os, "O_PATH"):  # closing it releases no locks, unlike other descriptors
            pin = os.open(self.path, os.O_PATH | os.O_CLOEXEC)
            found = os.fstat(pin)
            # In one step, because another thread may read it.
            self._pin = (HeldFile(pin, (found.st_dev, found.st_ino)),)
        else:
            found = os.stat(self.path)
        self._identity = found.st_dev, found.st_ino
        self._group = found.st_gid

    def remember_log(self) -> None:
        """Remember the identity of the log, while a connection to it is open."""
        log = _identity_at(self._beside(_LOG))
        if not self.is_in_place:  # the log may be that of another file
            return
        self._log = log
        if self._group is not None and self._group != os.getegid():
            self._share_log(self._group)

    def _share_log(self, group: int) -> None:
        """Give the log and the shared memory to the database's group, as setgid would.

        SQLite copies only the permissions; as root it also copies the owner.
        """
        for ending in (_LOG, _SHARED_MEMORY):
            with suppressed(OSError):  # another member created it
                if os.geteuid():
                    os.chown(self._beside(ending), -1, group, follow_symlinks=False)

    def held_by(self, descriptors: Mapping[int, tuple[int, int]]) -> Files:
        """Return the descriptors that lead to the database, its log or its shared memory."""
        ours = self._identity, self._log, _identity_at(self._beside(_SHARED_MEMORY))
        pins = [descriptor for descriptor, *_ in self._pin]
        files = tuple(
            HeldFile(one, identity, self._marked(one, identity), identity == self._log)
            for one, identity in descriptors.items()
            if identity in ours and one not in pins
        )
        # A connection opens each once; a second one belongs to another thread, which may close it
        # soon.
        is_certain = len({one.identity for one in files}) == len(files)
        return files if is_certain else ()

    def _marked(self, descriptor: int, identity: tuple[int, int]) -> int:
        # Not the database: there are few marks, and its own could be that of another database.
        return 0 if identity == self._identity else marked(descriptor)

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode; None before it was opened."""
        return self._identity

    @property
    def _has_pin(self) -> bool:
        """Whether the pinned descriptor is still open, if there was one."""
        return is_whole(self._pin)

    def part_from_log(self) -> None:
        """Move the log of a replaced file aside, so that the next file does not use it.

        While a connection is open, no other log has its inode number.
        """
        if self._log is None or self.is_in_place:
            return
        with suppressed(OSError):
            found = os.stat(self._beside(_LOG))
            if (found.st_dev, found.st_ino) == self._log:
                self._set_leftovers_aside()

    def make(self) -> None:
        """Create an empty file if it does not exist, moving leftovers of an older one aside.

        It warns first if files of a store are there without their database.

        Raises:
            OSError: It cannot be created.
        """
        above = dirname(self.path)
        if mode_of(self.path):
            # SQLite would open a file without write permission yet as read-only.
            wait_for_rights(lambda: os.stat(self.path), os.stat(above))
            return
        if is_missing(self.path):  # before it is locked, because a filter may do anything
            self._warn_of_loss(above)
        from runstore.storage.files.locks import unlock, wait_for_lock

        folder = os.open(above, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # One process at a time creates the file, but none waits for ever.
            wait_for_lock(folder, patience_s=_LOCK_PATIENCE_S)
            if is_missing(self.path):  # not if a disk only failed to answer: the log is in use
                self._set_leftovers_aside()
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                occupy_closed_streams()
                made = os.open(self.path, flags, 0o666)
                # SQLite copies the database's permissions to its log and its shared memory.
                follow_folder(made, os.fstat(folder))
                os.close(made)
        finally:
            unlock(folder)
            os.close(folder)

    def _warn_of_loss(self, store: str) -> None:
        if (left := _first_kept(_sure_signs_of_runs(self.path, store))) is not None:
            warn(
                f"{self.path} is missing, but {left} beside it shows that it contained runs. "
                "A new database is created; numbers begin again at 1. "
                "If this is unexpected, stop the program and restore a backup."
            )

    def _set_leftovers_aside(self) -> None:
        # Programs that have it open keep it.
        with suppress(FileNotFoundError):
            os.unlink(self._beside(_SHARED_MEMORY))
        log = self._beside(_LOG)
        with suppress(FileNotFoundError):
            os.rename(log, f"{log}.left-{time.time_ns()}")
            sync_folder(dirname(log))  # or a power cut could restore it as the new log

    def _beside(self, ending: str) -> str:
        return self._real() + ending

    def _real(self) -> str:
        """Return the path after which SQLite names the files beside the database."""
        is_link = stat.S_ISLNK(mode_of(self.path, follows=False))
        return os.path.realpath(self.path) if is_link else self.path


def _is_empty(path: str) -> bool:
    """Check whether a database exists but is shorter than SQLite's header."""
    found = _entry(path)
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_size < _HEAD_BYTES


def _signs_of_runs(database: str, store: str) -> Iterator[str]:
    """Yield paths that a store with runs has beside its database, if they are not empty."""
    yield database + _LOG
    yield from (join(store, name) for name in ("objects", "runs", "search.db"))
    yield from _sure_signs_of_runs(database, store)


def _sure_signs_of_runs(database: str, store: str) -> Iterator[str]:
    """Yield paths that no other program has."""
    copy = f"{basename(database)}.before-schema-"
    with suppressed(OSError):
        yield from (join(store, one) for one in sorted(os.listdir(store)) if one.startswith(copy))
    objects = join(store, "objects")
    with suppressed(OSError):
        parts = [join(objects, one) for one in os.listdir(objects) if _IS_PART(one)]
        if any(map(_has_contents, parts)):
            yield objects


def _has_contents(part: str) -> bool:
    with suppressed(OSError), os.scandir(part) as found:
        return any(_IS_REST_OF_DIGEST(one.name) for one in found)
    return False


def _first_kept(paths: Iterable[str]) -> str | None:
    """Return the name of the first file or folder that is not empty; None otherwise."""
    return next(filter(None, map(_kept_at, paths)), None)


def _kept_at(path: str) -> str | None:
    """Return the name of a file or folder that is not empty; None otherwise."""
    with suppressed(OSError):
        found = os.lstat(path)
        if stat.S_ISDIR(found.st_mode):
            return f"{basename(path)}/" if os.listdir(path) else None
        return basename(path) if found.st_size else None
    return None


def _entry(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except genuine(OSError):
        return None  # SQLite reports the reason


# Linked databases that were checked, by device and inode. They stay open: closing one would
# release the locks of every connection of this process to it.
_looked_at: dict[tuple[int, int], int] = {}


def _is_run_database(path: str, found: os.stat_result) -> bool:
    """Check by the header of a file whether it is a database of runs.

    Source: SQLite, Database File Format: the application id is at byte 68.
    """
    identity = found.st_dev, found.st_ino
    known = _looked_at.get(identity)
    if known is None or identity_of(known) != identity:  # the program may have closed it
        try:
            known = _looked_at[identity] = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            )
        except genuine(OSError):
            return True  # it cannot be opened, as SQLite will report
    head = os.pread(known, _HEAD_BYTES, 0)
    if not head.startswith(b"SQLite format 3\0"):
        return False
    # On network disks, stores were created without the mark; the first pages name their tables.
    mark = head[68:72]
    is_unmarked_store = mark == bytes(4) and _NOTES in os.pread(known, _FIRST_PAGES_BYTES, 0)
    return mark == APPLICATION_ID.to_bytes(4, "big") or is_unmarked_store


def _unsafe(path: str, why: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{path} {why}.",
        kept="Nothing was read or changed.",
        hint="Check its target, then replace it with the file itself or remove it.",
    )


def _identity_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except genuine(OSError):
        return None
    return found.st_dev, found.st_ino
