"""The modules that a command of another process imports, according to its code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib import machinery
from pathlib import Path
from typing import Any

from runstore.capture.machine.other_python import AskError, asked, interpreter_of
from runstore.capture.program.files import CLOCK_LAG_NS, OWN_FOLDER, Command
from runstore.capture.program.modules import IsKept, marked, written_since_the_beginning
from runstore.capture.program.places import first_written_since
from runstore.model.code.documents import IMPORTED_MODULES
from runstore.model.code.launchers import Launched, launched
from runstore.model.facts import Facts

_FILES_AT_MOST = 1_000


def modules_of_command(root: Path, command: Command, is_kept: IsKept) -> Facts:
    """Return the document `modules.imported`, or the reason why the modules are unknown.

    For a Python program these are the modules that its code imports, found by its interpreter. If
    it computes their names, or is not Python, all modules of `PYTHONPATH` folders are listed.
    `is_kept` returns the given paths that are recorded otherwise.
    """
    files: dict[str, str] = {}
    run = launched(command.words)
    interpreter = None if run.environment else interpreter_of(run.interpreter, command.folder)
    is_followed = interpreter is not None and run.kind in {"script", "module", "code"}
    problem = ""
    if interpreter is not None and is_followed:
        try:
            found = _imports(interpreter, run, command)
        except AskError as error:
            return Facts(unknown={"modules": str(error)})
        files.update(found["files"])
        is_followed = not found["names_later"]
        if found["moves"] and found["missing"]:
            name = found["missing"][0]
            problem = f"{name} was not found, and {found['moves']} looks for it elsewhere"
    if not is_followed:
        problem = problem or _add_modules_of_path(root, command, files)
    problem = problem or written_since_the_beginning(root, files.values())
    return marked(IMPORTED_MODULES, root, files, is_kept, problem)


def edited_since(at: datetime, places: Iterable[str], root: str) -> str:
    """Return a module of a document `modules.imported` written since; empty without any."""
    files = [os.path.join(root, place) for place in places]  # noqa: PTH118 - text all along
    return first_written_since(int(at.timestamp() * 1_000_000) * 1000 - CLOCK_LAG_NS, root, files)


def _imports(interpreter: str, run: Launched, command: Command) -> dict[str, Any]:
    what, first = run.what, str(command.folder or "")
    if run.kind == "script":
        what = os.path.join(first, what)  # noqa: PTH118 - text all along
        first = os.path.dirname(what)  # noqa: PTH120 - the same
    file, words = Path(__file__).with_name("imports.py"), [run.kind, what, OWN_FOLDER]
    found: dict[str, Any] = asked(
        interpreter, file, "imports_of_command", words, first, command.folder
    )
    return found


def _add_modules_of_path(root: Path, command: Command, files: dict[str, str]) -> str:
    """Add the modules of `PYTHONPATH` folders outside the work tree, up to a limit."""
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        folder = os.path.join(str(command.folder or ""), entry)  # noqa: PTH118 - text all along
        if not entry or Path(folder).resolve().is_relative_to(root.resolve()):
            continue
        for name, file in _modules_in(folder):
            files.setdefault(name, file)
            if len(files) > _FILES_AT_MOST:
                return f"{entry} in PYTHONPATH holds more than {_FILES_AT_MOST:,} modules"
    return ""


def _modules_in(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the modules of a folder and of its packages, by name; archives are not opened."""
    suffixes = tuple(machinery.all_suffixes())
    if os.path.isfile(folder):  # noqa: PTH113 - text all along
        yield os.path.basename(folder), folder  # noqa: PTH119 - the same
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one.isidentifier() and one != "__pycache__")
        below = os.path.relpath(place, folder)
        package = "" if below == os.curdir else below.replace(os.sep, ".") + "."
        for name in sorted(names):
            stem = name.partition(".")[0]
            if name.endswith(suffixes) and stem.isidentifier():
                yield f"{package}{name}", os.path.join(place, name)  # noqa: PTH118 - text all along
