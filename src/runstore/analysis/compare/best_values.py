"""Which of several runs has the best value of a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping

from runstore.analysis.compare.differences import Difference
from runstore.model.metric_directions import Direction, direction_of, kept_for

_EXTREMES = (".min", ".max")


def direction_for(one: Difference, kept: Mapping[str, Direction]) -> Direction | None:
    """Return whether small or large values of a metric are better; None if that is not known."""
    if one.section != "metrics":
        return None
    key = one.key
    for ending in _EXTREMES:
        key = key.removesuffix(ending)
    return kept_for(dict(kept), key) or direction_of(key)


def best_places(one: Difference, direction: Direction | None) -> tuple[int, ...]:
    """Return the places of the runs with the best value; none if all have the same."""
    known = {
        place: value
        for place, value in enumerate(one.values)
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
    if direction is None or len(set(known.values())) < 2:  # noqa: PLR2004 - to choose from
        return ()
    best = (min if direction == "min" else max)(known.values())
    return tuple(place for place, value in known.items() if value == best)
