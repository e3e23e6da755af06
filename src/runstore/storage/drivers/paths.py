"""Paths: as SQLite takes them with options, and read whole before they are shared."""

from __future__ import annotations

import os
from pathlib import Path

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~")


def file_uri(path: Path, options: str) -> str:
    """Return a file as a URI with options, such as `mode=ro`; any bytes of a name are kept.

    Without `urllib`, which may be out of reach: its first import fails in a program whose
    working directory is gone, or whose user cannot read the folder of its Python any more.

    Source: SQLite, Uniform Resource Identifiers, 3.53.
    """
    name = "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(path.absolute())
    )
    return f"file://{name}?{options}"


def parsed(path: Path) -> Path:
    """Return a path that any code may use in the middle of any other.

    Before Python 3.13, a path is parsed when it is first used, in several steps: a finalizer that
    uses it between two of them fails.
    """
    os.fspath(path)
    return path
