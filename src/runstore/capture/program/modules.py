"""The modules of a program that are in no commit, with their places and fingerprints."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from runstore.capture.git.source_files import masked_path
from runstore.capture.machine.process import process_started_ns
from runstore.capture.program.files import LOADED_AT_NS, LoadedModule, Loading, is_own
from runstore.capture.program.imports import imports_beyond
from runstore.capture.program.places import (
    file_or_archive,
    first_written_since,
    place_of,
)
from runstore.errors import attempt, genuine, named_error
from runstore.model.code.documents import LATE_MODULES, MODULES, RESUMED_CODE
from runstore.model.facts import Facts
from runstore.model.values import free_name

_FILES_AT_MOST = 5_000
_READ_AT_MOST_BYTES = 256 << 20
_SECONDS_AT_MOST = 10.0
# For larger files, such as compiled libraries, size and time are used.
_FILE_AT_MOST_BYTES = 64 << 20

IsKept = Callable[[Sequence[str]], "Collection[str]"]

# Earlier results, by place, size and times: programs start many runs.
_read: dict[tuple[str, int, int, int], str] = {}


class Marks:
    """Fingerprints of modules within limits, and the reason as a clause if one is unknown."""

    def __init__(self) -> None:
        self.problem = ""
        self._left_bytes = _READ_AT_MOST_BYTES
        self._left_files = _FILES_AT_MOST
        self._deadline = time.monotonic() + _SECONDS_AT_MOST

    def of(self, file: str) -> str:
        """Return the fingerprint of a module's file, or of its archive.

        Empty if it is gone, unreadable, or beyond the limits.
        """
        place = file_or_archive(file)
        if place is None:
            return ""
        try:
            about = os.stat(place)  # noqa: PTH116 - text all along
            return self._of(place, about)
        except genuine(OSError) as error:
            self.problem = f"{masked_path(place)}: {error.strerror}"
            return ""

    def _of(self, place: str, about: os.stat_result) -> str:
        key = (place, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if about.st_size > _FILE_AT_MOST_BYTES:
            return f"size:{about.st_size}:time:{about.st_mtime_ns}"
        if key not in _read:
            self._left_files -= 1
            self._left_bytes -= about.st_size
            if min(self._left_files, self._left_bytes) < 0 or time.monotonic() > self._deadline:
                self.problem = "they are too many to be read"
                return ""
            if len(_read) > _FILES_AT_MOST:
                _read.clear()
            from runstore.capture.program.fingerprints import digest_of_file

            _read[key] = digest_of_file(place)
        return _read[key]


def paths_in(root: Path, file: str) -> tuple[str, ...] | None:
    """Return the paths under which git may track a file: its own, and that of its link target.

    None if one of them is outside the work tree.
    """
    top = os.path.realpath(root)
    folder, name = os.path.split(file)
    try:
        places = (os.path.join(os.path.realpath(folder), name), os.path.realpath(file))  # noqa: PTH118 - text all along
    except genuine(OSError, ValueError):
        return None
    if not all(one.startswith(top + os.sep) for one in places):
        return None
    return tuple(dict.fromkeys(os.path.relpath(one, top).replace(os.sep, "/") for one in places))


def _documents(name: str, entries: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the text with place and fingerprint of modules by name; no text without modules."""
    if not entries:
        return {}
    masked: dict[str, list[str]] = {}
    for one in sorted(entries):
        masked[free_name(masked_path(one), masked)] = list(entries[one])
    return {name: json.dumps(masked)}


def files_of(
    modules: Mapping[str, LoadedModule], scripts: Sequence[str]
) -> tuple[dict[str, str], str]:
    """Return the files of loaded modules and of their imports, by name.

    And the reason, as part of a sentence, if some imports are unknown: child processes may load
    other modules than this one.
    """
    files = {name: one.file for name, one in modules.items() if one.file not in scripts}
    # Finders of other packages may raise anything.
    return attempt(
        lambda: ({**files, **imports_beyond(files, scripts, is_own).files}, ""),
        lambda error: (
            files,
            f"their imports cannot be followed: {named_error(error)}",
        ),
    )


def modules_at_start(
    root: Path, modules: Mapping[str, LoadedModule], scripts: Sequence[str], is_kept: IsKept
) -> Facts:
    """Return the document `modules`: loaded modules and imports that are not stored elsewhere.

    `modules` is among the unknown facts if the loaded code may differ from the files.
    """
    files, why = files_of(modules, scripts)
    loaded = [one.file for one in modules.values()]
    why = why or written_since_the_beginning(root, (*scripts, *loaded))
    return marked(MODULES, root, files, is_kept, why)


def marked(
    name: str, root: Path, files: Mapping[str, str], is_kept: IsKept, problem: str = ""
) -> Facts:
    """Return a document of the modules that are not kept in another way.

    `modules` is among the unknown facts if there is a problem. `is_kept` returns the given paths
    of the work tree that are recorded otherwise.
    """
    marks = Marks()
    paths = {file: paths_in(root, file) for file in files.values()}
    kept = is_kept(sorted({one for some in paths.values() for one in some or ()}))
    entries = {
        module: (place_of(file, str(root)), marks.of(file))
        for module, file in files.items()
        if not _is_covered(paths[file], kept)
    }
    why = problem or marks.problem
    return Facts(documents=_documents(name, entries), unknown={MODULES: why} if why else {})


def _is_covered(paths: Sequence[str] | None, covered: Collection[str]) -> bool:
    return paths is not None and all(one in covered for one in paths)


def written_since_the_beginning(root: Path, files: Iterable[str]) -> str:
    """Return a file that was written since this process began; see `first_written_since`."""
    began_ns = min(process_started_ns() or LOADED_AT_NS, LOADED_AT_NS)
    return first_written_since(began_ns, str(root), files)


def modules_since(loading: Loading) -> Facts:
    """Return the document `modules.late`: the modules that a program loaded during a run.

    `modules.late` is among the unknown facts if the loaded code may differ.
    """
    marks = Marks()
    entries: dict[str, tuple[str, str]] = {}
    for name, one in loading.late.copy().items():
        place = place_of(one.file, loading.root)
        # Tracked files belong to the commit; git is only asked if that matters.
        entries[name] = place, "" if place != masked_path(one.file) else marks.of(one.file)
    problem = loading.problem or marks.problem
    return Facts(
        documents=_documents(f"{loading.prefix}{LATE_MODULES}", entries),
        unknown={(RESUMED_CODE if loading.prefix else LATE_MODULES): problem} if problem else {},
    )
