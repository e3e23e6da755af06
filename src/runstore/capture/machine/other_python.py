"""The Python and the packages of a command that runs in another interpreter."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runstore import errors, value_classes
from runstore.capture.machine.environment import environment_facts, facts_of
from runstore.capture.secrets import mask_arguments
from runstore.errors import genuine
from runstore.model.code.launchers import launched
from runstore.model.code.python_command import is_python
from runstore.model.facts import Facts

_TIMEOUT_S = 20.0
_SHELLS = frozenset({"sh", "bash", "dash", "fish", "ksh", "zsh"})
_FIRST_LINES_BYTES = 1 << 10
MARK = "\0runstore\0"
# The other interpreter need not have runstore, so it gets the modules of ours that our files need,
# which themselves need none; all of these files run in Python 3.7. They are gone when programs are
# looked at. Only then does it search the folder of the script first, as Python does, because that
# may have a `types.py`. If it has our version, it reads our files compiled, and what it has loaded
# need not be taken apart: both would take as long as the rest.
_OURS = {"runstore.errors": errors.__file__, "runstore.value_classes": value_classes.__file__}
_ASK = f"""
import sys
folder, *files, file, function, words = sys.argv[1:]
del sys.path[0]
import json, os, types
from importlib.machinery import SourceFileLoader

sys.dont_write_bytecode = True

def run(file, names):
    name = names["__name__"]
    exec(SourceFileLoader(name, file).get_code(name), names)

ours = {{name: types.ModuleType(name) for name in {["runstore", *_OURS]!r}}}
sys.modules.update(ours)
for name, place in zip({[*_OURS]!r}, files):
    run(place, vars(ours[name]))
own = {{"__name__": "own"}}
run(file, own)
for name in ours:
    del sys.modules[name]
sys.path.insert(0, folder)
print({MARK!r} + json.dumps(own[function](*json.loads(words))), flush=True)
os._exit(0)
"""
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
        (name,) = mask_arguments([Path(run.interpreter).name])
        return _unknown(f"{name} is not Python")
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
    file = Path(__file__).with_name("packages.py")
    try:
        found = asked(interpreter, file, "python_and_packages", [], script_folder, folder)
    except AskError as error:
        return _unknown(str(error))
    return facts_of(*found)


class AskError(Exception):
    """An interpreter did not answer; the text is the reason."""


def asked(
    interpreter: str,
    file: Path,
    function: str,
    words: Sequence[str],
    script_folder: str,
    folder: Path | None,
) -> Any:
    """Call a function of a file of ours in another interpreter, and return its answer as JSON.

    Args:
        interpreter: Path of the interpreter.
        file: The file, which needs the standard library, `runstore.errors` and
            `runstore.value_classes` alone.
        function: Name of the function.
        words: Its arguments.
        script_folder: The folder that Python searches first.
        folder: The working directory.

    Raises:
        AskError: It did not answer.
    """
    import json
    import subprocess

    arguments = [script_folder, *_OURS.values(), str(file), function, json.dumps(words)]
    try:
        answer = subprocess.run(
            [interpreter, "-c", _ASK, *arguments],
            cwd=folder,
            capture_output=True,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        ).stdout
        return json.loads(answer.decode("utf-8").rpartition(MARK)[2])
    except subprocess.TimeoutExpired:
        raise AskError(f"{interpreter} did not answer within {_TIMEOUT_S:g} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").split("\n")
        why = next((one for one in reversed(said) if one.strip()), f"exit {error.returncode}")
        raise AskError(f"{interpreter} failed: {why}"[:300]) from None
    except genuine(OSError, ValueError) as error:
        raise AskError(f"{interpreter} failed: {error}"[:300]) from None


def _unknown(why: str) -> Facts:
    return Facts(unknown={"python": why})
