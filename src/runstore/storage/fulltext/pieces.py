"""Files of printed lines in pieces of whole lines, and the texts of those lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from runstore.model.text.output import plain_text

# Small enough to search one quickly, large enough that there are few.
PIECE_BYTES = 1 << 16
# A line of a file in the format of `storage/files/output.py`, of which only the text matters.
_TEXT = re.compile(r"^\d{1,11}\.\d{6} [oel] ?(.*)$", re.MULTILINE | re.ASCII)


def pieces_of(file: BinaryIO, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces of an open file from an offset on, each with its own offset.

    Lines are never split; only the last piece may end within a line that is still being written.
    """
    file.seek(begin)
    while data := file.read(PIECE_BYTES):
        if not data.endswith(b"\n"):
            data += file.readline()
        yield begin, data
        begin += len(data)


def texts_in(data: bytes) -> list[str]:
    """Return the texts of the lines of a piece, without colours."""
    found: list[str] = _TEXT.findall(data.decode(errors="replace"))
    return [plain_text(text) for text in found] if b"\x1b" in data else found


def checksum_of(data: bytes) -> int:
    """Return a 64-bit checksum of contents, as a signed integer for SQLite."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)
