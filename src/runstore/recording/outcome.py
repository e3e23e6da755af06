"""The end of a run: the statuses that a program can report, and the status of an exception."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Container, Iterator
from contextlib import suppress
from types import ModuleType, TracebackType

from runstore.errors import UsageError, attempt, genuine, named_error, shown
from runstore.model.status import REPORTED, Status
from runstore.model.values import TEXT_LIMIT_CHARACTERS, clean_text
from runstore.recording import live_runs
from runstore.recording.readiness import MASKING, TRACEBACKS, be_ready
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXIT_CODES = -(2**31), 2**32 - 1  # of any system
_EXIT_INTERRUPTED = 130
_USUAL_EXIT_STATUS = {
    Status.COMPLETE: 0,
    Status.PRUNED: 0,
    Status.ERROR: 1,
    Status.INTERRUPTED: None,
}
_EXIT_UNREADABLE = 255  # of a number that the system's own exit statuses cannot hold
# Exceptions by their package, so that no package has to be imported.
_CANCELLED = {("asyncio", "CancelledError"), ("trio", "Cancelled")}
_PRUNED = {("optuna", "TrialPruned")}


_NOT_SEARCHED = "(not kept: it could not be searched for secrets)"
_LONGEST_SECRET = 1 << 16  # characters


class Ending(NamedTuple):
    """The reported end of a run.

    Attributes:
        status: The final status.
        error: The error, in a few lines.
        traceback: The full traceback.
        exit_code: The exit status; None if it is unknown.
    """

    status: Status
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None


def checked_end_status(status: Status | str, among: Collection[Status] = REPORTED) -> Status:
    """Return the status, if a run can end with it."""
    try:
        ended = Status(status)
    except ValueError:
        ended = Status.RUNNING
    if ended not in among:
        names = ", ".join(sorted(one.value for one in among))
        told = shown(status.value if isinstance(status, Status) else status)
        raise UsageError(f"A run cannot end as {told}.", hint=f"Use one of: {names}.")
    return ended


def reported_ending(
    status: Status | str | None, error: Any, traceback: Any, exit_code: Any
) -> Ending:
    """Return the end that a program reports, from parts of any form.

    Args:
        status: The status; only this part can be rejected. None derives it from the others.
        error: A text, an exception or anything else; None within an `except` block is the
            current exception, if the run ends as an error.
        traceback: A text or a traceback.
        exit_code: A number.

    Raises:
        UsageError: The status is not an end that a run can report.
    """
    ended = (
        status_by_parts(error, traceback, exit_code)
        if status is None
        else checked_end_status(status)
    )
    if error is None and traceback is None and ended is Status.ERROR:
        error = sys.exc_info()[1]
    code = _exit_status(exit_code, _USUAL_EXIT_STATUS[ended])
    return Ending(ended, *texts_of(error, traceback), code)


def status_by_parts(error: Any, traceback: Any, exit_code: Any) -> Status:
    """Return the status of an end without one: with an error, it is not complete."""
    if isinstance(error, BaseException):
        return status_of(error)
    if error is not None or traceback is not None:
        return Status.ERROR
    if exit_code is not None:
        with suppress(TypeError, ValueError, OverflowError):
            if int(exit_code) != 0:
                return Status.ERROR
    return Status.COMPLETE


def texts_of(error: Any, traceback: Any) -> tuple[str | None, str | None]:
    """Return the error and its traceback, from any form, as texts."""
    if isinstance(error, BaseException):
        told, trace, _ = error_details(error)
        error, traceback = told or _line_of(error), trace if traceback is None else traceback
    if isinstance(traceback, TracebackType):
        traceback = _printed(lambda: _tracebacks().format_tb(traceback))
    return _text(error), _text(traceback)


def kept_text(text: str | None) -> str | None:
    """Return an error text or a traceback without secrets, for storage; of a long one, its ends.

    A process that has no file descriptors or memory left cannot load the patterns.
    """
    if text is None:
        return None
    try:
        be_ready(MASKING)
        from runstore.capture.secrets import mask_message

        if len(text) <= TEXT_LIMIT_CHARACTERS:
            return mask_message(clean_text(text))
        # A secret that the cuts divide cannot be recognised, so both ends lose its possible place.
        half = TEXT_LIMIT_CHARACTERS // 2
        begin = mask_message(clean_text(text[:half]))[:-_LONGEST_SECRET]
        end = mask_message(clean_text(text[-half:]))[_LONGEST_SECRET:]
        return f"{begin}\n… (the middle of {len(text):,} characters was not kept) …\n{end}"
    except genuine(OSError, ImportError, MemoryError, RecursionError):
        return _NOT_SEARCHED


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return attempt(lambda: str(value), lambda _: f"<{type(value).__name__}>")


def _exit_status(given: Any, default: int | None) -> int | None:
    if given is None:
        return default
    try:
        return exit_status(int(given))
    except (TypeError, ValueError, OverflowError):
        told = shown(given)
        warn(f"Expected the exit status of a run as a number, got {told}. It was not recorded.")
        return default


def exit_status(code: Any) -> int:
    """Return the exit status of a process that calls `sys.exit` with this.

    Source: Python 3.13, `sys.exit`, and CPython's `_Py_HandleSystemExit`.
    """
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    is_number_of_c = -(2**63) <= code < 2**63
    return int(code) & 0xFF if is_number_of_c else _EXIT_UNREADABLE


def status_of(error: BaseException | None) -> Status:
    """Return the status of a run whose block was left with this exception."""
    # A generator that its caller no longer needs has not failed.
    if error is None or isinstance(error, GeneratorExit):
        return Status.COMPLETE
    parts = tuple(_parts(error)) or (error,)
    if any(_is_interruption(one) for one in parts):
        return Status.INTERRUPTED
    if all(_is_one_of(_PRUNED, one) for one in parts):
        return Status.PRUNED
    if isinstance(error, SystemExit) and exit_status(error.code) == 0:
        return Status.COMPLETE
    return Status.ERROR


def _parts(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in an exception group, at any depth; else the exception itself."""
    is_group = type(error).__name__.endswith("ExceptionGroup")
    parts = getattr(error, "exceptions", None) if is_group else None
    if not isinstance(parts, tuple):
        yield error
        return
    for part in parts:
        if isinstance(part, BaseException):
            yield from _parts(part)


def _is_interruption(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, live_runs.Terminated)) or _is_cancellation(error)


def _is_cancellation(error: BaseException) -> bool:
    return _is_one_of(_CANCELLED, error)


def _is_one_of(names: Container[tuple[str, str]], error: BaseException) -> bool:
    return any(
        (str(kind.__module__).partition(".")[0], kind.__name__) in names
        for kind in type(error).__mro__
    )


def error_details(error: BaseException | None) -> tuple[str | None, str | None, int | None]:
    """Return the error text, the traceback and the exit status of an exception."""
    if error is None or isinstance(error, GeneratorExit) or status_of(error) is Status.PRUNED:
        return None, None, 0
    if isinstance(error, KeyboardInterrupt):
        return None, None, _EXIT_INTERRUPTED
    if _is_cancellation(error):
        return None, None, live_runs.exit_status_by_signal()
    if isinstance(error, SystemExit):
        status = exit_status(error.code)
        if isinstance(error, live_runs.Terminated) or error.code is None:
            return None, None, status
        is_number = isinstance(error.code, int)
        told = (_text(error.code) or "''") if not is_number else str(int(error.code))
        return f"SystemExit: {told}" if status or not is_number else None, None, status
    line = _line_of(error)
    trace = _printed(
        lambda: _tracebacks().format_exception(type(error), error, error.__traceback__)
    ) or _printed(lambda: [*_tracebacks().format_tb(error.__traceback__), line])
    return line, trace, 1


def _line_of(error: BaseException) -> str:
    line = _printed(lambda: _tracebacks().format_exception_only(type(error), error))
    return (line or named_error(error)).strip()


def _printed(lines: Callable[[], list[str]]) -> str | None:
    """Return lines as a text; None if that fails.

    A program may have used all its descriptors, an interpreter that is shutting down can load no
    more modules, and attributes of an exception may raise; none may hide the user's own exception.
    """
    return attempt(lambda: "".join(lines()), lambda _: None)


def _tracebacks() -> ModuleType:
    be_ready(TRACEBACKS)
    import traceback

    return traceback
