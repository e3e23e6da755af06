"""Application of the binary parts of patches, which contain files that are not UTF-8.

Source: git 2.39, apply.c (parse_binary_hunk) and patch-delta.c; base85.c has the alphabet of
`base64.b85decode`.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b85decode, b85encode
from collections.abc import Iterator, Sequence

from runstore.model.code.patches import MARK, PatchError, apply_patch, parse_patch

_LIMIT_BYTES = 1 << 26
_INDEX = re.compile(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)", re.MULTILINE)
_NO_OBJECT = "0"
_LINE_BYTES = 52
_CAPITALS = 26
_WHOLE = 0x10000  # bytes of a copy without a size


class BinaryPatchError(PatchError):
    """A binary patch is damaged, or does not match the file."""


def apply_binary(before: bytes, text: str) -> bytes:
    """Return a file after a patch.

    `before` is empty if there was no file.

    Raises:
        BinaryPatchError: It does not match, or is damaged.
    """
    lines = text.partition(f"\n{MARK}\n")[2].split("\n")
    kind, _, size = lines[0].partition(" ")
    try:
        data = unpacked(lines[1:])
        is_whole = kind in {"literal", "delta"} and len(data) == int(size)
        after = data if kind == "literal" else _patched(before, data)
    except (ValueError, IndexError, zlib.error) as error:
        raise BinaryPatchError("the binary patch is damaged or does not match") from error
    if not is_whole:
        raise BinaryPatchError("the binary patch is damaged")
    return after


def unpacked(lines: Sequence[str]) -> bytes:
    """Decode the lines of a binary patch, up to the first empty one.

    Raises:
        ValueError: They are damaged.
        zlib.error: They are damaged.
    """
    packed = bytearray()
    for line in lines:
        if not line:
            break
        # The first letter is the length of the line; the rest is padded base 85.
        letter = ord(line[0])
        length = letter - ord("A") + 1 if letter <= ord("Z") else letter - ord("a") + 27
        packed += b85decode(line[1:])[:length]
    opened = zlib.decompressobj()
    data = opened.decompress(bytes(packed), _LIMIT_BYTES)
    if opened.unconsumed_tail:
        raise ValueError("too large")
    return data


def _patched(before: bytes, delta: bytes) -> bytes:
    """Apply a delta to a file: copies of its parts, and new bytes."""
    size_before, place = _number(delta, 0)
    size_after, place = _number(delta, place)
    after = bytearray()
    while place < len(delta):
        code = delta[place]
        place += 1
        if code & 0x80:
            start, place = _sparse(delta, place, code, 4)
            size, place = _sparse(delta, place, code >> 4, 3)
            after += before[start : start + (size or _WHOLE)]
        else:
            after += delta[place : place + code]
            place += code
    if (size_before, size_after) != (len(before), len(after)):
        raise ValueError("another size")
    return bytes(after)


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return a number with seven bits per byte, lowest first, and the next offset."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _sparse(data: bytes, place: int, bits: int, count: int) -> tuple[int, int]:
    """Return a number of which only the bytes marked by a bit are present."""
    value = 0
    for number in range(count):
        if bits >> number & 1:
            value |= data[place] << 8 * number
            place += 1
    return value, place


def as_binary(text: str, before: bytes) -> str:
    """Convert a part of a patch to a binary one, which does not reveal the previous contents.

    Args:
        text: The part, each byte as a Latin-1 character.
        before: The contents that it changes.

    Raises:
        ValueError: It does not match them.
    """
    (patch,) = parse_patch(text)
    after = (apply_patch(before.decode("latin-1"), patch) or "").encode("latin-1")
    if object_after(text) not in {*_names(after), _NO_OBJECT}:
        raise ValueError("the patch does not match the commit")
    head = text.partition("\n--- ")[0]
    return f"{head}\n{MARK}\nliteral {len(after)}\n{''.join(_packed(after))}\n"


def _packed(data: bytes) -> Iterator[str]:
    packed = zlib.compress(data)
    for begin in range(0, len(packed), _LINE_BYTES):
        line = packed[begin : begin + _LINE_BYTES]
        letter = chr(ord("A") + len(line) - 1 if len(line) <= _CAPITALS else len(line) + 70)
        yield f"{letter}{b85encode(line, pad=True).decode('ascii')}\n"


def _names(data: bytes) -> tuple[str, str]:
    """Return git's object names for contents, in both of its formats."""
    whole = f"blob {len(data)}\0".encode() + data
    return (
        hashlib.sha1(whole, usedforsecurity=False).hexdigest(),
        hashlib.sha256(whole).hexdigest(),
    )


def object_before(text: str) -> str:
    """Return git's object name for the contents before a patch; empty if there were none."""
    found = _INDEX.search(text)
    return found[1] if found and found[1].strip("0") else ""


def object_after(text: str) -> str:
    """Return git's object name for the contents after a patch; empty if it is not given.

    All zeros mean no contents.
    """
    found = _INDEX.search(text)
    return (found[2] if found[2].strip("0") else _NO_OBJECT) if found else ""
