"""Whether the data that an earlier run read is still the same."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from runstore.analysis.compare.differences import MISSING, Difference, FileContents
from runstore.artifacts.inputs import Lineage
from runstore.capture.git.new_files import words_read
from runstore.capture.git.state import tracked_at
from runstore.errors import RunstoreError, genuine, suppressed
from runstore.model.display.formatting import local_time, size_text
from runstore.storage.prior_runs import EarlierRuns
from runstore.storage.rows import from_micros, to_micros
from runstore.value_classes import dataclass, field

if TYPE_CHECKING:
    from runstore.model.artifacts import Input
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

# Of files that only look changed, one look-up reads so much to see whether they are.
READ_LIMIT_BYTES = 256 << 20
_INPUTS_AT_MOST = 2_000
_FILES_AT_MOST = 100_000
_LINKS_AT_MOST = 40  # as in the kernel
# Folders that change without new data.
_NO_DATA = frozenset({".git", ".runstore", "__pycache__"})
_SHORT_OPTION = re.compile(r"-\w.")
_BETWEEN_NAMES = re.compile(r"[\s=,:;@|&<>(){}\[\]\"'`]+")


@dataclass(slots=True)
class InputsNow:
    """The state of the data that a run read.

    Attributes:
        differences: Data that changed or is gone.
        unknown: Parts that are unknown, as sentences without their ends.
        unchecked: Names of data elsewhere, which cannot be checked here.
    """

    differences: list[Difference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


class FilesNow:
    """Files of one look-up: each is read once, however many runs read it.

    The limit of bytes holds for all of them together; otherwise the answer would depend on the
    number of runs.
    """

    def __init__(self, backend: Backend) -> None:
        self._inputs = backend.part(Lineage)
        self._left_bytes = READ_LIMIT_BYTES
        self.extent = functools.cache(self._inputs.extent)
        self.digest = functools.cache(self._digest)
        self.changes = functools.cache(_changes)
        self.tracked_at = functools.cache(tracked_at)

    def _digest(self, place: Path) -> str | None:
        """Return the digest of a file or folder; None if it is too large to read."""
        return self._inputs.digest_of(place, self._may_read)

    def _may_read(self, size_bytes: int) -> bool:
        if size_bytes > self._left_bytes:
            return False
        self._left_bytes -= size_bytes
        return True


def inputs_now(backend: Backend, run: Run, folder: Path, files: FilesNow) -> InputsNow:
    """Compare the inputs of a run, and of the runs inside it, with the files of now.

    A file is the same if its size and its times are those of the last read, or else if its
    contents are.

    Args:
        backend: The store.
        run: The earlier run.
        folder: The working directory, which relative paths count from.
        files: The files as this look-up found them.
    """
    earlier = EarlierRuns(backend.database)
    found = earlier.inputs_inside(run.uid, _INPUTS_AT_MOST + 1)
    look = _InputCheck(earlier, run, folder, files)
    if len(found) > _INPUTS_AT_MOST:
        look.now.unknown.append(f"it read more than {_INPUTS_AT_MOST:,} files")
    for one in found[:_INPUTS_AT_MOST]:
        look.at(one)
    return look.now


class _InputCheck:
    def __init__(self, earlier: EarlierRuns, run: Run, folder: Path, files: FilesNow) -> None:
        self._files = files
        self._earlier = earlier
        self._then = Path(str(run.facts.values.get("command.cwd", "")))
        self._folder = folder
        self.now = InputsNow()

    def at(self, one: Input) -> None:
        """Look at one input."""
        if one.location is None:
            if (
                one.digest
                and one.source_uid
                and self._earlier.is_saved(one.digest, one.source_uid)
            ):
                return
            self._differs(one, None)
        elif "://" in one.location:
            self.now.unchecked.append(one.name)
        else:
            self._at_file(one, self._place(one.name, Path(one.location)))

    def _place(self, name: str, location: Path) -> Path:
        """Return the path of an input now; a relative one starts at the folder of the run."""
        is_relative = not os.path.isabs(name) and self._then / name == location  # noqa: PTH117 - any text
        return self._folder / name if is_relative else location

    def _at_file(self, one: Input, place: Path) -> None:
        try:
            size, modified_ns = self._files.extent(place)
            if size != one.size_bytes:
                self._differs(one, size_text(size))
                return
            digest = self._files.digest(place) if one.digest else None
        except genuine(OSError, ValueError, RunstoreError):
            self._differs(one, None)
            return
        if digest is not None:
            if digest != one.digest:
                self._differs(one, FileContents(digest, size))
        elif one.modified_at != from_micros(modified_ns // 1000):
            self._touched(one, size)

    def _touched(self, one: Input, size: int) -> None:
        if one.digest is None:
            self._differs(one, f"{size_text(size)}, written since")
        else:
            self.now.unknown.append(f"{one.name} was written since, and is too large to be read")

    def _differs(self, one: Input, now: FileContents | str | None) -> None:
        before = FileContents(one.digest, one.size_bytes)
        values = (before, MISSING if now is None else now)
        self.now.differences.append(Difference("inputs", one.name, values))


def arguments_now(
    run: Run, arguments: tuple[str, ...], folder: Path, files: FilesNow
) -> list[Difference]:
    """Return the files and folders named in a command that changed after a run of it ended.

    Files that git tracks are left out: they belong to the code.
    """
    return [
        Difference("inputs", word, ("as it was", now))
        for word, now in _written_since(run, arguments, folder, files)
    ]


def _written_since(
    run: Run, arguments: tuple[str, ...], folder: Path, files: FilesNow
) -> Iterator[tuple[str, str]]:
    if run.ended_at is None:
        return
    ended_at = to_micros(run.ended_at)
    for word in dict.fromkeys(_names_in(arguments)):
        changes = files.changes(folder / word, folder)
        if len(changes) > _FILES_AT_MOST:
            yield word, f"more than {_FILES_AT_MOST:,} files"
            continue
        for at_ns, file in takewhile(lambda one: one[0] // 1000 > ended_at, changes):
            if file not in files.tracked_at(folder / word, folder):
                yield word, f"written {local_time(from_micros(at_ns // 1000))}"
                break


def _names_in(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts in arguments that may name a file that the command reads."""
    for word in words_read(arguments):
        begin = 2 if _SHORT_OPTION.match(word) else 0
        whole = word, word.partition("=")[2], word.lstrip("@"), word[begin:]
        yield from filter(None, (*whole, *_BETWEEN_NAMES.split(word)))


def _changes(place: Path, folder: Path) -> list[tuple[int, str]]:
    """Return when a file, or what is in a folder, changed, in ns, the latest change first.

    Paths are absolute, without links in the folders above. The list is one longer than the limit
    if there are more. A folder around the working directory is not data, so only its own time
    counts.
    """
    try:
        path = os.path.normpath(f"{os.path.realpath(place.parent)}/{place.name}")
        here, there = Path(path).lstat(), Path(path).stat()
        if not (S_ISREG(there.st_mode) or S_ISDIR(there.st_mode)):
            return []
        is_around = Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path))
    except genuine(OSError, ValueError):
        return []
    found = [(_changed_ns(here, there), path), *_links_to(os.fspath(place))]
    if S_ISDIR(there.st_mode) and not is_around:
        found += islice(_changes_inside(path), _FILES_AT_MOST)
    return sorted(found, reverse=True)


def _links_to(path: str) -> Iterator[tuple[int, str]]:
    """Yield the same of each link on the way to a path: it may lead elsewhere now."""
    at, names, followed = "/", path.split("/")[::-1], 0
    while names and followed < _LINKS_AT_MOST:
        name = names.pop()
        if name == "..":
            at = os.path.dirname(at)  # noqa: PTH120 - of a text
        elif name not in {"", "."}:
            step = f"{at.rstrip('/')}/{name}"
            try:
                target, here = os.readlink(step), os.lstat(step)  # noqa: PTH115 - the same
            except genuine(OSError):  # no link
                at = step
                continue
            followed += 1
            yield _changed_ns(here, here), step
            at = "/" if target.startswith("/") else at
            names += target.split("/")[::-1]


def _changes_inside(place: str) -> Iterator[tuple[int, str]]:
    """Yield the same of all that is in a folder; links to folders are not followed."""
    folders = [place]
    while folders:
        with suppressed(OSError), os.scandir(folders.pop()) as entries:
            for one in entries:
                if one.is_dir(follow_symlinks=False):
                    if one.name in _NO_DATA:
                        continue
                    folders.append(one.path)
                with suppressed(OSError):  # removed just now, or a link to nothing
                    here = one.stat(follow_symlinks=False)
                    yield _changed_ns(here, one.stat() if one.is_symlink() else here), one.path


def _changed_ns(here: os.stat_result, there: os.stat_result) -> int:
    """Return the last change of a file or folder, or of a link to it.

    What is moved or copied to its place keeps its time of writing, so its inode counts.
    """
    return max(one for about in (here, there) for one in (about.st_mtime_ns, about.st_ctime_ns))
