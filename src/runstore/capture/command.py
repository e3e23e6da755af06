"""How the program was called: exact arguments, working directory, user."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Sequence

from runstore.capture.secrets import mask_arguments
from runstore.model.facts import Facts, FactValue

# Of a command line longer than this only the beginning is kept.
_ARGUMENTS_AT_MOST = 1000
_ARGUMENT_LENGTH = 4000


def command_facts(argv: Sequence[str] | None = None) -> Facts:
    """Return `command.argv` (masked), `command.line`, `command.cwd` and `command.user`.

    Args:
        argv: The arguments to keep; None for those of this process, its interpreter first.
    """
    given = list(argv) if argv is not None else _own_arguments()
    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    arguments = tuple(_clean(one)[:_ARGUMENT_LENGTH] for one in given[:_ARGUMENTS_AT_MOST])
    masked = mask_arguments(arguments)
    values["command.argv"] = masked
    values["command.line"] = shlex.join(masked)
    if len(given) > _ARGUMENTS_AT_MOST:
        unknown["command.argv.rest"] = f"only {_ARGUMENTS_AT_MOST} of {len(given)} were kept"
    try:
        values["command.cwd"] = _clean(os.getcwd())  # noqa: PTH109 - one call before every run
    except OSError as error:
        unknown["command.cwd"] = str(error.strerror)
    try:
        values["command.user"] = getpass.getuser()
    except (KeyError, OSError, ImportError):
        unknown["command.user"] = "the system has no name for this user"
    return Facts(values=values, unknown=unknown)


def _own_arguments() -> list[str]:
    """Return what repeats the call: interpreter options and `-m` are in `orig_argv` only."""
    return list(getattr(sys, "orig_argv", None) or sys.argv)


def _clean(text: str) -> str:
    """Return text that UTF-8 can say: file names may hold any bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
