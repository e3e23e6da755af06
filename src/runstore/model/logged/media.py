"""Texts, images and histograms logged step by step, as artifacts `media/KIND/KEY/STEP…`."""

from __future__ import annotations

import json
import math
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from runstore.errors import InvalidValueError, NotFoundError
from runstore.model.artifacts import Artifact
from runstore.model.display.formatting import counted
from runstore.model.params.library_values import is_array_like
from runstore.value_classes import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BINS_LIMIT = 4096
_PATH = re.compile(r"media/(text|image|histogram)/(.+)/(-?\d+)(?:-(\d+))?\.\w+")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in bins.

    Attributes:
        edges: Bounds of the bins, ascending, one more than there are bins.
        counts: Values in each bin, including its lower edge, and for the last bin its upper edge.
        left_out: Values that are NaN, infinite, or outside the edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    left_out: int = 0

    def __post_init__(self) -> None:
        """Convert edges and counts of any kind, such as those of `numpy.histogram`.

        Raises:
            InvalidValueError: They do not fit each other.
        """
        object.__setattr__(self, "edges", tuple(float(one) for one in self.edges))
        object.__setattr__(self, "counts", tuple(int(one) for one in self.counts))
        pairs = zip(self.edges, self.edges[1:], strict=False)
        are_bins = len(self.edges) == len(self.counts) + 1 > 1
        if not are_bins or not all(low < high for low, high in pairs):
            raise InvalidValueError(
                f"{len(self.edges)} edges and {len(self.counts)} counts do not form a histogram.",
                hint="Pass ascending edges, one more than counts.",
            )

    @classmethod
    def of(cls, values: Any, bins: int | Sequence[float] = 64) -> Histogram:
        """Count values: an array, a tensor, or an iterable of numbers, of any shape.

        Args:
            values: The values.
            bins: Number of bins of equal width between the smallest and the largest value, up to
                4,096; or their edges.

        Raises:
            InvalidValueError: The values are not numbers, or the bins are invalid.
        """
        array = _array(values)
        if array is not None:
            finite, size = _finite(array), int(array.size)
            edges = _edges(finite, bins)
            return cls._counted(edges, _counts_of_array(finite, edges), size)
        numbers = _numbers(values)
        finite = [one for one in numbers if math.isfinite(one)]
        edges = _edges(finite, bins)
        return cls._counted(edges, _counts(finite, edges), len(numbers))

    @classmethod
    def _counted(cls, edges: tuple[float, ...], counts: tuple[int, ...], size: int) -> Histogram:
        return cls(edges, counts, size - sum(counts))

    @property
    def count(self) -> int:
        """Number of values in all bins."""
        return sum(self.counts)

    def as_json(self) -> str:
        """Return the histogram as stored JSON."""
        kept = {"edges": self.edges, "counts": self.counts, "left_out": self.left_out}
        return json.dumps(kept)


def _array(values: Any) -> Any:
    """Return an array or tensor as a numpy array of 64-bit floats; None for anything else."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    if not is_array_like(values):
        return None
    import numpy as np

    try:
        if isinstance(values, np.ma.MaskedArray):
            return np.ma.filled(values.astype("f8"), math.nan)
        return np.asarray(values, "f8")
    except (TypeError, ValueError) as error:
        raise _no_numbers(error) from error


def _finite(array: Any) -> Any:
    import numpy as np

    return array[np.isfinite(array)]


def _counts_of_array(finite: Any, edges: tuple[float, ...]) -> tuple[int, ...]:
    import numpy as np

    return tuple(np.histogram(finite, edges)[0].tolist())


def _counts(finite: list[float], edges: tuple[float, ...]) -> tuple[int, ...]:
    counts = [0] * (len(edges) - 1)
    for one in finite:
        place = bisect_right(edges, one) - 1
        place -= one == edges[-1]
        if 0 <= place < len(counts):
            counts[place] += 1
    return tuple(counts)


def _numbers(values: Any) -> list[float]:
    try:
        return [float(one) for one in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_numbers(error) from error


def _no_numbers(error: Exception) -> InvalidValueError:
    return InvalidValueError(
        f"The values of a histogram are not numbers: {error}.",
        hint="Pass an array or a list of numbers.",
    )


def _edges(finite: Any, bins: int | Sequence[float]) -> tuple[float, ...]:
    """Return the edges of bins."""
    if isinstance(bins, int):
        return _even_edges(finite, bins)
    edges = tuple(_numbers(bins))
    return Histogram(edges, (0,) * (len(edges) - 1)).edges


def _even_edges(finite: Any, bins: int) -> tuple[float, ...]:
    if not 1 <= bins <= BINS_LIMIT:
        raise InvalidValueError(f"Expected 1 to {BINS_LIMIT:,} bins, got {bins}.")
    low, high = 0.0, 1.0
    if len(finite):
        is_array = hasattr(finite, "min")
        low = float(finite.min() if is_array else min(finite))
        high = float(finite.max() if is_array else max(finite))
    edges = _between(low, high, bins)
    if all(one < other for one, other in pairwise(edges)):
        return edges
    # Too close to each other for distinct numbers in between: use wider bins, limited to finite
    # ones.
    width, largest = max(abs(low), abs(high), 1.0) / 2, sys.float_info.max
    return _between(max(low - width, -largest), min(low + width, largest), bins)


def _between(low: float, high: float, bins: int) -> tuple[float, ...]:
    """Return the edges of bins of equal width, avoiding overflow for huge numbers."""
    half = high / 2 - low / 2
    inner = (2 * (low / 2 + half * (number / bins)) for number in range(1, bins))
    return (low, *inner, high)


@dataclass(frozen=True, slots=True)
class MediaSeries:
    """Media that a run logged under one key, step by step.

    Attributes:
        kind: `text`, `image` or `histogram`.
        key: Its key.
        artifacts: The artifacts of each step, in order.
        read_bytes: Returns the contents of an artifact by its path.
    """

    kind: str
    key: str
    artifacts: dict[int, tuple[Artifact, ...]]
    read_bytes: Callable[[str], bytes]

    def __repr__(self) -> str:
        return f"<MediaSeries {self.kind} {self.key!r} of {counted(len(self.artifacts), 'step')}>"

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.artifacts)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps, in order."""
        return tuple(self.artifacts)

    def read(self, step: int | None = None, index: int = 0) -> Any:
        """Return the item logged at a step: a text, the bytes of an image, or a `Histogram`.

        Args:
            step: The step; None for the last.
            index: Index of the item, if there are several.

        Raises:
            NotFoundError: There is no such item.
        """
        step = self.steps[-1] if step is None else step
        found = self.artifacts.get(step, ())
        if not -len(found) <= index < len(found):
            raise NotFoundError(
                f"The {self.kind} {self.key!r} has no item {index} at step {step}.",
                hint=f"Use one of its steps, from {self.steps[0]} to {self.steps[-1]}.",
            )
        contents = self.read_bytes(found[index].path)
        if self.kind == "image":
            return contents
        text = contents.decode()
        return Histogram(**json.loads(text)) if self.kind == "histogram" else text


def media_path(kind: str, key: str, step: int, index: int | None, suffix: str) -> str:
    """Return the path of the artifact for one text, image or histogram."""
    number = "" if index is None else f"-{index}"
    return f"media/{kind}/{key}/{step}{number}{suffix}"


def is_media(path: str) -> bool:
    """Check whether an artifact was logged at a step."""
    return _PATH.fullmatch(path) is not None


def media_in(
    artifacts: Iterable[Artifact], read_bytes: Callable[[str], bytes]
) -> dict[str, MediaSeries]:
    """Return the series among artifacts, by `<kind>/<key>`."""
    found: dict[tuple[str, str], list[tuple[int, int, Artifact]]] = {}
    for one in artifacts:
        if (match := _PATH.fullmatch(one.path)) is not None:
            kind, key, step, index = match.groups()
            found.setdefault((kind, key), []).append((int(step), int(index or 0), one))
    series = {}
    for (kind, key), points in sorted(found.items()):
        by_step: dict[int, tuple[Artifact, ...]] = {}
        for step, _, one in sorted(points, key=lambda point: point[:2]):
            by_step[step] = (*by_step.get(step, ()), one)
        series[f"{kind}/{key}"] = MediaSeries(kind, key, by_step, read_bytes)
    return series
