"""How a run ends: which ends a program may report, and what an exception stands for."""

from __future__ import annotations

from runstore import lifetime
from runstore.errors import UsageError
from runstore.model.status import REPORTED, Status

_EXIT_INTERRUPTED = 130


def reported(status: Status | str) -> Status:
    """Return the status when a run may report it as its end."""
    try:
        ended = Status(status)
    except ValueError:
        ended = Status.RUNNING
    if ended not in REPORTED:
        names = ", ".join(sorted(one.value for one in REPORTED))
        raise UsageError(f"A run cannot end as {str(status)!r}.", hint=f"Use one of: {names}.")
    return ended


def status_of(error: BaseException | None) -> Status:
    """Return how a run ends whose block was left with this exception."""
    if error is None:
        return Status.COMPLETE
    if isinstance(error, (KeyboardInterrupt, lifetime.Terminated)):
        return Status.INTERRUPTED
    if isinstance(error, SystemExit) and not error.code:
        return Status.COMPLETE
    return Status.ERROR


def told_by(error: BaseException | None) -> tuple[str | None, str | None, int | None]:
    """Return the error text, the traceback and the exit status that an exception stands for."""
    if error is None:
        return None, None, 0
    if isinstance(error, KeyboardInterrupt):
        return None, None, _EXIT_INTERRUPTED
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            code = error.code or 0
            told = (
                f"SystemExit: {code}"
                if code and not isinstance(error, lifetime.Terminated)
                else None
            )
            return told, None, code
        return f"SystemExit: {error.code}", None, 1
    import traceback as tracebacks

    text = "".join(tracebacks.format_exception_only(type(error), error)).strip()
    trace = "".join(tracebacks.format_exception(type(error), error, error.__traceback__))
    return text, trace, 1
