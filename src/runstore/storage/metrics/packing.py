"""Columns of numbers as bytes, compressed where that pays.

The bytes of equal weight of all numbers of a column stand together, as a plane: those of high
weight, such as signs and exponents, repeat, and zlib takes most of them away; those of low weight
are often noise, which is kept as it is, so that reading does not wait for it.

```
a byte for each column: bit n is set where plane n, of weight 256**n, is compressed
uint32: bytes of what is compressed
all compressed planes, column by column, as one zlib stream
all other planes, column by column
```
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("<I")
_EFFORT = 1
# Of so many bytes of noise, 162 of 256 values are there; of what zlib makes smaller, fewer.
_LOOKED_AT = 256
_NOISE = 128


def bytes_of(column: array[Any]) -> bytes:
    """Return the numbers of a column, little-endian."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def column_of(kind: str, data: bytes | bytearray) -> array[Any]:
    """Return little-endian numbers as a column."""
    column: array[Any] = array(kind)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def packed(columns: Sequence[array[Any]]) -> bytes:
    """Return columns as bytes."""
    masks = bytearray(len(columns))
    smooth: list[bytes] = []
    noisy: list[bytes] = []
    for place, column in enumerate(columns):
        data, width = bytes_of(column), column.itemsize
        for weight in range(width):
            plane = data[weight::width]
            if len(set(plane[:_LOOKED_AT])) > _NOISE:
                noisy.append(plane)
            else:
                smooth.append(plane)
                masks[place] |= 1 << weight
    compressed = zlib.compress(b"".join(smooth), _EFFORT)
    return b"".join((masks, _LENGTH.pack(len(compressed)), compressed, *noisy))


def unpacked(data: bytes, kinds: str, counts: Sequence[int]) -> list[array[Any]]:
    """Return columns that were packed.

    Args:
        data: The bytes.
        kinds: The kind of each column, as `array.array` calls it.
        counts: How many numbers each has.

    Raises:
        ValueError: They are not the bytes of such columns.
    """
    begin = len(kinds) + _LENGTH.size
    if len(data) < begin:
        raise ValueError("it is cut off")
    masks = data[: len(kinds)]
    (length,) = _LENGTH.unpack_from(data, len(kinds))
    widths = [array(kind).itemsize for kind in kinds]
    total = sum(mask.bit_count() * count for mask, count in zip(masks, counts, strict=True))
    smooth = _inflated(data[begin : begin + length], total)
    at, noisy_at = 0, begin + length
    columns = []
    for kind, width, count, mask in zip(kinds, widths, counts, masks, strict=True):
        whole = bytearray(width * count)
        for weight in range(width):
            if mask >> weight & 1:
                plane, at = smooth[at : at + count], at + count
            else:
                plane, noisy_at = data[noisy_at : noisy_at + count], noisy_at + count
            if len(plane) != count:
                raise ValueError("it is cut off")
            whole[weight::width] = plane
        columns.append(column_of(kind, whole))
    if noisy_at != len(data):
        raise ValueError("something follows it")
    return columns


def _inflated(data: bytes, length: int) -> bytes:
    """Return what was compressed; never more than is expected."""
    inflating = zlib.decompressobj()
    try:
        whole = inflating.decompress(data, max(length, 1))
    except zlib.error as error:
        raise ValueError("it cannot be decompressed") from error
    if len(whole) != length or inflating.unconsumed_tail:
        raise ValueError("it is of another length")
    return whole
