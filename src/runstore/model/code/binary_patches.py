"""Applying the binary parts of patches, which hold files that are no UTF-8.

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
_WHOLE = 0x10000  # bytes that a copy without a size takes


class BinaryPatchError(PatchError):
    """A binary patch is damaged, or does not fit the file."""


def apply_binary(before: bytes, text: str) -> bytes:
    """Return a file after a patch.

    Args:
        before: The file before; empty where there is none.
        text: The part of the patch that is about the file.

    Raises:
        BinaryPatchError: It does not fit, or is damaged.
    """
    lines = text.partition(f"\n{MARK}\n")[2].split("\n")
    kind, _, size = lines[0].partition(" ")
    try:
        data = unpacked(lines[1:])
        is_whole = kind in {"literal", "delta"} and len(data) == int(size)
        after = data if kind == "literal" else _patched(before, data)
    except (ValueError, IndexError, zlib.error) as error:
        raise BinaryPatchError("the binary patch is damaged or does not fit") from error
    if not is_whole:
        raise BinaryPatchError("the binary patch is damaged")
    return after


def unpacked(lines: Sequence[str]) -> bytes:
    """Return what the lines of a binary patch hold, up to the first empty one.

    Raises:
        ValueError: They are damaged.
        zlib.error: The same.
    """
    packed = bytearray()
    for line in lines:
        if not line:
            break
        # The first letter is the length of the line; base 85 is filled up behind that.
        letter = ord(line[0])
        length = letter - ord("A") + 1 if letter <= ord("Z") else letter - ord("a") + 27
        packed += b85decode(line[1:])[:length]
    opened = zlib.decompressobj()
    data = opened.decompress(bytes(packed), _LIMIT_BYTES)
    if opened.unconsumed_tail:
        raise ValueError("too large")
    return data


def _patched(before: bytes, delta: bytes) -> bytes:
    """Return what a delta makes of a file: copies of its parts, and new bytes."""
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
    """Return a number of seven bits a byte, lowest first, and what comes behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _sparse(data: bytes, place: int, bits: int, count: int) -> tuple[int, int]:
    """Return a number of which only the bytes are there that have a bit."""
    value = 0
    for number in range(count):
        if bits >> number & 1:
            value |= data[place] << 8 * number
            place += 1
    return value, place


def as_binary(text: str, before: bytes) -> str:
    """Return a part of a patch as a binary one, which says nothing of the contents before.

    Args:
        text: The part, each byte a letter of Latin-1.
        before: The contents that it changes.

    Raises:
        ValueError: It does not fit them.
    """
    (patch,) = parse_patch(text)
    after = (apply_patch(before.decode("latin-1"), patch) or "").encode("latin-1")
    if object_after(text) not in {*_names(after), _NO_OBJECT}:
        raise ValueError("the patch does not fit the commit")
    head = text.partition("\n--- ")[0]
    return f"{head}\n{MARK}\nliteral {len(after)}\n{''.join(_packed(after))}\n"


def _packed(data: bytes) -> Iterator[str]:
    packed = zlib.compress(data)
    for begin in range(0, len(packed), _LINE_BYTES):
        line = packed[begin : begin + _LINE_BYTES]
        letter = chr(ord("A") + len(line) - 1 if len(line) <= _CAPITALS else len(line) + 70)
        yield f"{letter}{b85encode(line, pad=True).decode('ascii')}\n"


def _names(data: bytes) -> tuple[str, str]:
    """Return the names that git gives to contents, in both of its formats."""
    whole = f"blob {len(data)}\0".encode() + data
    return (
        hashlib.sha1(whole, usedforsecurity=False).hexdigest(),
        hashlib.sha256(whole).hexdigest(),
    )


def object_before(text: str) -> str:
    """Return the name that git gives to the contents before a patch; empty without any."""
    found = _INDEX.search(text)
    return found[1] if found and found[1].strip("0") else ""


def object_after(text: str) -> str:
    """Return the name that git gives to the contents after a patch; empty where it is not told.

    All zeros stand for no contents.
    """
    found = _INDEX.search(text)
    return (found[2] if found[2].strip("0") else _NO_OBJECT) if found else ""
