"""Filters that are kept in the store under a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runstore.errors import InvalidValueError, NotFoundError
from runstore.model import arguments
from runstore.model.display.suggestions import hint_of
from runstore.model.query.parse import parse_query

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_STATE = "queries"
_NAME = re.compile(r"\w[\w.-]{0,99}")


def every(backend: Backend) -> dict[str, str]:
    """Return the filters by name, in alphabetical order."""
    return dict(sorted(backend.database.mapping(_STATE).items()))


def load(backend: Backend, name: str) -> str:
    """Return the filter of a name; see `Store.query`."""
    name, kept = arguments.text(name, "name", "failed"), every(backend)
    if name not in kept:
        raise NotFoundError(
            f"There is no filter @{name}.",
            hint=hint_of(name, kept, otherwise="List them with: runstore query ls"),
        )
    return kept[name]


def save(backend: Backend, name: str, text: str) -> None:
    """Keep a filter; see `Store.save_query`."""
    name = arguments.text(name, "name", "failed")
    text = arguments.text(text, "text", "status = 'error'")
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{name!r:.60} cannot be the name of a filter.",
            hint="Use letters, digits, - _ and dots.",
        )
    parse_query(text)
    backend.database.change_mapping(_STATE, name, text)


def remove(backend: Backend, name: str) -> None:
    """Forget a filter; see `Store.remove_query`."""
    load(backend, name)
    backend.database.change_mapping(_STATE, name, None)
