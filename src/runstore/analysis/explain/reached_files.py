"""Files of its code that a run's program may use: its script, imports, and named files."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Protocol

from runstore.analysis.explain.code_meaning import ModuleImports, imports_of, notebook_code
from runstore.analysis.reruns.identity import call_of

if TYPE_CHECKING:
    from runstore.analysis.compare.file_versions import Version
    from runstore.model.run import Run

_FILES_AT_MOST = 1_000
_PYTHON = (".py", ".ipynb")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


class Files(Protocol):
    """The code of a run."""

    @property
    def paths(self) -> Collection[str]:
        """Every file that it has."""

    def read(self, paths: Collection[str]) -> Version:
        """Return some of the files."""


def reached_files(run: Run, files: Files) -> frozenset[str] | None:
    """Return the files that a program may import, run or read by name.

    Too many rather than too few: modules are found by the end of their path too, and every text
    in the code that is the name of a file counts.

    Returns:
        Paths; None if unknown, because the script is not known or not Python, or because
        the program imports by names that its code does not show.
    """
    return _Reach(run, files).found()


class _Reach:
    """Follows imports from the script."""

    def __init__(self, run: Run, files: Files) -> None:
        self._files = files
        self._run = run
        self._paths = frozenset(files.paths)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_module: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._path_of: dict[tuple[str, ...], str] = {}
        for path in self._paths:
            self._by_name[posixpath.basename(path)].append(path)
            if path.endswith(".py"):
                parts = tuple(path[:-3].split("/"))
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                if parts:
                    self._by_module[parts[-1]].append(parts)
                    self._path_of[parts] = path
        self._first: tuple[str, ...] | None = None  # the folder of a script: Python looks there

    def found(self) -> frozenset[str] | None:
        begun = self._begin()
        if not begun:
            return None
        found: set[str] = set()
        fresh = set(begun)
        while fresh:
            found |= fresh
            if len(found) > _FILES_AT_MOST:
                return None
            states = self._files.read({path for path in fresh if path.endswith(_PYTHON)})
            fresh = set()
            for path, state in states.items():
                if state.text is None:
                    return None
                text = notebook_code(state.text) if path.endswith(".ipynb") else state.text
                asked = imports_of(text)
                if asked is None or asked.is_open:
                    return None
                fresh |= set(self._asked(path, asked)) - found
        return frozenset(found)

    def _begin(self) -> set[str]:
        """Return the script, and files named by the command and the parameters."""
        program = call_of(self._run.facts).program
        if program is None:
            return set()
        kind, _, name = program.partition(" ")
        if kind == "-c":
            asked = imports_of(name)
            script = set(self._asked("", asked)) if asked and not asked.is_open else set()
        elif kind == "-m":
            script = set(self._modules((), name))
            script |= {
                path for one in script if (path := f"{one[:-11]}__main__.py") in self._paths
            }
        else:
            script = {program} & self._paths
            self._first = tuple(program.split("/")[:-1])
        if not any(path.endswith(_PYTHON) for path in script):
            return set()
        words = set(str(self._run.cli or "").split())
        for one in self._run.parameter_sets:
            words |= set(re.findall(r'"([^"]{1,200})"', one.tree or ""))
        return script | set(self._named("", words))

    def _asked(self, path: str, asked: ModuleImports) -> Iterator[str]:
        folder = tuple(path.split("/")[:-1])
        for module in asked.modules:
            yield from self._modules(folder, module)
        yield from self._named(posixpath.dirname(path), asked.mentions)

    def _modules(self, folder: tuple[str, ...], module: str) -> Iterator[str]:
        """Yield the files of a module and of the packages that it is in."""
        name = module.lstrip(".")
        dots = len(module) - len(name)
        parts = tuple(name.split(".")) if name else ()
        if dots:
            base = folder[: len(folder) - dots + 1]
            yield from self._along(base, parts)
            return
        near = [
            root
            for root in dict.fromkeys((self._first or (), folder, (), ("src",)))
            if (*root, parts[0]) in self._path_of or self._has_folder((*root, parts[0]))
        ]
        if self._first is not None and self._first in near:
            near = [self._first]
        for root in near:
            yield from self._along(root, parts)
        if not near:
            for length in range(len(parts), 0, -1):
                for whole in self._by_module.get(parts[length - 1], ()):
                    if whole[-length:] == parts[:length]:
                        yield self._path_of[whole]

    def _has_folder(self, parts: tuple[str, ...]) -> bool:
        start = "/".join(parts) + "/"
        return any(path.startswith(start) for path in self._paths)

    def _along(self, base: tuple[str, ...], parts: tuple[str, ...]) -> Iterator[str]:
        for length in range(len(parts) + 1):
            path = self._path_of.get((*base, *parts[:length]))
            if path is not None:
                yield path

    def _named(self, folder: str, words: Collection[str]) -> Iterator[str]:
        """Yield files that words name, by path, by name or as a module."""
        for word in words:
            name = word.strip("'\"(),;=").rpartition("=")[2]
            for path in (
                posixpath.normpath(name),
                posixpath.normpath(posixpath.join(folder, name)),
            ):
                if path in self._paths:
                    yield path
            if "." in name:
                yield from self._by_name.get(posixpath.basename(name), ())
                if _MODULE.fullmatch(name):
                    yield from self._modules((), name)
