"""Columns of numbers as bytes, compressed if that saves space.

Bytes of equal significance from all numbers of a column form a plane: planes of high significance,
such as signs and exponents, repeat and compress well with zlib; planes of low significance are
often noise and stay uncompressed, so that reading is faster.

```
a byte for each column: bit n is set if plane n, of weight 256**n, is compressed
uint32: number of compressed bytes
all compressed planes, column by column, as one zlib stream
all other planes, column by column
```
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

_LENGTH = struct.Struct("<I")
_EFFORT = 1
# Among this many bytes of noise, 162 of 256 values occur; compressible bytes have fewer.
_LOOKED_AT = 256
_NOISE = 128


def packed(columns: Sequence[tuple[bytes, int]]) -> bytes:
    """Pack columns of little-endian numbers, each with its bytes per number, into bytes."""
    masks = bytearray(len(columns))
    smooth: list[bytes] = []
    noisy: list[bytes] = []
    for place, (data, width) in enumerate(columns):
        for weight in range(width):
            plane = data[weight::width]
            if len(set(plane[:_LOOKED_AT])) > _NOISE:
                noisy.append(plane)
            else:
                smooth.append(plane)
                masks[place] |= 1 << weight
    compressed = zlib.compress(b"".join(smooth), _EFFORT)
    return b"".join((masks, _LENGTH.pack(len(compressed)), compressed, *noisy))


def unpacked(data: memoryview, widths: Sequence[int], count: int) -> list[bytearray]:
    """Unpack columns of equal length, each with its width in bytes.

    Raises:
        ValueError: The data is not in this format.
    """
    begin = len(widths) + _LENGTH.size
    if len(data) < begin:
        raise ValueError("it is truncated")
    masks = bytes(data[: len(widths)])
    (length,) = _LENGTH.unpack_from(data, len(widths))
    known = sum(map(int.bit_count, masks))
    if len(data) - begin - length != (sum(widths) - known) * count or any(
        mask >> width for mask, width in zip(masks, widths, strict=True)
    ):
        raise ValueError("it is truncated")
    smooth = _inflated(data[begin : begin + length], known * count)
    at, noisy_at = 0, begin + length
    columns = []
    for width, mask in zip(widths, masks, strict=True):
        whole = bytearray(width * count)
        for weight in range(width):
            if mask >> weight & 1:
                whole[weight::width] = smooth[at : at + count]
                at += count
            else:
                whole[weight::width] = data[noisy_at : noisy_at + count]
                noisy_at += count
        columns.append(whole)
    return columns


def _inflated(data: memoryview, length: int) -> bytes:
    """Return decompressed data, reading no more than the expected length."""
    inflating = zlib.decompressobj()
    try:
        whole = inflating.decompress(data, max(length, 1))
    except zlib.error as error:
        raise ValueError("it cannot be decompressed") from error
    if len(whole) != length or inflating.unconsumed_tail:
        raise ValueError("its length is wrong")
    return whole
