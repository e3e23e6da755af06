"""Importing user modules from the project's folders, and saying in one line why one fails."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from runstore.errors import UsageError
from runstore.runner.project import Module, Project

_OWN = str(Path(__file__).parent.parent)
_NOTHING_RECORDED = "Nothing was recorded."


def load(project: Project, module: Module) -> ModuleType:
    """Import a module of the project; its own imports are looked up from the project's root.

    Raises:
        UsageError: It does not import; the message names the line.
    """
    root = str(project.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    name = project.import_name(module)
    try:
        _own_parents(module, name)
        return importlib.import_module(name)
    except Exception as error:  # the user's code
        raise UsageError(
            f"{_shown(module.file, project)} cannot be imported: {_reason(error, project)}",
            kept=_NOTHING_RECORDED,
        ) from error


def _own_parents(module: Module, name: str) -> None:
    """Make the project's folders the parents, even if an installed package has their name."""
    parts = name.split(".")
    top = module.file.parents[len(parts) - 1]
    for depth in range(1, len(parts)):
        parent, folder = ".".join(parts[:depth]), top.joinpath(*parts[:depth])
        known = sys.modules.get(parent)
        if known is not None and str(folder) in list(getattr(known, "__path__", [])):
            continue
        _forget(parent)
        if (folder / "__init__.py").is_file():
            importlib.import_module(parent)
        else:
            package = ModuleType(parent)
            package.__path__ = [str(folder)]
            sys.modules[parent] = package


def _forget(parent: str) -> None:
    for name in [one for one in sys.modules if one == parent or one.startswith(f"{parent}.")]:
        del sys.modules[name]


def function_of(
    loaded: ModuleType, name: str, module: Module, project: Project
) -> Callable[..., Any]:
    """Return a function of a user's module.

    Raises:
        UsageError: The module has none of this name.
    """
    found: Callable[..., Any] | None = getattr(loaded, name, None)
    if not callable(found):
        call = {"run": "run(params, manager)", "get_params": "get_params()"}.get(name, name)
        raise UsageError(
            f"{_shown(module.file, project)} has no function {name}.",
            kept=_NOTHING_RECORDED,
            hint=f"Define {call} in it.",
        )
    return found


def _reason(error: BaseException, project: Project) -> str:
    """Return type, text and place of an error, the place being the last line of the project's."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {text}"
    places = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(project.root)
    ]
    if not places:
        return text
    return f"{text} ({places[-1].filename}, line {places[-1].lineno}: {places[-1].line})"


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error in user code, without the frames of this package."""
    told = traceback.TracebackException.from_exception(error)
    waiting, seen = [told], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        frames = [frame for frame in one.stack if not frame.filename.startswith(_OWN)]
        one.stack = traceback.StackSummary.from_list(frames)
        waiting += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
    return "".join(told.format())


def _shown(file: Path, project: Project) -> str:
    return str(file.relative_to(project.root) if file.is_relative_to(project.root) else file)
