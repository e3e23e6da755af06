"""How the program was called: exact arguments, working directory, user."""

from __future__ import annotations

import functools
import getpass
import os
import shlex
import sys
from collections.abc import Sequence

from runstore.capture.secrets import mask_arguments, mask_text
from runstore.model.facts import Facts, FactValue
from runstore.model.values import clean_text

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
    elif any(len(one) > _ARGUMENT_LENGTH for one in given):
        unknown["command.argv.rest"] = f"only {_ARGUMENT_LENGTH} characters of one were kept"
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


def command_line(cli: str | None, argv: Sequence[str] | None) -> str:
    """Return the command line to show of a run, masked: as given, or from its arguments."""
    if cli is not None:
        return mask_text(clean_text(cli))
    return _shown_line(tuple(sys.argv if argv is None else argv))


@functools.lru_cache(maxsize=8)
def _shown_line(argv: tuple[str, ...]) -> str:
    """Return arguments as a shell reads them back; those of a process stay the same."""
    return shlex.join(mask_arguments([clean_text(one) for one in argv]))
