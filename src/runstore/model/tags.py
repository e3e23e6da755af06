"""Tags: labels of runs, with or without a value."""

from __future__ import annotations

from runstore.errors import InvalidValueError
from runstore.model.values import clean_text

KEY_LIMIT_BYTES = 250
VALUE_LIMIT_CHARACTERS = 8192


def tag_key(key: object) -> str:
    """Check a tag's key, and return it.

    Raises:
        InvalidValueError: It is not printable text of 1 to 250 bytes, begins with `+`, `-` or a
            space, or contains `=`, which would be ambiguous on the command line.
    """
    if not isinstance(key, str) or not key or not key.isprintable():
        raise _refused(key, "a key is printable text")
    if key[0] in "+-" or "=" in key or key != key.strip():
        raise _refused(key, "a key has no =, no + or - in front, and no space around it")
    if len(key.encode()) > KEY_LIMIT_BYTES:
        raise _refused(key, f"a key has at most {KEY_LIMIT_BYTES} bytes")
    return key


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
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if not isinstance(value, str):
        raise _refused(value, f"a value is text or a number, not {type(value).__name__}")
    if len(value) > VALUE_LIMIT_CHARACTERS:
        raise _refused(value, f"a value has at most {VALUE_LIMIT_CHARACTERS:,} characters")
    return clean_text(value)


def _refused(given: object, why: str) -> InvalidValueError:
    shown = repr(given)
    shown = shown if len(shown) <= 60 else shown[:59] + "…"  # noqa: PLR2004 - a line
    return InvalidValueError(f"{shown} cannot be a tag: {why}.", kept="Nothing was changed.")
