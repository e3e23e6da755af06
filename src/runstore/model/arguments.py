"""Arguments of public methods: what looks right is taken, anything else is refused by name."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from runstore.errors import UsageError
from runstore.model.values import clean_text

K = TypeVar("K")
V = TypeVar("V")
PAGE_LIMIT = 1000  # runs on one page
_LARGEST = 2**62  # more than there can be of anything, and a number that every engine takes


def text(value: object, name: str, example: str) -> str:
    """Return an argument that is a text, as every engine takes it.

    Args:
        value: What was passed.
        name: What the argument is called.
        example: A value that it may have.

    Raises:
        UsageError: It is not a text.
    """
    if not isinstance(value, str):
        raise refused(value, name, "text", example)
    return clean_text(str.__str__(value))


def text_or_none(value: object, name: str, example: str) -> str | None:
    """Return an argument that is a text or None; see `text`."""
    return None if value is None else text(value, name, example)


def texts(value: object, name: str, example: str) -> tuple[str, ...]:
    """Return an argument that is several texts, or one; see `text`."""
    if isinstance(value, str):
        return (text(value, name, example),)
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise refused(value, name, "a list of texts", [example])
    return tuple(text(one, name, example) for one in value)


def count(value: object, name: str, lowest: int, highest: int | None = None) -> int:
    """Return an argument that is a whole number, of Python, numpy or the like.

    Raises:
        UsageError: It is not a whole number, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        bounds = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
        raise UsageError(f"Expected {name} as a whole number, {bounds}, got {value!r:.60}.")
    return min(number, _LARGEST)


def mapping(value: Mapping[K, V], name: str, example: object) -> Mapping[K, V]:
    """Return an argument that is a mapping.

    Raises:
        UsageError: It is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise refused(value, name, "a mapping", example)
    return value


def path(value: object, name: str) -> str:
    """Return an argument that is the path of a file or a folder.

    Raises:
        UsageError: It is not a path, or none that a system takes.
    """
    if not isinstance(value, (str, bytes, os.PathLike)) or "\0" in (found := os.fsdecode(value)):
        raise refused(value, name, "a path", "runs")
    return found


def refused(value: object, name: str, kind: str, example: Any) -> UsageError:
    """Return the error for an argument of another kind."""
    return UsageError(f"Expected {name} as {kind} (such as {example!r}), got {value!r:.60}.")
