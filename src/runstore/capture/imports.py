"""The modules that code imports, also those that it imports later, found without loading them.

The standard library alone: other interpreters run this file by itself, see
`runstore.capture.other_python`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec

_FILES_AT_MOST = 2_000
_FILE_AT_MOST_BYTES = 1 << 20
_SUFFIXES = (".py", ".pyw")
_STATEMENT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>\.*[\w.]*)[ \t]+import[ \t]*(?P<names>\([^)]*|[^\n#;]+)"
    r"|import[ \t]+(?P<modules>[^\n#;]+))",
    re.MULTILINE,
)
_CALL = re.compile(r"(?:import_module|__import__)\(\s*[\"']([\w.]+)[\"']")
_NAME = re.compile(r"[\w.]+")
# Finders of packages that were installed for editing; others may do anything when they are asked.
_OF_EDITING = "__editable__"

Find = Callable[[str], "str | None"]


def imports_beyond(
    known: Mapping[str, str], scripts: Sequence[str], is_own: Callable[[str], bool]
) -> tuple[dict[str, str], list[str]]:
    """Return the files of the modules that known ones import, and that these import in turn.

    Too many rather than too few: what is imported under a condition is among them.

    Args:
        known: Files of modules that are loaded, by name.
        scripts: Files of the main program, which is no module.
        is_own: Whether a file is the program's, not one of Python or of an installed package.

    Returns:
        The program's files by the names of their modules, without those that were known; and the
        names that nothing was found for.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    asked = set(known)
    foreign: set[str] = set()  # packages of others
    waiting = [("", one) for one in scripts] + list(known.items())
    for name, file in waiting:  # grows while it is worked off
        for wanted in _wanted(name, file):
            if wanted in asked or wanted.partition(".")[0] in foreign:
                continue
            asked.add(wanted)
            place = file_of(wanted)
            if place is None:
                missing.append(wanted)
            elif not is_own(place):
                foreign.add(wanted)
            elif len(waiting) < _FILES_AT_MOST:
                found[wanted] = place
                waiting.append((wanted, place))
    return found, missing


def _wanted(name: str, file: str) -> Iterator[str]:
    """Yield the names that a file imports, with the packages that they are in."""
    if not file.endswith(_SUFFIXES) and name:
        return
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - text all along
            text = opened.read(_FILE_AT_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    is_package = os.path.basename(file).startswith("__init__.")  # noqa: PTH119 - text all along
    package = name if is_package else name.rpartition(".")[0]
    for whole in _named(text, package):
        parts = whole.split(".")
        for length in range(1, len(parts) + 1):
            yield ".".join(parts[:length])


def _named(text: str, package: str) -> Iterator[str]:
    for one in _STATEMENT.finditer(text):
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
    """Return the file that an import would load, without loading anything; None if it has none."""
    path: Sequence[object] = sys.path
    file = None
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
        file = None if spec is None else spec.origin
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
