"""Checks of arguments of public methods, with errors that name the argument."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import wraps

from runstore.errors import UsageError, shown
from runstore.model.values import clean_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
    K = TypeVar("K")
    V = TypeVar("V")

PAGE_LIMIT = 1000  # runs on one page
NAME_LIMIT_BYTES = 1000
_UNKNOWN_KEYWORD = "unexpected keyword argument '"
_LARGEST = 2**62  # more than any real count, and within the integer range of every engine


def hinted(hint: str) -> Callable[[F], F]:
    """Return a decorator that adds a hint to Python's error for arguments a function lacks.

    The nearest name comes before it, if an unknown one was passed.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                # Raised by the call itself, not by the code of the function.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    error.args = (f"{_with_meant(str(error), function)} {hint}",)
                raise

        return call  # type: ignore[return-value]

    return decorate


def _with_meant(text: str, function: Callable[..., Any]) -> str:
    """Return the text of the error as sentences, with the likely name for an unknown keyword."""
    from runstore.model.display.suggestions import nearest
    from runstore.model.habits import KEYWORDS

    code = function.__code__
    name = text.partition(_UNKNOWN_KEYWORD)[2].partition("'")[0]
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    ours = KEYWORDS.get(name)
    if ours not in known and text.endswith("?"):  # Python suggests a name since 3.13
        return text
    near = nearest(name, [one for one in known if one != "self"]) if name else ""
    meant = ours if ours in known else near
    text = text.partition(". Did you mean")[0]
    return f"{text}. Did you mean {meant!r}?" if meant else f"{text}."


def text(value: object, name: str, example: str) -> str:
    """Check that an argument is text, and return it cleaned for storage.

    Raises:
        UsageError: It is not text.
    """
    if not isinstance(value, str):
        raise refused(value, name, "text", example)
    return clean_text(str.__str__(value))


def text_or_none(value: object, name: str, example: str) -> str | None:
    """Check that an argument is text or None; see `text`."""
    return None if value is None else text(value, name, example)


def name_or_none(
    value: object, name: str, example: str, *, at_most: int = NAME_LIMIT_BYTES
) -> str | None:
    """Check that an argument is a text of at most so many bytes, or None; see `text`."""
    given = text_or_none(value, name, example)
    if given is not None and (size := len(given.encode())) > at_most:
        raise UsageError(
            f"The {name} {given[:40]!r}… has {size:,} bytes; the limit is {at_most:,}.",
            hint="Use a shorter text.",
        )
    return given


def texts(value: object, name: str, example: str) -> tuple[str, ...]:
    """Check that an argument is one or several texts, and return them; see `text`."""
    if isinstance(value, str):
        return (text(value, name, example),)
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise refused(value, name, "a list of texts", [example])
    return tuple(text(one, name, example) for one in value)


def count(value: object, name: str, lowest: int, highest: int | None = None) -> int:
    """Check that an argument is an integer, of Python, numpy or similar, and return it.

    Raises:
        UsageError: It is not an integer, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        bounds = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
        raise UsageError(f"Expected {name} as an int, {bounds}, got {shown(value)}.")
    return min(number, _LARGEST)


def mapping(value: Mapping[K, V], name: str, example: object) -> Mapping[K, V]:
    """Check that an argument is a mapping, and return it.

    Raises:
        UsageError: It is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise refused(value, name, "a mapping", example)
    return value


def progress(value: F | None) -> F | None:
    """Check that a `progress` argument is a function or None, and return it.

    Raises:
        UsageError: It is not a function.
    """
    if value is not None and not callable(value):
        raise UsageError(f"Expected progress as a function (such as print), got {shown(value)}.")
    return value


def time(value: object, name: str) -> datetime:
    """Check that an argument is a datetime with a time zone, and return it.

    Raises:
        UsageError: It is not a datetime, or has no time zone.
    """
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value
    raise UsageError(
        f"Expected {name} as a datetime with a time zone, got {shown(value)}.",
        hint="For the local time zone: .astimezone()"
        if isinstance(value, datetime)
        else "For the present: datetime.now(timezone.utc)",
    )


def path(value: object, name: str) -> str:
    """Check that an argument is the path of a file or a folder, and return it as text.

    Raises:
        UsageError: It is not a path, or contains a character that paths cannot have.
    """
    if isinstance(value, (str, bytes, os.PathLike)) and "\0" not in (found := os.fsdecode(value)):
        with suppress(UnicodeEncodeError):  # by a surrogate, which no name of a file has
            os.fsencode(found)
            return found
    raise refused(value, name, "a path", "runs")


def refused(value: object, name: str, kind: str, example: Any) -> UsageError:
    """Return the error for an argument of the wrong type."""
    return UsageError(f"Expected {name} as {kind} (such as {example!r}), got {shown(value)}.")
