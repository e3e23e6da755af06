"""The command `runstore`: finds a command by its name, and reports errors in plain words."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence

import click

import runstore
from runstore.cli.context import for_this_store
from runstore.cli.exit_codes import BUG, INTERRUPTED, NOT_PRINTED, exit_code_of
from runstore.cli.grammar.command_names import ALIASES, grouped, hint_for
from runstore.cli.options import add_store_option, store_option
from runstore.cli.output import give_up_on_stderr, say
from runstore.errors import (
    AlreadyRanWarning,
    RunstoreError,
    StoreUnavailableError,
    StoreWarning,
    UsageError,
    UserCodeError,
    quoted,
)

_OURS = (StoreWarning, AlreadyRanWarning)
_STDERR = 2
_COMPLETING = "_RUNSTORE_COMPLETE"  # set by the scripts of `runstore completion`


class _ReaderWentAwayError(Exception):
    """The reader of stdout has closed it; click itself ends the process for a BrokenPipeError."""


class _Commands(click.Group):
    """Commands by file name; `exec` is a builtin of Python, so its file is `exec_`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        import pkgutil

        from runstore.cli import commands

        return sorted(one.name.rstrip("_") for one in pkgutil.iter_modules(commands.__path__))

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if not name.isalpha():
            return None
        for module in (name, f"{name}_"):
            if self._is_file(module):
                found = importlib.import_module(f"runstore.cli.commands.{module}")
                command: click.Command = found.command
                return add_store_option(name, command)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        width = max(map(len, names))
        for title, group in grouped(names):
            found = [(name, self.get_command(ctx, name)) for name in group]
            rows = [
                (f"{name:{width}}", one.get_short_help_str(formatter.width - width - 6))
                for name, one in found
                if one is not None
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    @staticmethod
    def _is_file(module: str) -> bool:
        from runstore.cli import commands

        return any(
            os.path.exists(os.path.join(folder, f"{module}.py"))  # noqa: PTH110, PTH118 - each command pays for pathlib
            for folder in commands.__path__
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:  # as in git: `runstore help ls`
            args = [*args[1:2], "--help"]
        try:
            return super().parse_args(ctx, args)  # prints help
        except BrokenPipeError as error:
            raise _ReaderWentAwayError from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderWentAwayError from error
        except RunstoreError as error:
            error.kept, error.hint = for_this_store(error.kept), for_this_store(error.hint)
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = ALIASES.get(args[0], args[0])
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            if name.startswith("-"):
                raise click.NoSuchOption(name, ctx=ctx)
            raise UsageError(
                f"There is no command {quoted(name)}.",
                hint=hint_for(name, self.list_commands(ctx)),
            )
        return name, command, args[1:]


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@store_option
@click.version_option(runstore.__version__, "-V", "--version", prog_name="runstore")
def group() -> None:
    """Record runs of experiments, and find, compare and repeat them.

    RUN is mnist#7 (quote it in zsh) or mnist_7, mnist#-1 (the newest of mnist), latest, a full
    reference, or a prefix of one. 7 alone is enough if only one experiment has that number.
    Commands for runs also accept the name of an EXPERIMENT, or a FILTER such as
    "params.lr > 0.01 and status = error". A command for one run then uses the newest.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    _fill_closed_descriptors()
    warnings.showwarning = _show_warning
    # Warnings about the place of data are always shown: PYTHONWARNINGS can neither hide them nor
    # turn them into errors.
    for kind in _OURS:
        warnings.simplefilter("always", kind)
    if isinstance(sys.stdout, io.TextIOWrapper) and "utf" not in sys.stdout.encoding.lower():
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that cannot be encoded is still shown
    if _COMPLETING in os.environ:
        _answer_in_our_words()
    try:
        sys.exit(_exit_code(arguments))
    finally:
        give_up_on_stderr()


def _answer_in_our_words() -> None:
    """Make click complete with our classes for shells, which quote for each shell."""
    from click.shell_completion import add_completion_class

    from runstore.cli.grammar.shells import SHELLS

    for name, kind in SHELLS.items():
        add_completion_class(kind, name)


def _fill_closed_descriptors() -> None:
    """Redirect closed standard streams (`>&-`, cron, daemons) to the null device.

    Otherwise the next opened file would get their descriptor, and the printed text.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - os's own
    os.close(descriptor)


def _exit_code(arguments: Sequence[str] | None) -> int:  # noqa: PLR0911 - one row per kind
    try:
        ended = group.main(arguments, prog_name="runstore", standalone_mode=False)
        if sys.stdout is not None:  # Python's message for a closed stdout
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _usage_error(error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, _ReaderWentAwayError):
        _print_no_more()  # as other programs in a pipe: quietly, with nothing left to flush
        return 0
    except RunstoreError as error:
        _tell(error)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - the outermost layer: nothing else would tell it
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            return _too_few_files(error)
        return _not_printed(error) if _is_from_printing(error) else _bug(error)
    return ended if isinstance(ended, int) else 0


def _usage_error(error: click.ClickException) -> int:
    """Report a usage error; a group without a command shows its help."""
    from runstore.cli.grammar.usage_errors import as_ours

    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # of click 8.2
        say(error.format_message(), err=True, keep_lines=True)
    else:
        _tell(as_ours(error))
    return error.exit_code


def _tell(error: RunstoreError) -> None:
    if _COMPLETING in os.environ:
        return
    if isinstance(error, UserCodeError):
        say(error.traceback, err=True, nl=False, keep_lines=True)
    for part in (f"runstore: {error.what}", error.kept, error.hint):
        if part:
            say(part, err=True, keep_lines=True)


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_from_printing(error: Exception) -> bool:
    """Return whether an error came from writing to stdout: a full disk, or a closed terminal."""
    if not isinstance(error, OSError):
        return False
    import traceback

    last = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    module = str(last.f_globals.get("__name__"))
    return module in {"click.utils", "runstore.cli.output", __name__} or module.startswith("rich.")


def _too_few_files(error: OSError) -> int:
    limited = StoreUnavailableError(
        f"{error.filename or 'A file'} cannot be opened: {error.strerror}.",
        hint="Allow more open files: ulimit -n 1024",
    )
    _tell(limited)
    return exit_code_of(limited)


def _not_printed(error: Exception) -> int:
    reason = getattr(error, "strerror", None) or error
    say(f"runstore: The output could not be written: {reason}.", err=True)
    _print_no_more()
    return NOT_PRINTED


def _bug(error: Exception) -> int:
    """Report a bug of runstore, and write its details to a file."""
    if _COMPLETING in os.environ:
        return BUG
    import traceback

    details = f"runstore {runstore.__version__}, Python {sys.version}\n"
    details += "".join(traceback.format_exception(error))
    say(f"runstore: This is a bug in runstore: {type(error).__name__}: {error}", err=True)
    place = _kept_in_file(details)
    if place is None:
        say(details, err=True, nl=False, keep_lines=True)
        say("Please report these lines; they could not be saved to a temporary file.", err=True)
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
    """Show a warning of a store in one line, and other warnings as Python does."""
    if _COMPLETING in os.environ:
        return
    if issubclass(category, _OURS):
        say(f"runstore: {for_this_store(str(message))}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        say(text, err=True, nl=False, keep_lines=True)
