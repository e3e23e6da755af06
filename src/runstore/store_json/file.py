"""The file `store.json`: read with care, written whole, changed by one process at a time."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from runstore.errors import StoreReadOnlyError, StoreUnavailableError
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

REGISTRY = "params_registry.json"
LOCK_PATIENCE_S = 60.0
_STATE_BYTES = 512
_LARGEST_BYTES = 1 << 31
_LARGEST_REGISTRY_BYTES = 1 << 27
_ENTRY = re.compile(r'"([^"\\_][^"\\]*)"\s*:\s*(?=\{)')
_FAILURES_AT_MOST = 100  # each may take a look at the whole file
# What every list of runs begins with, unless it is empty or damaged at its very beginning.
_BEGINNING_BYTES = 4096
_BEGINS_LIST = re.compile(
    rb"(\xef\xbb\xbf)?\s*(\Z|\[\s*(\]\s*\Z|\{.*\"(reference|experiment_name)\"\s*:))", re.DOTALL
)
# Curifactory rewrites the file in place; who looks meanwhile finds the beginning of it. It writes
# 8 kB at a time, milliseconds apart.
_FRESH_NS = 2_000_000_000
_PAUSE_S = 0.05
_REWRITE_S = 10.0


class Stamp(NamedTuple):
    """What tells that a file is still the one we wrote, without reading it."""

    size: int
    mtime_ns: int
    inode: int

    def as_state(self) -> dict[str, int]:
        """Return the stamp as part of a lock's state."""
        return self._asdict()


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file; None when there is none.

    Raises:
        StoreUnavailableError: The disk does not tell.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None  # links in a circle lead to no file
        raise StoreUnavailableError(
            f"{path} cannot be looked at: {error.strerror}.", kept="Nothing was changed."
        ) from error
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def read_block_file(path: Path) -> Salvaged | None:
    """Read a block file, damaged or not; None when there is none.

    A file that is damaged and was changed a moment ago may be in the middle of a rewrite by
    another tool; as long as it goes on changing, it gets the time to become whole.

    Raises:
        UnsafeFileError: It is no plain file, or a link to a file that holds no list of runs.
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
        UnsafeFileError: It is no plain file, or a link to a file that holds no list of runs.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        if has_holes(file.fileno()):
            raise UnsafeFileError(path, "it has holes")
        return file.read()


def _opened(path: Path) -> BinaryIO:
    """Open `store.json`; a link is followed, as people keep the file on another disk.

    Raises:
        UnsafeFileError: It is no plain file, or a link to a file that holds no list of runs.
        OSError: It cannot be read.
    """
    found, real = path.lstat(), path
    if stat.S_ISLNK(found.st_mode) and not _is_circle(path):
        real = Path(os.path.realpath(path))
        if not real.exists():
            raise UnsafeFileError(path, "it is a link that leads nowhere")
    file = reader(real, levels=0, at_most=_LARGEST_BYTES)
    try:
        if real != path or found.st_nlink > 1:
            _check_link(path, file)
    except BaseException:  # nobody else has it to close
        file.close()
        raise
    return file


def _check_link(path: Path, file: BinaryIO) -> None:
    """Make sure that a link, or a hard link, leads to a list of runs of the user who made it.

    Whoever handed on the store may have led it to any file of this user.
    """
    if path.lstat().st_uid not in {os.fstat(file.fileno()).st_uid, 0}:
        raise UnsafeFileError(path, "it is a link to a file of another user")
    if not _BEGINS_LIST.match(file.read(_BEGINNING_BYTES)):
        raise UnsafeFileError(
            path, f"it is a link to a file ({os.path.realpath(path)}) that holds no list of runs"
        )
    file.seek(0)


def _is_circle(path: Path) -> bool:
    """Tell whether a link leads to itself, and so to no file."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _is_fresh(stamp: Stamp) -> bool:
    return abs(time.time_ns() - stamp.mtime_ns) < _FRESH_NS


def read_blocks_from(data: bytes) -> Salvaged:
    """Read the blocks of a file's bytes, whatever their encoding."""
    text, problem = decode(data)
    # An empty file is what is left when a rewrite is killed at once: damaged, with nothing in it.
    if not text.strip():
        return Salvaged(problems=["The file is empty."])
    found = read_blocks(text)
    if problem:
        found.problems.append(problem)
    return found


def decode(data: bytes) -> tuple[str, str | None]:
    """Return the text of a JSON file, and what is wrong with its encoding, if anything."""
    encoding = json.detect_encoding(data)
    text = data.decode(encoding, "replace")
    # NULs at the beginning look like UTF-16 to the detector; a block list always says this word.
    if encoding != "utf-8" and '"reference"' not in text:
        text, encoding = data.decode("utf-8", "replace"), "utf-8"
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return text, f"The bytes from {error.start} on are not {encoding} text."
    return text, None


def write_block_file(path: Path, chunks: Iterable[bytes | memoryview]) -> Stamp:
    """Replace a file by these bytes: at every instant there is the old one or the new one.

    Written aside in the same folder, synced, renamed, and the folder synced. An existing file's
    permissions are kept. When it fails, the old file stays, and nothing is left beside it.

    Raises:
        OSError: The disk did not take it.
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
        aside.replace(path)
        # What is remembered of the file would be of another one after a power cut, and an older
        # list would be taken for what somebody wrote.
        sync_folder(path.parent)
    except BaseException:  # what is half written goes
        with suppress(OSError):
            aside.unlink()
        raise
    return Stamp(written.st_size, written.st_mtime_ns, written.st_ino)


def _take_rights(path: Path, descriptor: int) -> None:
    """Keep the rights of the file that is replaced; those of a new one follow its folder."""
    with suppress(OSError):
        if path.exists():
            copy_rights(descriptor, path.stat())
        else:
            follow_folder(descriptor, path.parent.stat())


def set_aside(path: Path) -> Path:
    """Keep a damaged file under another name; the name itself stays until it is replaced."""
    stem = f"{path.name}.damaged-{time.strftime('%Y-%m-%d-T%H%M%S')}"
    aside = path.with_name(stem)
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    try:
        os.link(os.path.realpath(path), aside)  # of a link the file itself, which is replaced
    except OSError:  # a disk without hard links, or another disk
        with _opened(path) as file, aside.open("xb") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copystat(path, aside)
    sync_folder(path.parent)  # before the name gets another file
    return aside


class FileLock:
    """One process at a time takes in and writes a file; a holder that dies lets go.

    The lock file remembers what the last holder wrote: `state`. It needs no syncing, since a
    state that is lost or stale only means that the file is compared once more.

    Args:
        path: The file to guard; the lock is `.<name>.lock` beside it.
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
        except OSError as error:
            if error.errno == errno.EROFS:
                raise _refused(self.path, error) from error
            raise StoreUnavailableError(
                f"{self.path} cannot be made: {error.strerror}.",
                kept="Nothing was changed.",
                hint="Free some space, or check the folder.",
            ) from error
        patience_s = LOCK_PATIENCE_S if self._patience_s is None else self._patience_s
        is_locked: bool | None = False
        try:
            # On a disk without locks, the database's own are left, and the file is written whole.
            is_locked = wait_for_lock(self._descriptor, patience_s=patience_s)
        finally:
            if is_locked is False:  # also by Ctrl-C: nobody else would let go of it
                self._close()
        if is_locked is False:
            raise kept_locked(self.path, patience_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def remember(self, state: Mapping[str, Any]) -> None:
        """Write the state, as holder of the lock."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        data = json.dumps(state).encode().ljust(_STATE_BYTES)
        # A disk that is full loses the state, which costs a comparison, and not the run.
        with suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, data)

    def state(self) -> dict[str, Any]:
        """Return the state last remembered; empty when there is none. Needs no lock."""
        try:
            # Asked four times for each run: a file object would cost as much as the rest.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_nlink > 1:
                    return {}  # replaced when the lock is taken
                value = json.loads(os.read(descriptor, 4 * _STATE_BYTES))
            finally:
                os.close(descriptor)
        except (OSError, ValueError, RecursionError):
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

    Keys that begin with `_` are bookkeeping. A damaged file is read as far as it makes sense;
    it only explains hashes, so nothing is lost with what cannot be read.
    """
    if not os.path.lexists(f"{folder}/{REGISTRY}"):
        return {}  # of most folders, and asked for each run
    try:
        text, _ = decode(read_file(folder / REGISTRY, levels=0, at_most=_LARGEST_REGISTRY_BYTES))
    except OSError:
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
    """Return the entries of a registry that is cut off or has garbage in it.

    What is in an entry is none; where too many make no sense, the rest is left.
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
