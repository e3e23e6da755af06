"""Filters saved in the store by name."""

from __future__ import annotations

import re

from runstore.errors import InvalidValueError, NotFoundError, shown
from runstore.model import arguments
from runstore.model.display.formatting import cropped
from runstore.model.display.suggestions import hint_of
from runstore.model.query.parse import parse_query
from runstore.reading.kept_by_name import KeptByName

_LONGEST = 100
_NAME = re.compile(rf"\w[\w.-]{{0,{_LONGEST - 1}}}")


class SavedQueries(KeptByName[str]):
    """Filters by name, in alphabetical order; changes are durable at once.

    A name has letters, digits, `-`, `_` and `.`; an invalid filter is a `FilterError`.
    """

    _state = "queries"

    def _checked_name(self, name: object) -> str:
        # As it is written where it is used: @failed.
        return arguments.text(name, "name", "failed").removeprefix("@")

    def _checked(self, name: str, value: object) -> str:
        text = arguments.text(value, "text", "status = 'error'")
        if not _NAME.fullmatch(name):
            raise InvalidValueError(
                f"{shown(name)} cannot be the name of a filter.",
                hint="Use letters, digits, - _ and dots.",
            )
        parse_query(text)
        return text

    def _missing(self, name: str, kept: dict[str, str]) -> NotFoundError:
        hint = hint_of(name, kept, otherwise="List them with: runstore views ls")
        return NotFoundError(f"There is no filter @{cropped(name, _LONGEST)}.", hint=hint)
