"""Files of printed lines in pieces: some whole lines at a time, and what they say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from runstore.model.text.output import plain_text

# So small that looking through one is quick, so large that each has few neighbours.
PIECE_BYTES = 1 << 16
# A line of a file, as `storage/files/output.py` reads it; only its text is of interest.
_TEXT = re.compile(r"^\d{1,11}\.\d{6} [oel] ?(.*)$", re.MULTILINE | re.ASCII)


def pieces_of(file: BinaryIO, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces of an open file from a place on, each with where it begins.

    A line is never cut; only the last piece may end within one, that is being written.
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
    """Return what tells contents apart: 64 bits of a digest, as SQLite takes them."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)
