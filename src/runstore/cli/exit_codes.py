"""The exit code for each kind of error."""

from __future__ import annotations

from runstore import errors

FAILED = 1  # the recorded program failed; runstore itself succeeded
NOTHING_FOUND = 1  # as in grep
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
STORE = 5
MISSING_EXTRA = 6
BUG = 70  # EX_SOFTWARE of sysexits.h
NOT_PRINTED = 74  # EX_IOERR of the same
INTERRUPTED = 130

# A subclass defined elsewhere uses the row of its parent; a test checks that ours have one.
EXIT_CODES: dict[type[errors.RunstoreError], int] = {
    errors.RunstoreError: FAILED,
    errors.UsageError: USAGE,
    errors.FilterError: USAGE,
    errors.InvalidValueError: USAGE,
    errors.NotFoundError: NOT_FOUND,
    errors.RunNotFoundError: NOT_FOUND,
    errors.AmbiguousReferenceError: NOT_FOUND,
    errors.CommandNotFoundError: 127,
    errors.ConflictError: CONFLICT,
    errors.RunActiveError: CONFLICT,
    errors.RunFinishedError: CONFLICT,
    errors.AlreadyRanError: CONFLICT,
    errors.DuplicateReferenceError: CONFLICT,
    errors.StoreError: STORE,
    errors.StoreLockedError: STORE,
    errors.StoreUnavailableError: STORE,
    errors.ServerUnreachableError: STORE,
    errors.StoreReadOnlyError: STORE,
    errors.StoreCorruptError: STORE,
    errors.UntrustedStoreError: STORE,
    errors.SchemaTooOldError: STORE,
    errors.SchemaTooNewError: STORE,
    errors.UserCodeError: FAILED,
    errors.MissingExtraError: MISSING_EXTRA,
}


def exit_code_of(error: errors.RunstoreError) -> int:
    """Return the exit code of an error; a command that cannot be started has its own."""
    if isinstance(error, errors.CommandNotFoundError):
        return error.exit_code
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
