"""All errors raised by runstore, calls of code that may raise others, and texts for terminals.

RunstoreError
├─ UsageError (ValueError)          the request is invalid
│  ├─ FilterError
│  └─ InvalidValueError
├─ NotFoundError (LookupError)
│  ├─ RunNotFoundError
│  ├─ AmbiguousReferenceError
│  └─ CommandNotFoundError
├─ ConflictError                    the request is valid, but not in the current state
│  ├─ RunActiveError
│  ├─ RunFinishedError
│  ├─ AlreadyRanError
│  └─ DuplicateReferenceError
├─ StoreError (OSError)             the store failed
│  ├─ StoreLockedError
│  ├─ StoreUnavailableError
│  │  └─ ServerUnreachableError
│  ├─ StoreReadOnlyError
│  ├─ StoreCorruptError
│  ├─ UntrustedStoreError
│  └─ SchemaTooOldError, SchemaTooNewError
├─ UserCodeError                    the user's own code raised before a run began
└─ MissingExtraError (ImportError)

StoreWarning reports a problem that the store worked around, and the location of the data.
AlreadyRanWarning reports an identical earlier run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar

    T = TypeVar("T")
    E = TypeVar("E", bound=Exception)

# The flag of a function with `*arguments`, as in `inspect`, which takes milliseconds to load.
_CO_VARARGS = 0x04
# The mark of an exception that a signal handler raised.
_OF_SIGNAL = "_runstore_of_signal"
# What trace functions are called for.
_EVENTS = {"call", "line", "return", "exception", "opcode", "c_call", "c_return", "c_exception"}

_JOINERS = "\u200c\u200d"  # within words of Persian or Hindi, and within emoji
_LINE_ENDS = "\n\r\u2028\u2029"
_FIRST_BEYOND_CONTROLS = "\xa0"
_LONGEST_QUOTED = 300  # characters; the names of experiments have up to 255 bytes


def genuine(*kinds: type[E]) -> tuple[type[E], ...]:
    """Return the exceptions to catch; none if a signal handler of the program raised this one.

    Python calls signal handlers between any two lines, also of ours. What they raise belongs to
    the program, even if it looks like a failure of the disk: `TimeoutError` is an `OSError`.

        except genuine(OSError) as error:
    """
    error = sys.exc_info()[1]
    return () if error is not None and is_of_signal(error) else kinds


class suppressed:  # noqa: N801 - used like `contextlib.suppress`
    """Suppresses exceptions in a block, except those of signal handlers; see `genuine`."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Suppress its exception, if it is one of these."""
        return isinstance(error, self._kinds) and not is_of_signal(error)


def is_of_signal(error: BaseException) -> bool:
    """Check whether a signal handler raised an exception, or a trace function.

    Only these are called with a frame that they interrupt, which comes before in the traceback.
    The result is kept with the exception, because psycopg removes tracebacks.
    """
    if _OF_SIGNAL in error.__dict__:
        return True
    # An extension such as psycopg may put frames of its own between the two.
    frames: set[int] = set()
    trace = error.__traceback__
    while trace is not None:
        if frames and _is_called_with(frames, list(_arguments(trace.tb_frame))):
            error.__dict__[_OF_SIGNAL] = True
            return True
        frames.add(id(trace.tb_frame))
        trace = trace.tb_next
    return False


def is_interruption(error: BaseException) -> bool:
    """Check whether an exception came from outside: from Ctrl-C or another signal."""
    return not isinstance(error, (Exception, GeneratorExit)) or is_of_signal(error)


def _is_called_with(frames: set[int], arguments: list[object]) -> bool:
    """Check for (number, frame), as of handlers, or (frame, event), as of trace functions.

    Code that looks at its own callers passes frames as well, such as to `inspect.getsource`.
    """
    return any(
        (id(second) in frames and isinstance(first, int))
        or (id(first) in frames and isinstance(second, str) and second in _EVENTS)
        for first, second in zip(arguments, arguments[1:])  # noqa: B905, RUF007 - see other_python
    )


def _arguments(frame: FrameType) -> Iterator[object]:
    """Return the positional arguments of a call."""
    code, values = frame.f_code, frame.f_locals
    for name in code.co_varnames[: code.co_argcount]:
        yield values.get(name)
    if code.co_flags & _CO_VARARGS:
        yield from values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())


def attempt(work: Callable[[], T], otherwise: Callable[[Exception], T]) -> T:
    """Call code of the program or of a library, which may raise anything.

    Args:
        work: The call.
        otherwise: Returns the result for an exception, while that is being handled.
    """
    try:
        return work()
    except genuine(Exception) as error:  # the only place besides the outermost layers
        return otherwise(error)


def shown(value: object) -> str:
    """Return the `repr` of a value in at most 60 characters; never raises."""
    return attempt(lambda: f"{value!r:.60}", lambda _: f"<{type(value).__name__}>")


def quoted(name: str) -> str:
    """Return a name in quotes, of which a long one is cut."""
    text = repr(name)
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…{text[0]}"


def named_error(error: BaseException) -> str:
    """Return the class and the text of an exception, in one line; its text may raise another."""
    text = attempt(lambda: " ".join(str(error).split()), lambda _: "…")
    return f"{type(error).__name__}: {text:.200}"


def visible(text: str, *, keep_lines: bool = False) -> str:
    """Return a text without control characters, for terminals.

    Escape sequences, control characters and marks that change the direction of writing are escaped
    as in a Python literal; each kind of space becomes a space.

    Args:
        text: Any text.
        keep_lines: Whether to keep line ends; otherwise they become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = f"\t{_JOINERS}\n" if keep_lines else f"\t{_JOINERS}"
    return "".join(
        one if one.isprintable() or one in kept else _harmless(one)
        for one in text.replace("\r\n", "\n")
    )


def _harmless(character: str) -> str:
    is_space = character.isspace() and character >= _FIRST_BEYOND_CONTROLS
    if is_space or character in _LINE_ENDS:
        return " "
    return character.encode("unicode_escape").decode("ascii")


class RunstoreError(Exception):
    """Base class of all errors.

    Args:
        what: The problem, as a sentence.
        kept: The data that was kept or left unchanged, as a sentence; empty if none was at risk.
        hint: The next step, as a sentence; empty if it is obvious.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, kept: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.hint = hint

    def __str__(self) -> str:
        # Python prints uncaught errors to the terminal.
        parts = (self.what, self.kept, self.hint)
        texts = [visible(part, keep_lines=True) for part in parts if part]
        # Text behind the mark below a mistake, in the last of several lines, would belong to it.
        return "".join(f"{one}\n" if "\n" in one else f"{one} " for one in texts).rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, exceptions are unpickled from positional arguments alone. If that fails, the
        # parent of a process pool waits for ever.
        return _copy_of_error, (type(self), self.args), self.__dict__


def _copy_of_error(kind: type[RunstoreError], arguments: tuple[Any, ...]) -> RunstoreError:
    """Return an error of this class; `pickle` and `copy` set its attributes afterwards."""
    error = kind.__new__(kind)
    error.args = arguments
    return error


class UsageError(RunstoreError, ValueError):
    """The request is invalid, independent of the store."""

    code = "usage"


class FilterError(UsageError):
    """A filter is invalid, or has a field that runs do not have.

    Attributes:
        position: The position in the filter, from 0; None for the filter as a whole.
        end: The end of the invalid part.
        suggestions: Possible corrections.
    """

    code = "filter"

    def __init__(
        self,
        what: str,
        *,
        position: int | None = None,
        end: int | None = None,
        suggestions: tuple[str, ...] = (),
        kept: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.position = position
        self.end = end
        self.suggestions = suggestions


class InvalidValueError(UsageError):
    """A value cannot be stored: a name, a parameter, a note."""

    code = "invalid-value"


class NotFoundError(RunstoreError, LookupError):
    """There is nothing with this name."""

    code = "not-found"


class RunNotFoundError(NotFoundError):
    """There is no run with this name."""

    code = "run-not-found"


class AmbiguousReferenceError(NotFoundError):
    """Several runs match the name; `candidates` lists them, newest first."""

    code = "ambiguous-reference"

    def __init__(
        self, what: str, *, candidates: tuple[str, ...], kept: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.candidates = candidates


class CommandNotFoundError(NotFoundError):
    """There is no program with this name, or it cannot be executed.

    Attributes:
        exit_code: 127 if it is missing, 126 if it is not a program, as in shells.
    """

    code = "command-not-found"

    def __init__(self, what: str, *, exit_code: int, kept: str = "", hint: str = "") -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.exit_code = exit_code


class ConflictError(RunstoreError):
    """The request is valid, but not in the current state."""

    code = "conflict"


class RunActiveError(ConflictError):
    """The run is still being executed."""

    code = "run-active"


class RunFinishedError(ConflictError):
    """The run has ended; its end is recorded once."""

    code = "run-finished"


class AlreadyRanError(ConflictError):
    """An identical run exists, so this run was not started.

    Attributes:
        run: The earlier `Run`.
        reference: Its reference.
    """

    code = "already-ran"

    def __init__(self, what: str, *, run: Any, kept: str = "", hint: str = "") -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.run = run
        self.reference: str = run.reference


class DuplicateReferenceError(ConflictError):
    """Another run already has this identity."""

    code = "duplicate-reference"


class StoreError(RunstoreError, OSError):
    """The store failed."""

    code = "store"


class StoreLockedError(StoreError):
    """Another program held the database longer than the time limit."""

    code = "store-locked"


class StoreUnavailableError(StoreError):
    """The store cannot be reached or written: no space, no folder, no server."""

    code = "store-unavailable"


class ServerUnreachableError(StoreUnavailableError):
    """The server of the store does not answer, is starting, or has no free connection."""

    code = "server-unreachable"


class StoreReadOnlyError(StoreError):
    """The store can be read, but this user or this disk does not allow writing."""

    code = "store-read-only"


class StoreCorruptError(StoreError):
    """The file is not a run database, or it is damaged; it is never overwritten."""

    code = "store-corrupt"


class UntrustedStoreError(StoreError):
    """The store belongs to another user, and this user has not opted in to using it."""

    code = "store-untrusted"


class SchemaTooOldError(StoreError):
    """The tables are older than this library can read, and cannot be migrated from here."""

    code = "schema-too-old"


class SchemaTooNewError(StoreError):
    """The tables were created by a newer runstore; they can be read, but not written."""

    code = "schema-too-new"


class UserCodeError(RunstoreError):
    """The user's own code raised before a run began.

    Attributes:
        traceback: The traceback, without the frames of this package.
    """

    code = "user-code"

    def __init__(self, what: str, *, traceback: str, kept: str = "", hint: str = "") -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.traceback = traceback


class MissingExtraError(RunstoreError, ImportError):
    """A feature requires a package that is not installed; the hint has the command."""

    code = "missing-extra"


class StoreWarning(UserWarning):
    """A problem that runstore worked around; the text names the location of the data."""


class AlreadyRanWarning(UserWarning):
    """The same was run before, or is running now; the text names the run."""
