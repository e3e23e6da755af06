"""Tags: labels of runs, with or without a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runstore.errors import InvalidValueError, shown
from runstore.model.reference import is_on_one_line
from runstore.model.values import clean_text

KEY_LIMIT_BYTES = 250
VALUE_LIMIT_CHARACTERS = 8192


def tag_key(key: object) -> str:
    """Check a tag's key, and return it.

    Raises:
        InvalidValueError: It is not printable text of 1 to 250 bytes, begins with `+`, `-` or a
            space, or contains `=`, which would be ambiguous on the command line.
    """
    if not isinstance(key, str) or not key or not is_on_one_line(key):
        raise _refused(key, "a key is printable text")
    if key[0] in "+-" or "=" in key or key != key.strip():
        raise _refused(key, "a key has no =, no + or - in front, and no space around it")
    if len(key.encode()) > KEY_LIMIT_BYTES:
        raise _refused(key, f"a key has at most {KEY_LIMIT_BYTES} bytes")
    return key


def tags_given(tags: object) -> dict[str, str]:
    """Return tags from values by key, one key, or several keys of tags without a value.

    A value of None is no tag.

    Raises:
        InvalidValueError: A key or a value cannot be a tag.
    """
    if isinstance(tags, str):
        return {tag_key(tags): ""}
    if isinstance(tags, Mapping):
        found = {tag_key(key): value for key, value in tags.items() if value is not None}
        return {key: tag_value(value) for key, value in found.items()}
    if isinstance(tags, Iterable) and not isinstance(tags, bytes):
        return {tag_key(key): "" for key in tags}
    raise InvalidValueError(
        f"Expected tags as a mapping or a list of names, got {shown(tags)}.",
        hint="Write for example: tags={'phase': 'pilot'} or tags=['baseline'].",
    )


def tag_value(value: object) -> str:
    """Return a tag's value as text; numbers and truth values are written as in JSON.

    Raises:
        InvalidValueError: It has another type, or is too long.
    """
    if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
        value = item()  # a scalar of numpy, torch or similar
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:  # raised for safety: writing so many digits takes long
            raise _refused(value, "an integer has at most 4,300 digits") from None
    if isinstance(value, float):
        return float.__repr__(value)
    if not isinstance(value, str):
        raise _refused(value, f"a value is text or a number, not {type(value).__name__}")
    if len(value) > VALUE_LIMIT_CHARACTERS:
        raise _refused(value, f"a value has at most {VALUE_LIMIT_CHARACTERS:,} characters")
    return clean_text(value)


def _refused(given: object, why: str) -> InvalidValueError:
    return InvalidValueError(
        f"{shown(given)} cannot be a tag: {why}.", kept="Nothing was changed."
    )
