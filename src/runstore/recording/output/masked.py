"""Output without secrets: masked line by line before any of it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The patterns are loaded before any output, when loading is still possible.
from runstore.capture.secrets.text import mask_plain
from runstore.capture.secrets.values import MASK

_LONGEST_LINE_BYTES = 1 << 16
_BEGIN_OF_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,60}PRIVATE KEY(?: BLOCK)?-----(?!.*-----END )")
_LINES_OF_KEY = 200


class LineMasker:
    """Masks output of a run; an incomplete line waits in memory."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, bytes] = {}
        # How many lines of a private key may still follow.
        self._key_lines: dict[bytes, int] = {}

    def passed(self, letter: bytes, data: bytes) -> bytes:
        """Return the lines that are now complete, masked; output comes in pieces of any size."""
        data = self._waiting.pop(letter, b"") + data
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not end and len(data) > _LONGEST_LINE_BYTES:
            end = len(data)
        if end < len(data):
            self._waiting[letter] = data[end:]
        return self._masked(letter, data[:end])

    def rest(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the last, incomplete lines."""
        while self._waiting:
            letter, data = self._waiting.popitem()
            yield letter, self._masked(letter, data)

    def _masked(self, letter: bytes, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        # Only a key spans lines.
        if "PRIVATE KEY" in text or self._key_lines.get(letter):
            lines = text.splitlines(keepends=True)
            text = "".join(self._masked_line(letter, line) for line in lines)
        return mask_plain(text).encode("utf-8", "surrogateescape")

    def _masked_line(self, letter: bytes, line: str) -> str:
        left = self._key_lines.get(letter, 0)
        if left and "-----END " in line:
            self._key_lines[letter] = 0
        elif left:
            self._key_lines[letter] = left - 1
            body = line.rstrip("\r\n")
            return (MASK if body.strip() else body) + line[len(body) :]
        elif _BEGIN_OF_KEY.search(line):
            self._key_lines[letter] = _LINES_OF_KEY
        return line
