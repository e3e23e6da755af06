"""A grid of characters with lines on it: braille dots, or ASCII without UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

# Bits of a braille character, by column and line of its dots. Source: Unicode, Braille Patterns.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_FIRST_BRAILLE = 0x2800

Range = tuple[float, float]
Place = tuple[int, int]


class Canvas:
    """Characters over a range of numbers."""

    def __init__(
        self, width: int, height: int, x_range: Range, y_range: Range, *, is_ascii: bool
    ) -> None:
        self.width, self.height = max(1, width), max(1, height)
        self._is_ascii = is_ascii
        self._across, self._down = (1, 1) if is_ascii else (2, 4)
        self._x_range, self._y_range = x_range, y_range
        self._dots: dict[Place, int] = {}
        self._signs: dict[Place, str] = {}
        self._colours: dict[Place, int] = {}

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: int) -> None:
        """Draw a line through points; a single point is a dot."""
        places = [self._dot(x, y) for x, y in zip(xs, ys, strict=True)]
        self._mark(places, colour)
        for (x, y), (next_x, next_y) in pairwise(places):
            steps = max(abs(next_x - x), abs(next_y - y))
            self._mark(
                (
                    (x + round((next_x - x) * at / steps), y + round((next_y - y) * at / steps))
                    for at in range(1, steps)
                ),
                colour,
            )

    def sign(self, x: float, y: float, sign: str, colour: int) -> None:
        """Draw a character over a point."""
        place = self.cell(x, y)
        self._signs[place], self._colours[place] = sign, colour

    def cell(self, x: float, y: float) -> Place:
        """Return the column and the line of a point, counted from the top left."""
        across, down = self._dot(x, y)
        return across // self._across, down // self._down

    def _dot(self, x: float, y: float) -> Place:
        most = self.height * self._down - 1
        return (
            _place(x, self._x_range, self.width * self._across - 1),
            most - _place(y, self._y_range, most),
        )

    def _mark(self, dots: Iterable[Place], colour: int) -> None:
        for across, down in dots:
            place = across // self._across, down // self._down
            bit = _BITS[across % self._across][down % self._down]
            self._dots[place] = self._dots.get(place, 0) | bit
            self._colours[place] = colour

    def rows(self) -> Iterable[list[tuple[str, int | None]]]:
        """Yield each line as texts with their colours; None for the default."""
        for line in range(self.height):
            cells = [(column, line) for column in range(self.width)]
            parts = groupby(cells, self._colours.get)
            yield [("".join(map(self._text, some)), colour) for colour, some in parts]

    def _text(self, place: Place) -> str:
        dots = self._dots.get(place, 0)
        if place in self._signs or not dots:
            return self._signs.get(place, " ")
        return "." if self._is_ascii else chr(_FIRST_BRAILLE + dots)


def _place(value: float, within: Range, most: int) -> int:
    """Return the dot of a number from 0 to `most`."""
    low, high = within
    # Halves, since the width of a range may be beyond the largest float.
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return max(0, min(most, round(share * most)))
