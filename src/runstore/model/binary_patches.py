"""The contents that a binary patch of git holds, where it holds them as a whole.

Source: git's apply.c, parse_binary_hunk, 2.39: deflated data in lines of base 85, each after a
letter for its length in bytes; `literal` for the contents, `delta` for a change of the old ones.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Sequence

_LITERAL = re.compile(r"^GIT binary patch\nliteral (\d+)\n((?:[A-Za-z]\S+\n)*)", re.MULTILINE)
_LONGEST = 1 << 26


def literal_contents(patch: str) -> bytes | None:
    """Return the new contents of a file; None if the patch does not hold them as a whole.

    Args:
        patch: The part of a patch that is about the file.
    """
    found = _LITERAL.search(patch)
    if found is None or int(found[1]) > _LONGEST:
        return None
    try:
        data = zlib.decompressobj().decompress(_bytes_of(found[2].splitlines()), _LONGEST)
    except (ValueError, zlib.error):
        return None
    return data if len(data) == int(found[1]) else None


def _bytes_of(lines: Sequence[str]) -> bytes:
    return b"".join(base64.b85decode(line[1:])[: _length(line[0])] for line in lines)


def _length(letter: str) -> int:
    """Return the number of bytes that a letter stands for: A to Z are 1 to 26, a to z 27 to 52."""
    return ord(letter) - ord("A") + 1 if letter <= "Z" else ord(letter) - ord("a") + 27
