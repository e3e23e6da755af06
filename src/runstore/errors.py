"""Every error runstore raises on purpose, and the form in which its texts may be printed.

RunstoreError
├─ UsageError (ValueError)          the request makes no sense
│  ├─ FilterError
│  └─ InvalidValueError
├─ NotFoundError (LookupError)
│  ├─ RunNotFoundError
│  ├─ AmbiguousReferenceError
│  └─ CommandNotFoundError
├─ ConflictError                    true, but not now
│  ├─ RunActiveError
│  ├─ RunFinishedError
│  ├─ AlreadyRanError
│  └─ DuplicateReferenceError
├─ StoreError (OSError)             the place that keeps runs
│  ├─ StoreLockedError
│  ├─ StoreUnavailableError
│  ├─ StoreReadOnlyError
│  ├─ StoreCorruptError
│  ├─ UntrustedStoreError
│  └─ SchemaTooOldError, SchemaTooNewError
├─ UserCodeError                    the user's own code raised before a run began
└─ MissingExtraError (ImportError)

StoreWarning is what a store says when it goes on by itself: what happened, and where the data is.
AlreadyRanWarning tells of an earlier run that did the same.
"""

from __future__ import annotations

from typing import Any, ClassVar

_JOINERS = "\u200c\u200d"  # within words of Persian or Hindi, and within emoji
_LINE_ENDS = "\n\r\u2028\u2029"
_FIRST_BEYOND_CONTROLS = "\xa0"


def visible(text: str, *, keep_lines: bool = False) -> str:
    """Return a text in the form in which texts reach terminals: one that controls nothing.

    Escape sequences, control characters and marks that change the direction of writing become
    visible, as Python writes them in a literal; each kind of space becomes a space.

    Args:
        text: Any text.
        keep_lines: Whether it may have several lines; else line ends are spaces.
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
    """Base of the family.

    Args:
        what: What happened, as a sentence.
        kept: What was kept or left unchanged, as a sentence; empty when nothing was at stake.
        hint: What to do next, as a sentence; empty when the message says it already.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, kept: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.hint = hint

    def __str__(self) -> str:
        # Python prints it to the terminal of a program that does not catch it.
        parts = (self.what, self.kept, self.hint)
        return " ".join(visible(part, keep_lines=True) for part in parts if part)

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, exceptions are made anew from positional arguments alone. One that cannot be
        # leaves the parent of a process pool waiting for ever.
        return _copy_of_error, (type(self), self.args), self.__dict__


def _copy_of_error(kind: type[RunstoreError], arguments: tuple[Any, ...]) -> RunstoreError:
    """Return an error of this class whose attributes follow, as `pickle` and `copy` set them."""
    error = kind.__new__(kind)
    error.args = arguments
    return error


class UsageError(RunstoreError, ValueError):
    """The request makes no sense, whatever the store holds."""

    code = "usage"


class FilterError(UsageError):
    """A filter names a field that runs do not have, or does not parse.

    Attributes:
        position: The place in the filter, from 0; None if all of it is meant.
        end: The end of what cannot be understood there.
        suggestions: What may be meant instead.
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
    """Nothing of that name is kept."""

    code = "not-found"


class RunNotFoundError(NotFoundError):
    """No run answers to the name."""

    code = "run-not-found"


class AmbiguousReferenceError(NotFoundError):
    """Several runs answer to the name; `candidates` lists them, newest first."""

    code = "ambiguous-reference"

    def __init__(
        self, what: str, *, candidates: tuple[str, ...], kept: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.candidates = candidates


class CommandNotFoundError(NotFoundError):
    """There is no program of this name, or it cannot be executed.

    Attributes:
        exit_code: 127 when it is missing, 126 when it is no program; as shells have it.
    """

    code = "command-not-found"

    def __init__(self, what: str, *, exit_code: int, kept: str = "", hint: str = "") -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.exit_code = exit_code


class ConflictError(RunstoreError):
    """The request makes sense, but not in the state things are in."""

    code = "conflict"


class RunActiveError(ConflictError):
    """The run is still being executed."""

    code = "run-active"


class RunFinishedError(ConflictError):
    """The run has ended; an ending is written once."""

    code = "run-finished"


class AlreadyRanError(ConflictError):
    """The same was run before, and was not to be run again.

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
    """Another run has this identity already."""

    code = "duplicate-reference"


class StoreError(RunstoreError, OSError):
    """The place that keeps runs failed."""

    code = "store"


class StoreLockedError(StoreError):
    """Another program held the database longer than the time limit."""

    code = "store-locked"


class StoreUnavailableError(StoreError):
    """The store cannot be reached or written: no space, no folder, no server."""

    code = "store-unavailable"


class StoreReadOnlyError(StoreError):
    """The store can be read, but this user or this disk does not allow writing."""

    code = "store-read-only"


class StoreCorruptError(StoreError):
    """The file is not a run database, or it is damaged; it is never overwritten."""

    code = "store-corrupt"


class UntrustedStoreError(StoreError):
    """The store belongs to somebody else, and this user has not opted in to using it."""

    code = "store-untrusted"


class SchemaTooOldError(StoreError):
    """The tables are older than this library reads, and may not be migrated from here."""

    code = "schema-too-old"


class SchemaTooNewError(StoreError):
    """A newer runstore made the tables; they can be read, not written."""

    code = "schema-too-new"


class UserCodeError(RunstoreError):
    """The user's own code raised before a run began.

    Attributes:
        traceback: Where, without the frames of this package.
    """

    code = "user-code"

    def __init__(self, what: str, *, traceback: str, kept: str = "", hint: str = "") -> None:
        super().__init__(what, kept=kept, hint=hint)
        self.traceback = traceback


class MissingExtraError(RunstoreError, ImportError):
    """A feature needs a package that is not installed; the hint has the command."""

    code = "missing-extra"


class StoreWarning(UserWarning):
    """Something went wrong that runstore could work around; the text says where the data is."""


class AlreadyRanWarning(UserWarning):
    """The same was run before, or is being run now; the text says by which run."""
