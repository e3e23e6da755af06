"""The modules that code imports, now or later, found without loading them.

This file only needs the standard library and two modules of ours, because other interpreters run
it on its own; see `runstore.capture.machine.other_python`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from itertools import chain

from runstore.errors import genuine
from runstore.value_classes import NamedTuple

_FILES_AT_MOST = 2_000
_FILE_AT_MOST_BYTES = 1 << 20
_SUFFIXES = (".py", ".pyw")
_STATEMENT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(?P<base>\.*[\w.]*)[ \t]+import[ \t]*(?P<names>\([^)]*|[^\n;]+)"
    r"|import[ \t]+(?P<modules>[^\n;]+))",
    re.MULTILINE,
)
_NO_CODE = re.compile(r"#[^\n]*|\\\n")
_CALL = r"(?:import_module|__import__)\(\s*[\"']([\w.]+)[\"']"
_CALLED = ("import_module(", "__import__(")
_NAME = re.compile(r"[\w.]+")
# Finders of packages in editable mode; other finders may have side effects.
_OF_EDITING = "__editable__"

# Functions with which a program imports from folders, or names, that it computes.
_MOVES = ("sys.path", "addsitedir", "meta_path", "spec_from_file_location", "run_path")
_NAMES_LATER = r"(?:import_module|__import__)\((?!\s*[\"'][\w.]+[\"']\s*[,)])"


class Imports(NamedTuple):
    """The imports of code, as far as its text shows them.

    Attributes:
        files: Files of the program's own modules by name.
        missing: Top-level names that were not found.
        moves: A file that changes the import path; empty without any.
        names_later: A file that computes names of imports; empty without any.
    """

    files: dict[str, str]
    missing: list[str]
    moves: str
    names_later: str


def imports_beyond(
    known: Mapping[str, str],
    scripts: Sequence[str],
    is_own: Callable[[str], bool],
    *,
    code: str = "",
) -> Imports:
    """Return the modules that known ones import, directly and indirectly.

    Conditional imports are included: too many modules rather than too few.

    Args:
        known: Files of loaded modules by name; they are left out.
        scripts: Files of the main program, which is not a module.
        is_own: Checks whether a file belongs to the program, not to Python or a package.
        code: Further code to start from.
    """
    found = Imports({}, [], "", "")
    asked = set(known)
    foreign: set[str] = set()  # packages of others
    waiting = [("", one) for one in scripts] + list(known.items())
    for name, file, text in chain([("", "", code)], _texts(waiting)):
        found = found._replace(
            moves=found.moves or (file or code if _has_any(text, _MOVES) else ""),
            names_later=found.names_later or (file or code if _names_later(text) else ""),
        )
        for wanted in _wanted(name, file, text):
            if wanted in asked or wanted.partition(".")[0] in foreign:
                continue
            asked.add(wanted)
            place = file_of(wanted)
            if place is None:
                found.missing.extend([wanted] if _is_unknown(wanted) else [])
            elif place and not is_own(place):
                foreign.add(wanted)
            elif place and len(waiting) < _FILES_AT_MOST:
                found.files[wanted] = place
                waiting.append((wanted, place))
    return found


def _has_any(text: str, words: Sequence[str]) -> bool:
    return any(one in text for one in words)


def _names_later(text: str) -> bool:
    return _has_any(text, _CALLED) and re.search(_NAMES_LATER, text) is not None


def _is_unknown(name: str) -> bool:
    """Check whether a name that may be a module was not found."""
    of_python = {*sys.builtin_module_names, *getattr(sys, "stdlib_module_names", ())}
    return "." not in name and name not in of_python


def _texts(waiting: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield names, files and texts of modules, including those added during the iteration."""
    for name, file in waiting:
        if name and not file.endswith(_SUFFIXES):
            continue
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - text all along
                yield name, file, opened.read(_FILE_AT_MOST_BYTES).decode("utf-8", "replace")
        except genuine(OSError):
            continue


def _wanted(name: str, file: str, text: str) -> Iterator[str]:
    """Yield the names that a file imports, with their packages."""
    is_package = os.path.basename(file).startswith("__init__.")  # noqa: PTH119 - text all along
    package = name if is_package else name.rpartition(".")[0]
    for whole in _named(text, package):
        parts = whole.split(".")
        for length in range(1, len(parts) + 1):
            yield ".".join(parts[:length])


def _named(text: str, package: str) -> Iterator[str]:
    for one in _STATEMENT.finditer(_NO_CODE.sub("", text)):
        if one["modules"]:
            for part in one["modules"].split(","):
                yield from _NAME.findall(part)[:1]
            continue
        base = _absolute(one["base"], package)
        yield from [base] if base else []
        for part in one["names"].strip("( \t").split(","):
            # Names that are not modules are not found.
            yield from (f"{base}.{word}" if base else word for word in _NAME.findall(part)[:1])
    if _has_any(text, _CALLED):
        yield from re.findall(_CALL, text)


def _absolute(base: str, package: str) -> str:
    name = base.lstrip(".")
    dots = len(base) - len(name)
    if not dots:
        return name
    parts = package.split(".")
    above = parts[: len(parts) - dots + 1]
    return ".".join([*above, *([name] if name else [])])


# Search for a module


def file_of(name: str) -> str | None:
    """Return the file that an import would load, without loading anything.

    Empty for a namespace package; None if there is none.
    """
    path: Sequence[object] = sys.path
    file: str | None = ""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        whole = ".".join(parts[:depth])
        loaded = getattr(sys.modules.get(whole), "__path__", None) if depth < len(parts) else None
        if isinstance(loaded, list):
            path = loaded
            continue
        specs = list(_specs(whole, path, is_top=depth == 1))
        # Folders without a file are parts of a namespace package, unless a regular one is found.
        spec = next((one for one in specs if one.loader is not None), None)
        if not specs:
            return None
        file = "" if spec is None else spec.origin
        path = [one for some in ([spec] if spec else specs) for one in _folders(some)]
    return file


def _folders(spec: ModuleSpec) -> Iterable[str]:
    return spec.submodule_search_locations or ()


def _specs(name: str, path: Sequence[object], *, is_top: bool) -> Iterator[ModuleSpec]:
    texts = [one for one in path if isinstance(one, str)]
    finders = [_finder(one or os.curdir) for one in texts]
    if is_top:
        finders += [one for one in sys.meta_path if _is_of_editing(one)]
    for finder in finders:
        look = getattr(finder, "find_spec", None)
        spec = look(name) if look is not None else None
        if isinstance(spec, ModuleSpec):
            yield spec


def _finder(folder: str) -> object:
    """Return the finder of modules in a folder; usually, the interpreter has it already."""
    if folder in sys.path_importer_cache:
        return sys.path_importer_cache[folder]
    import pkgutil

    return pkgutil.get_importer(folder)


def _is_of_editing(finder: object) -> bool:
    return str(getattr(finder, "__module__", "")).startswith(_OF_EDITING)


# The part that another interpreter runs


def imports_of_command(kind: str, what: str, but: str) -> dict[str, object]:
    """Return the imports of a `script`, a `module` or a text (`code`); see `Imports`.

    Modules in the folder `but` are left out.
    """
    scripts = [what] if kind == "script" else []
    code = {"module": f"import {what}, {what}.__main__", "code": what}.get(kind, "")
    found = imports_beyond({}, scripts, lambda place: _is_own_here(place, but), code=code)
    return found._asdict()


def _is_own_here(place: str, but: str) -> bool:
    """Check whether a file belongs neither to this Python nor to an installed package."""
    library = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - text all along
    if place.startswith((library, but)):
        return False
    for name in ("site-packages", "dist-packages"):
        above, packages, below = place.partition(os.sep + name + os.sep)
        if packages:
            # A package installed as a link to its sources belongs to the user.
            return os.path.islink(above + packages + below.partition(os.sep)[0])  # noqa: PTH114 - the same
    return True
