"""Directions of metrics that are kept in the store: whether small or large values are better."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runstore.errors import InvalidValueError, NotFoundError
from runstore.model import arguments
from runstore.model.display.suggestions import hint_of

if TYPE_CHECKING:
    from runstore.model.metric_directions import Direction
    from runstore.storage.backend import Backend

_STATE = "directions"
_DIRECTIONS = ("min", "max")


def every(backend: Backend) -> dict[str, Direction]:
    """Return the directions by metric, in alphabetical order."""
    kept = cast("dict[str, Direction]", backend.database.mapping(_STATE))
    return dict(sorted(one for one in kept.items() if one[1] in _DIRECTIONS))


def keep(backend: Backend, metric: str, direction: Direction) -> None:
    """Keep a direction; see `Store.set_direction`."""
    metric = arguments.text(metric, "metric", "val/loss")
    if direction not in _DIRECTIONS:
        raise InvalidValueError(
            f"Expected 'min' or 'max' as the direction of {metric!r:.60}, got {direction!r:.60}."
        )
    if not metric:
        raise InvalidValueError("A metric has a name.", hint="Write it as acc or val/acc.")
    backend.database.change_mapping(_STATE, metric, direction)


def forget(backend: Backend, metric: str) -> None:
    """Forget a direction; see `Store.remove_direction`."""
    metric, kept = arguments.text(metric, "metric", "val/loss"), every(backend)
    if metric not in kept:
        raise NotFoundError(
            f"No direction of {metric!r:.60} is kept.", hint=hint_of(metric, list(kept))
        )
    backend.database.change_mapping(_STATE, metric, None)
