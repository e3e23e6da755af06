"""Storable values: texts and numbers that every engine accepts, and canonical JSON."""

from __future__ import annotations

import math
import re
import sys
from json import JSONEncoder

from runstore.errors import InvalidValueError

try:  # imported early, because no descriptor may be left later
    from _blake2 import blake2b as _blake2b
except ImportError:
    from hashlib import blake2b as _blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Container
    from typing import Any

TEXT_LIMIT_CHARACTERS = 1 << 20

# PostgreSQL rejects NUL, and UTF-8 cannot encode lone surrogates. Rarely needed, so not compiled.
_UNSTORABLE = "[\0\ud800-\udfff]"
_ENCODER = JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


# Hashes without OpenSSL, which takes `hashlib` some milliseconds to load.

blake2b = _blake2b


def sha256(data: bytes | bytearray | memoryview) -> hashlib._Hash:
    """Return the SHA-256 of data, as an object of `hashlib`."""
    try:
        # Searching for a missing module takes longer than loading one.
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256
    hashed: hashlib._Hash = sha256(data)
    return hashed


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD, so that every engine can store the text."""
    if text.isascii() and "\0" not in text:
        return text
    return re.sub(_UNSTORABLE, "\ufffd", text)


def check_text(value: object, what: str) -> str | None:
    """Return notes or similar text, cleaned; None stays None.

    Raises:
        InvalidValueError: Neither text nor None, or over `TEXT_LIMIT_CHARACTERS`.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidValueError(
            f"{what}: {type(value).__name__} is not text.", hint="Pass a string or None."
        )
    if len(value) > TEXT_LIMIT_CHARACTERS:
        raise InvalidValueError(
            f"{what}: {len(value):,} characters; the limit is {TEXT_LIMIT_CHARACTERS:,}.",
            hint="Save long texts as a file.",
        )
    return clean_text(str.__str__(value))


def is_number_text(text: str) -> bool:
    """Check whether Python reads a text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken: itself, or with a number, as in `name~2`.

    With n such names in a row, about 2 log2(n) of them are looked up.
    """
    if name not in taken:
        return name
    low, high = 1, 2  # `low` is taken
    while f"{name}~{high}" in taken:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if f"{name}~{middle}" in taken else (low, middle)
    return f"{name}~{high}"


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of a value: keys sorted, no spaces, ASCII only, numbers by repr.

    Raises:
        ValueError: nan, an infinity, or a cycle.
        TypeError: JSON cannot represent the value.
    """
    return _ENCODER.encode(value)


def nearest_double(whole: float) -> float:
    """Return the nearest double; an infinity beyond the largest one."""
    try:
        return float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf
