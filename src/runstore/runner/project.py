"""Project: the folders of experiments and parameter files, and their modules."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runstore.config import SETTINGS, is_folder, is_usable, project_settings, working_directory
from runstore.errors import UsageError, quoted
from runstore.model.display.suggestions import hint_of
from runstore.storage.sqlite.paths import is_file
from runstore.value_classes import dataclass

_NAMED = 10  # names in a hint, at most
_DEFAULTS = {"experiments": "experiments", "params": "params"}
_FOLDERS = (*_DEFAULTS, "store")


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file with an experiment or with parameters.

    `vision/digits.py` in its folder has the name `vision.digits`.
    """

    name: str
    file: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Outline:
    """The summary and the functions of a file, read without running it, or the problem."""

    summary: str = ""
    functions: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with modules of experiments and of parameters, imported from `root`."""

    root: Path
    experiments: Path
    params: Path

    @classmethod
    def find(cls) -> Project:
        """Return the project of the working directory.

        Its folder is the one whose `pyproject.toml` has `[tool.runstore]`, else the nearest one
        above that has an experiments folder, else the working directory.

        Raises:
            UsageError: `[tool.runstore]` has an unknown setting, or one of a wrong type.
        """
        here = Path(working_directory())
        settings, folder = project_settings(str(here))
        root = Path(folder)
        folders = {**_DEFAULTS, **_checked(settings, root)}
        if not settings:
            above, name = (here, *here.parents), folders["experiments"]
            root = next((one for one in above if _is_own_folder(one / name, here)), here)
        experiments, params = root / folders["experiments"], root / folders["params"]
        if not settings and is_folder(params) and not _is_own_folder(params, here):
            params = experiments
        return cls(root, experiments, params)

    def experiment(self, name: str) -> Module:
        """Return the experiment module of this name, or of this file.

        Raises:
            UsageError: There is none.
        """
        return self._found("experiment", name, (self.experiments,), "run")

    def parameters(self, name: str) -> Module:
        """Return the parameter module of this name; an experiment may bring its own parameters.

        Raises:
            UsageError: There is none.
        """
        return self._found("parameter file", name, (self.params, self.experiments), "get_params")

    def _found(self, kind: str, given: str, folders: Sequence[Path], function: str) -> Module:
        for folder in folders:
            name = _dotted(given, folder, self.root)
            file = folder.joinpath(*name.split(".")).with_suffix(".py")
            if name and all(part.isidentifier() for part in name.split(".")) and is_file(file):
                return Module(name, file, folder)
        known = [
            one.name
            for folder in folders
            for one in modules_in(folder)
            if (read := outline(one.file)).problem or function in read.functions
        ]
        hint = hint_of(given, known, most=_NAMED) if known else ""
        if kind == "experiment" and given.endswith(".py"):
            todo = f"Record a script with: runstore exec -- python {given}"
        else:
            todo = "" if known else "Create a small project with: runstore init"
        raise UsageError(
            f"There is no {kind} {quoted(given)} in {_shown(folders[0])}.",
            kept="Nothing was recorded.",
            hint=f"{hint} {todo}".strip(),
        )

    def import_name(self, module: Module) -> str:
        """Return the name under which Python code imports the module."""
        try:
            folder = ".".join(module.folder.relative_to(self.root).parts)
        except ValueError:  # a folder outside of the project
            folder = module.folder.name
        return f"{folder}.{module.name}" if folder else module.name


def _checked(settings: Mapping[str, Any], root: Path) -> dict[str, str]:
    for name, value in settings.items():
        if name not in SETTINGS:
            raise UsageError(
                f"[tool.runstore] in {root / 'pyproject.toml'} has an unknown setting {name!r}.",
                hint=hint_of(name, SETTINGS, who="Known"),
            )
        if name in _FOLDERS and not (isinstance(value, str) and value):
            raise UsageError(
                f"{name} in [tool.runstore] of {root / 'pyproject.toml'} is {value!r}.",
                hint="Use the path of a folder, as text.",
            )
    return {name: value for name, value in settings.items() if name in _DEFAULTS}


def _dotted(given: str, folder: Path, root: Path) -> str:
    """Read `vision.digits`, `vision/digits`, `experiments/vision/digits.py` or a whole path."""
    if not given.endswith(".py") and "/" not in given:
        return given
    path = Path(given)
    for base in (folder, root.joinpath(folder.name)):
        for candidate in (path, root / path, Path.cwd() / path):
            if candidate.is_absolute() and candidate.is_relative_to(base):
                path = candidate.relative_to(base)
                return ".".join(path.with_suffix("").parts)
    return ".".join(path.with_suffix("").parts)


def modules_in(folder: Path) -> Iterator[Module]:
    """Yield every module of a folder and its sub-folders, by name; none for a missing folder."""
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        if all(part.isidentifier() and not part.startswith("_") for part in parts):
            yield Module(".".join(parts), file, folder)


def outline(file: Path) -> Outline:
    """Return the description in a file; its code is read, not run."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        return Outline(problem=f"line {error.lineno}: {error.msg}")
    except (OSError, ValueError) as error:
        return Outline(problem=str(error))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = frozenset(node.name for node in tree.body if isinstance(node, kinds))
    # A function taken over from another module counts as well.
    imported = frozenset(
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    return Outline(summary, functions | imported)


def _shown(folder: Path) -> str:
    try:
        return f"{folder.relative_to(Path.cwd())}{os.sep}"
    except ValueError:
        return f"{folder}{os.sep}"


def _is_own_folder(folder: Path, here: Path) -> bool:
    """Check whether a folder of experiments is there and may be run; warn if it may not."""
    if not is_folder(folder):
        return False
    if is_usable(folder, here):
        return True
    from runstore.storage.trust.foreign_stores import leave_out_program

    leave_out_program(str(folder))
    return False
