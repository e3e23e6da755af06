"""HTTP status and JSON form of each kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from runstore import errors
from runstore.errors import RunstoreError

# A class of someone else's takes its parent's row; a test asks for a row of each of ours.
STATUSES: dict[type[RunstoreError], HTTPStatus] = {
    errors.RunstoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UsageError: HTTPStatus.BAD_REQUEST,
    errors.FilterError: HTTPStatus.BAD_REQUEST,
    errors.InvalidValueError: HTTPStatus.BAD_REQUEST,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.RunNotFoundError: HTTPStatus.NOT_FOUND,
    errors.AmbiguousReferenceError: HTTPStatus.NOT_FOUND,
    errors.CommandNotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.RunActiveError: HTTPStatus.CONFLICT,
    errors.RunFinishedError: HTTPStatus.CONFLICT,
    errors.AlreadyRanError: HTTPStatus.CONFLICT,
    errors.DuplicateReferenceError: HTTPStatus.CONFLICT,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreLockedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServerUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreReadOnlyError: HTTPStatus.FORBIDDEN,
    errors.StoreCorruptError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UntrustedStoreError: HTTPStatus.FORBIDDEN,
    errors.SchemaTooOldError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SchemaTooNewError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UserCodeError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.MissingExtraError: HTTPStatus.NOT_IMPLEMENTED,
}
BUG = "bug"
_TEXTS = frozenset({"what", "kept", "hint"})
_PLAIN = (str, int, list, tuple, type(None))


class Refusal(Exception):  # noqa: N818 - no error of runstore: the request was refused
    """A request that the server refuses independently of the store.

    Args:
        status: The HTTP status.
        code: A stable word for it.
        what: The reason, as a sentence.
        hint: The next step for the reader.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        what: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.code = code
        self.what = what
        self.hint = hint
        self.headers = dict(headers or {})


def status_of(error: RunstoreError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def error_as_json(error: RunstoreError | Refusal) -> dict[str, Any]:
    """Return an error as clients get it: its texts, and the facts that its class keeps."""
    if isinstance(error, Refusal):
        return _body(error.code, error.what, "", error.hint)
    facts = {
        name: value
        for name, value in vars(error).items()
        if name not in _TEXTS and isinstance(value, _PLAIN)
    }
    return _body(error.code, error.what, error.kept, error.hint, facts)


def bug_as_json(error: Exception) -> dict[str, Any]:
    """Return the body sent to clients for an unexpected exception."""
    what = f"This is a bug in runstore: {type(error).__name__}."
    return _body(BUG, what, "", "The terminal of `runstore ui` shows the details; report them.")


def _body(
    code: str, what: str, kept: str, hint: str, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    content = {"code": code, "message": what, "kept": kept or None, "hint": hint or None}
    return {"error": {**content, **(facts or {})}}
