"""What may be stored: texts that every engine takes, and JSON in its one canonical form."""

from __future__ import annotations

import re
import sys
from json import JSONEncoder
from typing import TYPE_CHECKING, Any

from runstore.errors import InvalidValueError

try:  # at once: there may be no descriptor left when it is needed
    from _blake2 import blake2b as _blake2b
except ImportError:
    from hashlib import blake2b as _blake2b

if TYPE_CHECKING:
    import hashlib

TEXT_LIMIT_CHARACTERS = 1 << 20

# PostgreSQL refuses NUL, UTF-8 has no place for half of a surrogate pair.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ENCODER = JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


# Hashes without OpenSSL, which `hashlib` takes some milliseconds to load.


def blake2b(data: bytes = b"", *, digest_size: int) -> hashlib.blake2b:
    """Return the BLAKE2b hash of data, as an object of `hashlib`."""
    return _blake2b(data, digest_size=digest_size)


def sha256(data: bytes) -> hashlib._Hash:
    """Return the SHA-256 of data, as an object of `hashlib`."""
    try:
        # Looking for a module that is not there takes longer than loading one.
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256
    hashed: hashlib._Hash = sha256(data)
    return hashed


def clean_text(text: str) -> str:
    """Return the text with NUL and lone surrogates replaced by U+FFFD: storable everywhere."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def check_text(value: object, what: str) -> str | None:
    """Return prose such as notes, cleaned; None stays None.

    Args:
        value: What the user gave.
        what: What it is called in the error, e.g. `notes`.

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
            hint="Keep long texts in a file of their own.",
        )
    return clean_text(str.__str__(value))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, ASCII only, numbers by repr.

    Raises:
        ValueError: nan, an infinity, or a cycle.
        TypeError: What JSON cannot say.
    """
    return _ENCODER.encode(value)
