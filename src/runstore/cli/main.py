"""The command `runstore`: finds a command by its name, and says what went wrong in plain words."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence

import click

import runstore
from runstore.cli.exit_codes import BUG, INTERRUPTED, NOT_PRINTED, exit_code_of
from runstore.cli.output import say
from runstore.errors import AlreadyRanWarning, RunstoreError, StoreWarning, UserCodeError

_OURS = (StoreWarning, AlreadyRanWarning)
_STDERR = 2
_COMPLETING = "_RUNSTORE_COMPLETE"  # set by the scripts of `runstore completion`


class _ReaderWentAwayError(Exception):
    """Nobody reads stdout any more; said in a way that click does not end the process for."""


class _Commands(click.Group):
    """Commands by the name of their file; `exec` is a word of Python's, so its file is `exec_`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        import pkgutil

        from runstore.cli import commands

        return sorted(one.name.rstrip("_") for one in pkgutil.iter_modules(commands.__path__))

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        if not cmd_name.isalpha():
            return None
        for module in (cmd_name, f"{cmd_name}_"):
            if self._is_file(module):
                found = importlib.import_module(f"runstore.cli.commands.{module}")
                command: click.Command = found.command
                return command
        return None

    @staticmethod
    def _is_file(module: str) -> bool:
        from runstore.cli import commands

        return any(
            os.path.exists(os.path.join(folder, f"{module}.py"))  # noqa: PTH110, PTH118 - each command pays for pathlib
            for folder in commands.__path__
        )

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderWentAwayError from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            from runstore.model.display.suggestions import hint_of

            hint = hint_of(name, self.list_commands(ctx), otherwise="")
            ctx.fail(f"There is no command {name!r}. {hint}".strip())
        return name, command, args[1:]


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--store", metavar="LOCATION", help="Folder or URL of the store.")
@click.version_option(runstore.__version__, "-V", "--version", prog_name="runstore")
def group(store: str | None) -> None:
    """Every run of an experiment numbered, described, searchable and repeatable."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    _fill_closed_descriptors()
    warnings.showwarning = _show_warning
    # Where data went is no matter of taste: PYTHONWARNINGS may neither hide it nor make it fatal.
    for kind in _OURS:
        warnings.simplefilter("always", kind)
    if isinstance(sys.stdout, io.TextIOWrapper) and "utf" not in sys.stdout.encoding.lower():
        sys.stdout.reconfigure(errors="backslashreplace")  # a name it cannot say is still told
    sys.exit(_exit_code(arguments))


def _fill_closed_descriptors() -> None:
    """Lead closed standard streams (`>&-`, cron, daemons) to nowhere.

    The next file that is opened would take their place, and get what is printed.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - os's own
    os.close(descriptor)


def _exit_code(arguments: Sequence[str] | None) -> int:  # noqa: PLR0911 - one row per kind
    try:
        ended = group.main(arguments, prog_name="runstore", standalone_mode=False)
        if sys.stdout is not None:  # Python's word for a stdout that is closed
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)  # it may quote a name that the store holds
        say(told.getvalue(), err=True, nl=False, keep_lines=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, _ReaderWentAwayError):
        return _reader_went_away()
    except RunstoreError as error:
        _tell(error)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - the outermost layer: nothing else would tell it
        return _not_printed(error) if _is_from_printing(error) else _bug(error)
    return ended if isinstance(ended, int) else 0


def _tell(error: RunstoreError) -> None:
    if _COMPLETING in os.environ:
        return
    if isinstance(error, UserCodeError):
        say(error.traceback, err=True, nl=False, keep_lines=True)
    for part in (f"runstore: {error.what}", error.kept, error.hint):
        if part:
            say(part, err=True, keep_lines=True)


def _reader_went_away() -> int:
    """End quietly, as other programs in a pipe do; nothing is left to be flushed at exit."""
    _print_no_more()
    return 0


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_from_printing(error: Exception) -> bool:
    """Tell whether it was stdout that refused: a full disk behind it, a terminal that is gone."""
    if not isinstance(error, OSError):
        return False
    import traceback

    last = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    module = str(last.f_globals.get("__name__"))
    return module in {"click.utils", "runstore.cli.output", __name__} or module.startswith("rich.")


def _not_printed(error: Exception) -> int:
    reason = getattr(error, "strerror", None) or error
    say(f"runstore: The output could not be written: {reason}.", err=True)
    _print_no_more()
    return NOT_PRINTED


def _bug(error: Exception) -> int:
    """Say that it is our fault, and keep what is needed to mend it."""
    if _COMPLETING in os.environ:
        return BUG
    import traceback

    details = f"runstore {runstore.__version__}, Python {sys.version}\n"
    details += "".join(traceback.format_exception(error))
    say(f"runstore: This is a bug in runstore: {type(error).__name__}: {error}", err=True)
    place = _kept_in_file(details)
    if place is None:
        say(details, err=True, nl=False, keep_lines=True)
        say("Please report these lines; no temporary file could keep them.", err=True)
    else:
        say(f"The details are in {place}; please report them.", err=True)
    return BUG


def _kept_in_file(details: str) -> str | None:
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="runstore-bug-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(details)
    except OSError:
        return None
    return file.name


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,  # noqa: ARG001 - the signature is the warnings module's
    line: str | None = None,
) -> None:
    """Show what a store worked around as one line; other warnings as Python does."""
    if _COMPLETING in os.environ:
        return
    if issubclass(category, _OURS):
        say(f"runstore: {message}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        say(text, err=True, nl=False, keep_lines=True)
