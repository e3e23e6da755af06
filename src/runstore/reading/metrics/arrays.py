"""Chunks of points as numpy arrays, if numpy is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from runstore.storage.metrics.chunks import EACH, GAPS, Layout, Numbers, count_in, taken_apart
from runstore.storage.sqlite.signals import Uninterrupted


def has_numpy() -> bool:
    """Load numpy if it is installed, without interruption, which would spoil it for good."""
    with Uninterrupted():
        try:
            importlib.import_module("numpy")
        except ImportError:
            return False
    return True


def whole_arrays(chunks: Sequence[bytes], count: int) -> tuple[Any, Any, Any]:
    """Return steps, times in seconds, and values of chunks, in arrays with room at the end.

    Args:
        chunks: The chunks, in their order.
        count: Number of additional points to leave room for.

    Raises:
        StoreCorruptError: A chunk cannot be read.
    """
    import numpy as np

    # Each chunk is decompressed in place, which is fast while it is in the processor's cache.
    room = count + sum(count_in(chunk) for chunk in chunks)
    steps, times, values = np.empty(room, np.int64), np.empty(room), np.empty(room)
    at = 0
    for chunk in chunks:
        parts = taken_apart(chunk)
        end = at + parts.points
        steps[at:end] = numbers_of(parts.steps, parts.points)
        np.divide(numbers_of(parts.times, parts.points), 1e6, out=times[at:end])
        values[at:end] = values_of(parts)
        at = end
    return steps, times, values


def numbers_of(numbers: Numbers, count: int) -> Any:
    """Return a column of integers."""
    import numpy as np

    if numbers.difference is not None:
        counted = np.arange(count, dtype=np.int64)
        if numbers.difference != 1:
            counted *= numbers.difference
        counted += numbers.first
        return counted
    if numbers.layout == EACH:
        return np.frombuffer(numbers.data, "<i8")
    short = np.frombuffer(numbers.data, "<u4")
    whole = np.cumsum(short, dtype=np.int64) if numbers.layout == GAPS else short.astype(np.int64)
    whole += numbers.first
    return whole


def values_of(parts: Layout) -> Any:
    """Return the values of a chunk."""
    import numpy as np

    return np.frombuffer(parts.values, "<f8")
