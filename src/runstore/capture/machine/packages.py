"""Python and its installed distributions, reported by the interpreter in question.

This file only needs the standard library and `runstore.errors`, because other interpreters run
it on its own; see `runstore.capture.machine.other_python`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import machinery

from runstore.errors import attempt, genuine, named_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
_INFOS = (".dist-info", ".egg-info")
# Name and version come first, long before the description that most of these files are.
_HEAD_BYTES = 1 << 9
_REST_BYTES = 1 << 20
# Does not block on a pipe.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
# Errors that `importlib.metadata` treats as a missing file.
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
# A later change of a folder may have the same time: file systems count in up to two seconds.
_STEP_NS = 2_000_000_000
# What was read of a folder, with the status of the folder then: programs start many runs, and
# installers replace such folders as a whole.
_known: dict[tuple[Callable[[Any], Any], str], tuple[tuple[int, ...], Any]] = {}


def python_values() -> dict[str, str]:
    """Return version, implementation, executable and prefix."""
    return {
        "python.version": sys.version.split()[0],
        "python.implementation": _implementation(),
        "python.executable": sys.executable or "",
        "python.prefix": sys.prefix,
    }


def python_and_packages() -> tuple[dict[str, str], list[str], list[str]]:
    """Return `python_values`, and both lists of `distributions`."""
    return (python_values(), *distributions())


def _implementation() -> str:
    """Return `platform.python_implementation()`, usually without loading that module."""
    found = _IMPLEMENTATIONS.get(sys.implementation.name)
    if found is None:
        import platform

        found = platform.python_implementation()
    return found


def distributions() -> tuple[list[str], list[str]]:
    """Return `name==version` of importable distributions, and the names of unreadable ones.

    If a name occurs more than once, the first one on the path counts.
    """
    seen: dict[str, str] = {}
    broken: list[str] = []

    def add(place: Any) -> None:
        status = _status_of(place)
        name, version = _remembered(_name_and_version, place, status)
        # Folders of a partly removed package have no name.
        if name and name.lower() not in seen:
            origin = _remembered(_origin, place, status)
            seen[name.lower()] = _line(name, version, origin)

    for place in _places(broken):
        attempt(partial(add, place), partial(_note, broken, partial(_named, place)))
    return sorted(set(seen.values()), key=str.lower), broken


def _note(broken: list[str], named: Callable[[], str], error: Exception) -> None:
    """Note a place that cannot be read."""
    broken.append(f"{named()} ({named_error(error)})")


def _places(broken: list[str]) -> list[Any]:
    """Return the metadata of each distribution: its path, or the object that was found.

    The result is that of `importlib.metadata`, whose import takes as long as reading everything:
    it is only used if distributions may be outside folders.
    """
    has_finders = any(
        hasattr(finder, "find_distributions")
        for finder in sys.meta_path
        if finder is not machinery.PathFinder
    )
    places: list[Any] = []

    def add(entry: str) -> None:
        if has_finders or os.path.isfile(entry):  # noqa: PTH113 - text all along
            from importlib import metadata

            for one in metadata.distributions(path=[entry]):
                places.append(one)  # noqa: PERF402 - even if a later one raises
        else:
            places.extend(_below(entry))

    for entry in sys.path:
        attempt(partial(add, entry), partial(_note, broken, partial(str, entry)))
    return places


def _below(entry: str) -> list[str]:
    """Return the places within a folder of the path."""
    try:
        names = os.listdir(entry or os.curdir)  # noqa: PTH208 - text all along
    except genuine(OSError):
        return []
    is_egg = os.path.basename(entry).lower().endswith(".egg")  # noqa: PTH119 - the same
    start = os.path.join(entry, "")  # noqa: PTH118 - the same
    return [
        start + name
        for name in names
        if name.lower().endswith(_INFOS) or (is_egg and name.lower() == "egg-info")
    ]


def _named(place: Any) -> str:
    path = place if isinstance(place, str) else getattr(place, "_path", "")
    return os.path.basename(str(path)) or "a distribution"  # noqa: PTH119 - text all along


def _text(place: Any, name: str, *, is_whole: bool = True) -> str:
    """Return the text of a file, or only its first lines; empty if there is none.

    An empty name is that of the place itself.
    """
    if not isinstance(place, str):
        return place.read_text(name) or ""
    try:
        file = os.open(f"{place}{os.sep}{name}" if name else place, _READING)
    except _ABSENT:
        return ""
    try:
        data = os.read(file, _HEAD_BYTES)
        while is_whole:
            more = os.read(file, _REST_BYTES)
            if not more:
                break
            data += more
    except IsADirectoryError:
        return ""
    finally:
        os.close(file)
    if not is_whole:
        data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _remembered(read: Callable[[Any], T], place: Any, status: tuple[int, ...]) -> T:
    """Return what is read of a place; from memory if its folder has still this status."""
    if not status:
        return read(place)
    before = _known.get((read, place))
    if before is not None and before[0] == status:
        return before[1]  # type: ignore[no-any-return]
    found = read(place)
    if max(status[1:]) < time.time_ns() - _STEP_NS:
        _known[read, place] = status, found
    return found


def _status_of(place: Any) -> tuple[int, ...]:
    """Return inode and times of a folder whose files are never rewritten; else an empty tuple."""
    is_replaced_as_a_whole = isinstance(place, str) and place.endswith(_INFOS[0])
    if not is_replaced_as_a_whole or not os.path.isabs(place):  # noqa: PTH117 - text all along
        return ()
    try:
        found = os.stat(place)  # noqa: PTH116 - text all along
    except genuine(OSError):
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _name_and_version(place: Any) -> tuple[str, str]:
    """Return both without reading the description after them, which would take most of the time.

    Source: Core metadata specifications 2.3, and importlib.metadata's `Distribution.metadata`.
    """
    for name in ("METADATA", "PKG-INFO", ""):
        for is_whole in (False, True):
            text = _text(place, name, is_whole=is_whole)
            found = _fields(text)
            if found[0] and found[1]:
                return found
        if text:
            return found
    return "", ""


def _fields(text: str) -> tuple[str, str]:
    """Return the values of the first `Name` and the first `Version`."""
    found: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
        if "name" in found and "version" in found:
            break
    return found.get("name", ""), found.get("version", "")


def _line(name: str, version: str, origin: str) -> str:
    if not version:
        raise ValueError("it has no version")
    return f"{name}=={version}" + (f" @ {origin}" if origin else "")


def _origin(place: Any) -> str:
    """Return the origin of a package that was installed from a repository or a folder.

    Source: PEP 610, direct_url.json.
    """
    text = _text(place, "direct_url.json")
    if not text:
        return ""
    import json

    try:
        told = json.loads(text)
        url = str(told["url"])
        commit = told.get("vcs_info", {}).get("commit_id")
        is_editable = told.get("dir_info", {}).get("editable")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return ""
    if commit:
        return f"{url}@{commit}"
    return f"{url} (editable)" if is_editable else url
