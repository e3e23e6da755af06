"""Errors of the server: which of them pass, and what the others mean for users."""

from __future__ import annotations

from runstore.errors import (
    ServerUnreachableError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.storage.postgres import away

# Reasons to try again: the server is starting, stopping or recovering, or has no free connection.
# Source: PostgreSQL 18, Appendix A, Error Codes.
AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})
PASSING = AWAY | {"40001", "40P01"}  # also serialization failures and deadlocks
# A lock or a time limit of the server: the start of a run is recorded on this machine.
HELD_UP = frozenset({"55P03", "57014", "25P04"})
_LOST = "08"  # the class of lost connections
KEPT = "Runs recorded before are safe; nothing more was written."
# Errors of the server and their meaning for users: the first one with the code counts. What was
# kept depends on the statement if it is None.
_MEANINGS: tuple[tuple[frozenset[str], type[StoreError], str, str | None, str], ...] = (
    (
        frozenset({"55P03", "40001", "40P01"}),
        StoreLockedError,
        "Another program keeps {path} locked.",
        KEPT,
        "Try again; if it persists, see pg_stat_activity on the server.",
    ),
    (
        frozenset({"25006"}),
        StoreReadOnlyError,
        "The store at {path} cannot be written: {text}.",
        "Nothing was changed; reading still works.",
        "Use a role that can write.",
    ),
    (
        frozenset({"42501"}),
        StoreReadOnlyError,
        "The role has no permission for this in {path}: {text}.",
        KEPT,
        "Ask the owner of the tables to grant it.",
    ),
    (
        frozenset({"57014", "25P04"}),  # statement_timeout, transaction_timeout
        StoreUnavailableError,
        "The server stopped a statement in {path}: {text}.",
        KEPT,
        "Try again; if it persists, use a longer statement_timeout for the role.",
    ),
    (
        frozenset({"3F000"}),
        StoreUnavailableError,
        "{path} cannot hold a store: {text}.",
        "Nothing was changed.",
        "Set the search_path of the role to a schema that exists.",
    ),
    (
        frozenset({"42P01", "42703", "42883"}),  # no such table, column, function
        StoreCorruptError,
        "{path} lacks a part of its tables: {text}.",
        None,
        "Try: runstore migrate. If data is missing, restore the database from a backup.",
    ),
    (
        frozenset({"53100", "53200"}),
        StoreUnavailableError,
        "There is no space left for {path}: {text}.",
        KEPT,
        "Free some space on the server, then try again.",
    ),
    (
        frozenset({"54000", "22001"}),
        StoreError,
        "A value is too long for {path}: {text}.",
        None,
        "Use shorter names.",
    ),
)


def meaning_of(state: str, text: str, path: str, kept: str) -> StoreError | None:
    """Return our own error for a code (SQLSTATE) and message of the server, if it has one."""
    for states, kind, what, always_kept, hint in _MEANINGS:
        if state in states:
            return kind(what.format(path=path, text=text), kept=always_kept or kept, hint=hint)
    return None


def lost_or_unusable(state: str, text: str, path: str) -> StoreError:
    """Return our own error for a connection that failed."""
    if not state or state in AWAY or state.startswith(_LOST):
        return unreachable(f"The connection to {path} was lost: {away.reason_of(text)}.")
    return unusable(path, text)


def unreachable(what: str) -> ServerUnreachableError:
    """Return the error for a server that is away."""
    return ServerUnreachableError(
        what,
        kept=KEPT,
        hint="Check that the server is running and reachable.",
    )


def unusable(path: str, reason: str) -> StoreUnavailableError:
    """Return the error for a server that refuses a connection."""
    return StoreUnavailableError(
        f"The store at {path} cannot be used: {reason}.",
        kept=KEPT,
        hint="Check the URL, the user and the password, and that the database exists.",
    )
