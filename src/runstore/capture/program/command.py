"""The command of the program: exact arguments, working directory, user."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Iterable, Sequence

from runstore.capture.secrets import mask_arguments, mask_command
from runstore.errors import attempt, genuine
from runstore.model.facts import Facts, FactValue
from runstore.model.values import clean_text

# Longer command lines are cut.
_ARGUMENTS_AT_MOST = 1000
_ARGUMENT_LENGTH = 4000
# Characters that mean nothing to a shell.
_PLAIN = frozenset("@%+=:,./-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def argument_texts(argv: object) -> tuple[str, ...]:
    """Return arguments as texts.

    Notebooks, tests and embedded interpreters set `sys.argv` to numbers, paths or nothing.
    """
    if type(argv) is list:  # as usual, and faster than the question for any iterable
        words = tuple(argv)
    elif isinstance(argv, (str, bytes)):
        words = (argv,)
    else:
        words = tuple(argv) if isinstance(argv, Iterable) else ()
    return words if {*map(type, words)} <= {str} else tuple(map(_text_of, words))


def _text_of(argument: object) -> str:
    def decoded() -> str:
        if isinstance(argument, (str, bytes, os.PathLike)):
            return str.__str__(os.fsdecode(argument))
        return str.__str__(str(argument))

    return attempt(decoded, lambda _: f"<{type(argument).__name__}>")


def own_words() -> tuple[str, ...]:
    """Return `sys.argv` as texts; empty if there is none."""
    return argument_texts(getattr(sys, "argv", None))


def command_facts(argv: Sequence[str] | None = None) -> Facts:
    """Return `command.argv` (masked), `command.line`, `command.cwd` and `command.user`.

    Args:
        argv: The arguments (default: those of this process, starting with its interpreter).
    """
    given = argument_texts(argv) if argv is not None else _own_arguments()
    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    masked, why = kept_arguments(given)
    values["command.argv"] = masked
    values["command.line"] = _quoted(masked)
    if why:
        unknown["command.argv.rest"] = why
    try:
        values["command.cwd"] = _clean(os.getcwd())  # noqa: PTH109 - one call before every run
    except genuine(OSError) as error:
        unknown["command.cwd"] = str(error.strerror)
    try:
        values["command.user"] = _user()
    except genuine(KeyError, OSError, ImportError):
        unknown["command.user"] = "the system has no name for this user"
    return Facts(values=values, unknown=unknown)


def _user() -> str:
    """Return `getpass.getuser()`, without the modules for terminals that come with it."""
    found = filter(None, map(os.environ.get, ("LOGNAME", "USER", "LNAME", "USERNAME")))
    name = next(found, None)
    if name is None:
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    return name


def kept_arguments(given: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return masked arguments for storage, and the reason if some are missing."""
    some = given[:_ARGUMENTS_AT_MOST]
    words = some if "".join(some).isascii() else map(_clean, some)
    arguments = [one[:_ARGUMENT_LENGTH] for one in words]
    why = ""
    if len(given) > _ARGUMENTS_AT_MOST:
        why = f"only {_ARGUMENTS_AT_MOST} of {len(given)} were kept"
    elif max(map(len, given), default=0) > _ARGUMENT_LENGTH:
        why = f"only {_ARGUMENT_LENGTH} characters of one were kept"
    return mask_arguments(arguments), why


def _own_arguments() -> tuple[str, ...]:
    """Return arguments that repeat the call: only `orig_argv` has interpreter options and `-m`."""
    return argument_texts(getattr(sys, "orig_argv", None)) or own_words()


def reads_a_file() -> bool:
    """Check whether standard input is a file, whose contents are then part of the input."""
    try:
        return stat.S_ISREG(os.fstat(0).st_mode)
    except genuine(OSError):
        return False


def _clean(text: str) -> str:
    """Return valid UTF-8 text: file names may contain any bytes."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a surrogate pair without a byte
        return clean_text(text)


def command_line(cli: str | None, argv: Sequence[str] | None) -> str:
    """Return the masked command line of a run: as given, or built from its arguments.

    An interpreter has its name only: its folder is a fact of its own.
    """
    if cli is not None:
        return mask_command(clean_text(cli))
    if argv is None:
        return _shown_line(_typed(own_words(), _own_arguments()))
    from runstore.model.code.python_command import is_python

    words = argument_texts(argv)
    return _shown_line(_without_folder(words) if words and is_python(words[0]) else words)


@functools.lru_cache(maxsize=8)
def _typed(words: tuple[str, ...], typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command as typed, or `sys.argv` if that is not part of it.

    Programs may set their arguments, as `multiprocessing` does in its workers.
    """
    if typed == words:  # an embedded interpreter
        return words
    if words and typed[-len(words) :] == words:
        return _without_folder(typed)
    from runstore.model.code.python_command import python_target

    kind, _, arguments = python_target(typed[1:])
    is_named = kind == "module" or words[:1] in {("-c",), ("",)}  # the last one at a prompt
    return _without_folder(typed) if is_named and words[1:] == tuple(arguments) else words


def _without_folder(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command with the name of its program only."""
    return (os.path.basename(words[0]), *words[1:])  # noqa: PTH119 - light


@functools.lru_cache(maxsize=8)
def _shown_line(argv: tuple[str, ...]) -> str:
    """Return the kept arguments, masked and quoted for a shell."""
    return _quoted(kept_arguments(tuple(map(clean_text, argv)))[0])


def _quoted(words: Sequence[str]) -> str:
    """Return words as a shell takes them; most need no quotes, nor `shlex`, which loads slowly."""
    if all(words) and _PLAIN.issuperset("".join(words)):
        return " ".join(words)
    import shlex

    return shlex.join(words)
