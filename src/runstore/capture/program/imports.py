"""The modules that code imports, also those that it imports later, found without loading them.

The standard library alone: other interpreters run this file by itself, see
`runstore.capture.machine.other_python`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from itertools import chain
from typing import NamedTuple

_FILES_AT_MOST = 2_000
_FILE_AT_MOST_BYTES = 1 << 20
_SUFFIXES = (".py", ".pyw")
_STATEMENT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(?P<base>\.*[\w.]*)[ \t]+import[ \t]*(?P<names>\([^)]*|[^\n;]+)"
    r"|import[ \t]+(?P<modules>[^\n;]+))",
    re.MULTILINE,
)
_NO_CODE = re.compile(r"#[^\n]*|\\\n")
_CALL = re.compile(r"(?:import_module|__import__)\(\s*[\"']([\w.]+)[\"']")
_NAME = re.compile(r"[\w.]+")
# Finders of packages that were installed for editing; others may do anything when they are asked.
_OF_EDITING = "__editable__"

# What lets a program import from folders that are told while it runs, and names that are.
_MOVES = re.compile(r"sys\.path|addsitedir|meta_path|spec_from_file_location|run_path")
_NAMES_LATER = re.compile(r"(?:import_module|__import__)\((?!\s*[\"'][\w.]+[\"']\s*[,)])")


class Imports(NamedTuple):
    """What code imports, as far as the code tells.

    Attributes:
        files: Files of the program's own modules by their names.
        missing: Top-level names that nothing was found for.
        moves: A file that changes where imports are looked for; empty without any.
        names_later: A file that imports by names that it computes; empty without any.
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
    """Return the modules that known ones import, and that these import in turn.

    Too many rather than too few: what is imported under a condition is among them.

    Args:
        known: Files of modules that are loaded, by name; they are left out.
        scripts: Files of the main program, which is no module.
        is_own: Whether a file is the program's, not one of Python or of an installed package.
        code: Further code to begin with.
    """
    found = Imports({}, [], "", "")
    asked = set(known)
    foreign: set[str] = set()  # packages of others
    waiting = [("", one) for one in scripts] + list(known.items())
    for name, file, text in chain([("", "", code)], _texts(waiting)):
        found = found._replace(
            moves=found.moves or (file or code if _MOVES.search(text) else ""),
            names_later=found.names_later or (file or code if _NAMES_LATER.search(text) else ""),
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


def _is_unknown(name: str) -> bool:
    """Whether nothing was found for a name that may be one of a module."""
    of_python = {*sys.builtin_module_names, *getattr(sys, "stdlib_module_names", ())}
    return "." not in name and name not in of_python


def _texts(waiting: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield names, files and texts of modules, of those that are added meanwhile as well."""
    for name, file in waiting:
        if name and not file.endswith(_SUFFIXES):
            continue
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - text all along
                yield name, file, opened.read(_FILE_AT_MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            continue


def _wanted(name: str, file: str, text: str) -> Iterator[str]:
    """Yield the names that a file imports, with the packages that they are in."""
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
            # What is no module is found nowhere.
            yield from (f"{base}.{word}" if base else word for word in _NAME.findall(part)[:1])
    yield from _CALL.findall(text)


def _absolute(base: str, package: str) -> str:
    name = base.lstrip(".")
    dots = len(base) - len(name)
    if not dots:
        return name
    parts = package.split(".")
    above = parts[: len(parts) - dots + 1]
    return ".".join([*above, *([name] if name else [])])


# Where a module would be found


def file_of(name: str) -> str | None:
    """Return the file that an import would load, without loading anything.

    Empty for a package that is a folder without a file; None if there is none.
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
        # Folders without a file are parts of one package, unless a real one is found.
        spec = next((one for one in specs if one.loader is not None), None)
        if not specs:
            return None
        file = "" if spec is None else spec.origin
        path = [one for some in ([spec] if spec else specs) for one in _folders(some)]
    return file


def _folders(spec: ModuleSpec) -> Iterable[str]:
    return spec.submodule_search_locations or ()


def _specs(name: str, path: Sequence[object], *, is_top: bool) -> Iterator[ModuleSpec]:
    import pkgutil

    texts = [one for one in path if isinstance(one, str)]
    finders: list[object] = [pkgutil.get_importer(one or os.curdir) for one in texts]
    if is_top:
        finders += [one for one in sys.meta_path if _is_of_editing(one)]
    for finder in finders:
        look = getattr(finder, "find_spec", None)
        spec = look(name) if look is not None else None
        if isinstance(spec, ModuleSpec):
            yield spec


def _is_of_editing(finder: object) -> bool:
    return str(getattr(finder, "__module__", "")).startswith(_OF_EDITING)


# What another interpreter tells of a command


def imports_of_command(kind: str, what: str, but: str) -> dict[str, object]:
    """Return what the program of a command imports; see `Imports`.

    Args:
        kind: Whether it is a `script`, a `module` or `code`.
        what: The file, the name or the text.
        but: A folder whose modules are left out.
    """
    scripts = [what] if kind == "script" else []
    code = {"module": f"import {what}, {what}.__main__", "code": what}.get(kind, "")
    found = imports_beyond({}, scripts, lambda place: _is_own_here(place, but), code=code)
    return found._asdict()


def _is_own_here(place: str, but: str) -> bool:
    """Whether a file is none of this Python's and of no installed package."""
    library = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - text all along
    if place.startswith((library, but)):
        return False
    for name in ("site-packages", "dist-packages"):
        above, packages, below = place.partition(os.sep + name + os.sep)
        if packages:
            # A package that was installed as a link to its sources is the user's.
            return os.path.islink(above + packages + below.partition(os.sep)[0])  # noqa: PTH114 - the same
    return True
