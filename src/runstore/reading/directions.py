"""Directions of metrics in the store: whether lower or higher values are better."""

from __future__ import annotations

from typing import get_args

from runstore.errors import InvalidValueError, NotFoundError, shown
from runstore.model import arguments
from runstore.model.display.suggestions import hint_of
from runstore.model.logged.values import metric_key
from runstore.model.metric_directions import Direction
from runstore.reading.kept_by_name import KeptByName

_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


class Directions(KeptByName[Direction]):
    """`min` or `max` by metric key, in alphabetical order; changes are durable at once.

    The direction of `fid` applies to `val/fid` as well.
    """

    _state = "directions"

    def _kept(self) -> dict[str, Direction]:
        return {name: one for name, one in super()._kept().items() if one in _DIRECTIONS}

    def _checked_name(self, name: object) -> str:
        return arguments.text(name, "metric", "val/loss")

    def _checked(self, name: str, value: object) -> Direction:
        if value not in _DIRECTIONS:
            raise InvalidValueError(
                f"Expected 'min' or 'max' as the direction of {shown(name)}, got {shown(value)}."
            )
        if not name:
            raise InvalidValueError(
                "The name of a metric cannot be empty.", hint="Write it as acc or val/acc."
            )
        metric_key(name)
        return value

    def _missing(self, name: str, kept: dict[str, Direction]) -> NotFoundError:
        return NotFoundError(
            f"No direction is set for {shown(name)}.", hint=hint_of(name, list(kept))
        )
