"""The file `store.json`: robust reading, atomic writing, changes by one process at a time."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from runstore.errors import StoreReadOnlyError, StoreUnavailableError, genuine, suppressed
from runstore.storage.files.locks import kept_locked, unlock, wait_for_lock
from runstore.storage.files.safe_files import (
    UnsafeFileError,
    has_holes,
    open_or_replace,
    read_file,
    reader,
)
from runstore.storage.sqlite.paths import copy_rights, follow_folder, sync_folder
from runstore.store_json.salvage import Salvaged, read_blocks
from runstore.value_classes import NamedTuple

REGISTRY = "params_registry.json"
LOCK_PATIENCE_S = 60.0
_STATE_BYTES = 512
_LARGEST_BYTES = 1 << 31
_LARGEST_REGISTRY_BYTES = 1 << 27
_ENTRY = re.compile(r'"([^"\\_][^"\\]*)"\s*:\s*(?=\{)')
_FAILURES_AT_MOST = 100  # each may scan the whole file
# The beginning of every list of runs, unless it is empty or damaged at its very beginning.
_BEGINNING_BYTES = 4096
_BEGINS_LIST = re.compile(
    rb"(\xef\xbb\xbf)?\s*(\Z|\[\s*(\]\s*\Z|\{.*\"(reference|experiment_name)\"\s*:))", re.DOTALL
)
# Curifactory rewrites the file in place, so that readers may see only its beginning. It writes 8
# kB at a time, milliseconds apart.
_FRESH_NS = 2_000_000_000
_PAUSE_S = 0.05
_REWRITE_S = 10.0


class Stamp(NamedTuple):
    """Facts that show that a file is unchanged since we wrote it, without reading it."""

    size: int
    mtime_ns: int
    inode: int


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file; None if it does not exist.

    Raises:
        StoreUnavailableError: The status cannot be read.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except genuine(OSError) as error:
        if error.errno == errno.ELOOP:
            return None  # circular links lead to no file
        raise StoreUnavailableError(
            f"The status of {path} cannot be read: {error.strerror}.", kept="Nothing was changed."
        ) from error
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def read_block_file(path: Path) -> Salvaged | None:
    """Read a block file, damaged or not; return None if it does not exist.

    A damaged file that changed a moment ago may be in the middle of a rewrite by another tool;
    while it keeps changing, this waits for it to become complete.

    Raises:
        UnsafeFileError: It is not a regular file, or a link to a file that is not a list of runs.
        OSError: It cannot be read.
    """
    deadline = time.monotonic() + _REWRITE_S
    while True:
        before = stamp_of(path)
        try:
            found = read_blocks_from(read_list(path))
        except FileNotFoundError:
            return None
        if not found.problems or before is None or not _is_fresh(before):
            return found
        time.sleep(_PAUSE_S)
        if stamp_of(path) == before or time.monotonic() > deadline:
            return found


def read_list(path: Path) -> bytes:
    """Return the contents of `store.json`.

    Raises:
        UnsafeFileError: It is not a regular file, or a link to a file that is not a list of runs.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        if has_holes(file.fileno()):
            raise UnsafeFileError(path, "it has holes")
        return file.read()


def _opened(path: Path) -> BinaryIO:
    """Open `store.json`, following a link, because people keep the file on another disk.

    Raises:
        UnsafeFileError: It is not a regular file, or a link to a file that is not a list of runs.
        OSError: It cannot be read.
    """
    found, real = path.lstat(), path
    if stat.S_ISLNK(found.st_mode) and not _is_circle(path):
        real = Path(os.path.realpath(path))
        if not real.exists():
            raise UnsafeFileError(path, "it is a broken link")
    file = reader(real, levels=0, at_most=_LARGEST_BYTES)
    try:
        if real != path or found.st_nlink > 1:
            _check_link(path, file)
    except BaseException:  # there is no other reference to close it
        file.close()
        raise
    return file


def _check_link(path: Path, file: BinaryIO) -> None:
    """Check that a link, or a hard link, leads to a list of runs of the user who created it.

    Otherwise the sender of a store could make it refer to any file of this user.
    """
    if path.lstat().st_uid not in {os.fstat(file.fileno()).st_uid, 0}:
        raise UnsafeFileError(path, "it is a link to a file of another user")
    if not _BEGINS_LIST.match(file.read(_BEGINNING_BYTES)):
        raise UnsafeFileError(
            path, f"it is a link to a file ({os.path.realpath(path)}) that is not a list of runs"
        )
    file.seek(0)


def _is_circle(path: Path) -> bool:
    """Check whether a link leads to itself, and so to no file."""
    try:
        path.stat()
    except genuine(OSError) as error:
        return error.errno == errno.ELOOP
    return False


def _is_fresh(stamp: Stamp) -> bool:
    return abs(time.time_ns() - stamp.mtime_ns) < _FRESH_NS


def read_blocks_from(data: bytes) -> Salvaged:
    """Parse the blocks of a file in any encoding."""
    text, problem = decode(data)
    # An interrupted rewrite may leave an empty file, which counts as damaged.
    if not text.strip():
        return Salvaged(problems=["The file is empty."])
    found = read_blocks(text)
    if problem:
        found.problems.append(problem)
    return found


def decode(data: bytes) -> tuple[str, str | None]:
    """Return the text of a JSON file, and the problem with its encoding, if any."""
    encoding = json.detect_encoding(data)
    text = data.decode(encoding, "replace")
    # The detector mistakes leading NULs for UTF-16; a block list always contains this word.
    if encoding != "utf-8" and '"reference"' not in text:
        text, encoding = data.decode("utf-8", "replace"), "utf-8"
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return text, f"The bytes from {error.start} on are not {encoding} text."
    return text, None


class FileChangedError(OSError):
    """Another program wrote the file after it was read."""


def write_block_file(
    path: Path, chunks: Iterable[bytes | memoryview], was_read: Stamp | None = None
) -> Stamp:
    """Replace a file atomically.

    The data is written to a temporary file in the same folder, synced, renamed, and the folder
    synced. An existing file's permissions are kept. On failure, the old file remains, and nothing
    is left beside it.

    Args:
        path: The file.
        chunks: Its new contents.
        was_read: The stamp of the file before its runs were read, if they were.

    Raises:
        FileChangedError: Another program has written the file since.
        OSError: The disk is full or not writable.
    """
    if path.is_symlink() and not _is_circle(path):
        _opened(path).close()
        path = Path(os.path.realpath(path))  # a link stays a link
    aside = path.with_name(f".{path.name}.new")
    try:
        aside.unlink(missing_ok=True)  # left by a crash, or a link
        with aside.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            _take_rights(path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
            written = os.fstat(file.fileno())
        if was_read is not None:
            _check_is_still(was_read, path)
        aside.replace(path)
        # Otherwise, after a power cut, the remembered stamp could belong to another file, and an
        # older list would be mistaken for a foreign edit.
        sync_folder(path.parent)
    except BaseException:  # removes the partial file
        with suppressed(OSError):
            aside.unlink()
        raise
    return Stamp(written.st_size, written.st_mtime_ns, written.st_ino)


def _check_is_still(was_read: Stamp, path: Path) -> None:
    if stamp_of(path) != was_read:
        raise FileChangedError(f"Another program kept changing {path}.")


def _take_rights(path: Path, descriptor: int) -> None:
    """Keep the permissions of the replaced file; a new file follows its folder."""
    with suppressed(OSError):
        if path.exists():
            copy_rights(descriptor, path.stat())
        else:
            follow_folder(descriptor, path.parent.stat())


def set_aside(path: Path) -> Path:
    """Copy a damaged file to another name; the original stays until it is replaced."""
    stem = f"{path.name}.damaged-{time.strftime('%Y-%m-%d-T%H%M%S')}"
    aside = path.with_name(stem)
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    try:
        os.link(os.path.realpath(path), aside)  # links the target, which is about to be replaced
    except genuine(OSError):  # a disk without hard links, or another disk
        with _opened(path) as file, aside.open("xb") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copystat(path, aside)
    sync_folder(path.parent)  # before the original is replaced
    return aside


class FileLock:
    """A lock for importing and writing the file, which is released if its holder dies.

    The lock file stores the file's state as of the last write: `state`. It is not synced, because
    a lost or stale state only causes another comparison of the file.

    Args:
        path: The file to protect; the lock is `.<name>.lock` beside it.
        patience_s: How long to wait for another holder, in seconds; None for a minute.
    """

    def __init__(self, path: Path, *, patience_s: float | None = None) -> None:
        self.path = path.with_name(f".{path.name}.lock")
        self._patience_s = patience_s
        self._descriptor: int | None = None

    def __enter__(self) -> FileLock:
        try:
            self._descriptor = open_or_replace(self.path)
        except PermissionError as error:
            raise _refused(self.path, error) from error
        except genuine(OSError) as error:
            if error.errno == errno.EROFS:
                raise _refused(self.path, error) from error
            raise StoreUnavailableError(
                f"{self.path} cannot be created: {error.strerror}.",
                kept="Nothing was changed.",
                hint="Free some disk space, or check the folder.",
            ) from error
        patience_s = LOCK_PATIENCE_S if self._patience_s is None else self._patience_s
        is_locked: bool | None = False
        try:
            # Without locks, the database's own remain, and the file is written atomically.
            is_locked = wait_for_lock(self._descriptor, patience_s=patience_s)
        finally:
            if is_locked is False:  # also on Ctrl-C, because nothing else would release it
                self._close()
        if is_locked is False:
            raise kept_locked(self.path, patience_s)
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def remember(self, state: Mapping[str, Any]) -> None:
        """Store the state; the lock must be held."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        data = json.dumps(state).encode().ljust(_STATE_BYTES)
        # On a full disk the state is lost, which costs a comparison, but not the run.
        with suppressed(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, data)

    def state(self) -> dict[str, Any]:
        """Return the stored state, or an empty one; requires no lock."""
        try:
            # Called four times per run: a file object would cost as much as everything else.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_nlink > 1:
                    return {}  # replaced when the lock is acquired
                value = json.loads(os.read(descriptor, 4 * _STATE_BYTES))
            finally:
                os.close(descriptor)
        except genuine(OSError, ValueError, RecursionError):
            return {}
        if not isinstance(value, dict):
            return {}
        return {name: one for name, one in value.items() if isinstance(one, int)}


def _refused(path: Path, error: OSError) -> StoreReadOnlyError:
    return StoreReadOnlyError(
        f"The store at {path.parent} cannot be written: {error.strerror}.",
        kept="Nothing was changed; reading still works.",
        hint="Check the permissions of the folder, or choose another store.",
    )


def read_registry(folder: Path) -> dict[str, tuple[str | None, dict[str, str]]]:
    """Read `params_registry.json`: the name and the text of each parameter, by hash.

    Keys that begin with `_` are internal. A damaged file is read as far as possible; it only
    explains hashes, so that unreadable entries are no loss.
    """
    if not os.path.lexists(f"{folder}/{REGISTRY}"):
        return {}  # most folders have none, and this is called for each run
    try:
        text, _ = decode(read_file(folder / REGISTRY, levels=0, at_most=_LARGEST_REGISTRY_BYTES))
    except genuine(OSError):
        return {}
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = _whole_entries(text)
    if not isinstance(entries, dict):
        return {}
    return {
        digest: _registered(entry) for digest, entry in entries.items() if isinstance(entry, dict)
    }


def _registered(entry: Mapping[str, Any]) -> tuple[str | None, dict[str, str]]:
    name = entry.get("name")
    values = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in entry.items()
        if key != "name" and not key.startswith("_")
    }
    return (name if isinstance(name, str) else None), values


def _whole_entries(text: str) -> dict[str, Any]:
    """Return the intact entries of a truncated or damaged registry.

    Nested entries are skipped; after too many failures, the rest is ignored.
    """
    decoder = json.JSONDecoder()
    entries: dict[str, Any] = {}
    at = failures = 0
    while failures < _FAILURES_AT_MOST and (match := _ENTRY.search(text, at)):
        try:
            entry, at = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            at = match.end()
            failures += 1
        else:
            entries.setdefault(match[1], entry)
    return entries
