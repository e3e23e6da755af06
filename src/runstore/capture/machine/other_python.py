"""The Python and the packages of a command that runs in another interpreter."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runstore import errors
from runstore.capture.machine.environment import environment_facts, facts_of
from runstore.errors import genuine
from runstore.model.code.launchers import launched
from runstore.model.code.python_command import is_python
from runstore.model.facts import Facts

_TIMEOUT_S = 20.0
_SHELLS = frozenset({"sh", "bash", "dash", "fish", "ksh", "zsh"})
_FIRST_LINES_BYTES = 1 << 10
MARK = "\0runstore\0"
# Python searches the folder of the script first. The other interpreter need not have runstore, so
# it gets the only module of ours that the file needs, which itself needs none.
_ASK = (
    "import sys, types; errors, file, sys.path[0] = sys.argv[1:]; own = {};"
    " ours = [types.ModuleType(name) for name in ('runstore', 'runstore.errors')];"
    " sys.modules.update((one.__name__, one) for one in ours);"
    " exec(compile(open(errors, encoding='utf-8').read(), errors, 'exec'), vars(ours[1]));"
    " exec(compile(open(file, encoding='utf-8').read(), file, 'exec'), own);"
    " import json; packages, broken = own['distributions']();"
    f" print({MARK!r} + json.dumps([own['python_values'](), packages, broken]))"
)
# The form of pip for long paths of interpreters, which the shell starts.
_EXEC = re.compile(r"^'''exec' (\"[^\"\n]+\"|\S+)", re.MULTILINE)


def facts_of_command(command: Sequence[str], folder: Path | None) -> Facts:
    """Return `python.*` and the document `packages` of the interpreter that runs a command."""
    run = launched(command)
    if run.environment:
        return _unknown(f"{run.environment} chooses the environment of the command")
    interpreter = interpreter_of(run.interpreter, folder)
    if interpreter is None and Path(run.interpreter).name in _SHELLS:
        # A shell script starts the Python that it finds.
        interpreter = interpreter_of("python", folder) or interpreter_of("python3", folder)
    if interpreter is None:
        return _unknown(f"{Path(run.interpreter).name} is not Python")
    if is_own(interpreter):
        return environment_facts()
    script = Path(folder or ".", run.what).parent if run.kind == "script" else folder
    return _asked(interpreter, str(script or ""), folder)


def interpreter_of(program: str, folder: Path | None) -> str | None:
    """Return the path of the Python that runs a program; None if it is not a Python program."""
    found = shutil.which(program)
    if found is None:
        return None
    # Relative to the folder of the command, which may not be that of this process.
    place = os.path.join(folder, found) if folder else found  # noqa: PTH118 - text all along
    if is_python(place):
        return place
    try:
        with open(place, "rb") as file:  # noqa: PTH123 - text all along
            head = file.read(_FIRST_LINES_BYTES).decode("utf-8", "replace")
    except genuine(OSError):
        return None
    return _of_first_line(head, folder)


def _of_first_line(head: str, folder: Path | None) -> str | None:
    if not head.startswith("#!"):
        return None
    words = head[2:].partition("\n")[0].split()
    if words and Path(words[0]).name == "env":
        words = [one for one in words[1:] if not one.startswith("-") and "=" not in one]
    if words and is_python(words[0]):
        return interpreter_of(words[0], folder)
    pointed = _EXEC.search(head)
    return interpreter_of(pointed[1].strip('"'), folder) if pointed else None


def is_own(interpreter: str) -> bool:
    """Check whether an interpreter is that of this process, with the same packages."""
    place, own = Path(interpreter), Path(sys.executable or "python")
    try:
        # Environments share the program, but not the folder with the link to it.
        return place.samefile(own) and place.parent.samefile(own.parent)
    except genuine(OSError):
        return False


def _asked(interpreter: str, script_folder: str, folder: Path | None) -> Facts:
    try:
        values, packages, broken = asked(
            interpreter,
            _ASK,
            [errors.__file__, str(Path(__file__).with_name("packages.py")), script_folder],
            folder,
        )
    except AskError as error:
        return _unknown(str(error))
    return facts_of(values, packages, broken)


class AskError(Exception):
    """An interpreter did not answer; the text is the reason."""


def asked(interpreter: str, code: str, words: Sequence[str], folder: Path | None) -> Any:
    """Run code in another interpreter, and return the JSON that it prints after the mark.

    Raises:
        AskError: It did not answer.
    """
    import json
    import subprocess

    try:
        answer = subprocess.run(
            [interpreter, "-c", code, *words],
            cwd=folder,
            capture_output=True,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        ).stdout
        return json.loads(answer.decode("utf-8").rpartition(MARK)[2])
    except subprocess.TimeoutExpired:
        raise AskError(f"{interpreter} did not answer within {_TIMEOUT_S:g} s") from None
    except genuine(OSError, subprocess.CalledProcessError, ValueError) as error:
        raise AskError(f"{interpreter} failed: {error}"[:300]) from None


def _unknown(why: str) -> Facts:
    return Facts(unknown={"python": why})
