"""Plots made of characters, for a terminal or a pipe."""

from __future__ import annotations

import bisect
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runstore.cli.output import console, is_terminal, terminal_safe
from runstore.cli.plots import ticks
from runstore.cli.plots.panels import Line, Panel, Plot, x_label
from runstore.errors import MissingExtraError

PIPE_COLUMNS = 80
PANEL_LINES = 16
NARROWEST, LOWEST = 20, 6
# Two dots per column; a stretch of one dot has two extremes, and neighbours share the rounding.
POINTS_PER_COLUMN = 8
# Of the terminal's own palette, which its owner has made readable.
_COLOURS = (6, 1, 2, 5, 4, 3)
# Signs that every encoding and every font has, one column wide everywhere.
_SIGNS = "ox+*#@%&"
_SIGN_EVERY = 12  # columns
_FEW_POINTS = 12  # so few are shown as such
_FRAME = 2
_AXIS_LINES = 2  # the ticks, and what they count
_DOTS = 2, 4  # of one braille character, across and down
_GAP = "  "
_ASCII = str.maketrans("┌┐└┘┬┴├┤┼─│…", "+++++++++-|~")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is drawn on.

    Attributes:
        width: Columns.
        height: Lines of each panel with its axes, without its name and its legend.
        has_colours: Whether colours may be used.
        is_ascii: Whether there is nothing but ASCII.
    """

    width: int
    height: int
    has_colours: bool
    is_ascii: bool


def paper(width: int | None, height: int | None) -> Paper:
    """Return what stdout is like; a pipe gets 80 columns of plain text."""
    drawn = console() if is_terminal() else None
    columns = drawn.width if drawn else PIPE_COLUMNS
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return Paper(
        width=max(NARROWEST, width or columns),
        height=max(LOWEST, height or PANEL_LINES),
        has_colours=drawn is not None and drawn.color_system is not None,
        is_ascii="utf" not in encoding.lower(),
    )


def draw(plot: Plot, on: Paper) -> list[str]:
    """Return the lines of a plot: the run, each panel with its legend, remarks.

    Raises:
        MissingExtraError: plotext is missing.
    """
    canvas = _canvas()
    has_signs = len(plot.lines) > 1
    lines = [_cut(plot.title, on.width)] if len(plot.lines) == 1 else []
    for panel in plot.panels:
        lines += [""] if lines else []
        lines.append(_styled(_cut(_heading(panel, plot), on.width), "1", on))
        if any(len(line.raw) for line in panel.lines):
            lines += _drawn(canvas, panel, plot, on, has_signs=has_signs)
        else:
            lines.append("no points yet" if not _count(panel) else "nothing that can be drawn")
        lines += _legend(panel, on) if has_signs else [_told(panel.lines[0], on.width)]
    lines += [_cut(remark, on.width) for remark in plot.remarks]
    return [line.translate(_ASCII) for line in lines] if on.is_ascii else lines


def _canvas() -> Any:
    try:
        import plotext
    except ImportError as error:
        raise _missing("plotext is not installed.") from error
    if not hasattr(plotext, "build"):
        raise _missing("The plotext that is installed is not version 5.")
    return plotext


def _missing(what: str) -> MissingExtraError:
    return MissingExtraError(
        what,
        hint="Install it with: pip install 'runstore[plot]'; or draw a file: -o plot.html",
    )


def _heading(panel: Panel, plot: Plot) -> str:
    about = ["log"] if plot.view.is_log else []
    about += [f"smoothed {plot.view.smoothing:g}"] if plot.view.smoothing else []
    return panel.key + (f" ({', '.join(about)})" if about else "")


def _count(panel: Panel) -> int:
    return sum(line.summary.count for line in panel.lines)


def _drawn(canvas: Any, panel: Panel, plot: Plot, on: Paper, *, has_signs: bool) -> list[str]:
    """Return the lines of the box and its axes.

    Only numbers reach the library: it would obey escape sequences in texts.
    """
    name, unit = x_label(plot)
    curves = [_curve(line, plot, unit) for line in panel.lines]
    x_range = ticks.spread(*_ends(x for xs, _ in curves for x in xs))
    y_range = ticks.spread(*_ends(y for _, ys in curves for y in ys))
    y_ticks = (ticks.logarithmic if plot.view.is_log else ticks.linear)(*y_range, on.height // 4)
    inner = on.width - _FRAME - max((len(text) for _, text in y_ticks), default=0)
    of_time = plot.view.x == "time"
    x_ticks = (ticks.moments if of_time else ticks.linear)(*x_range, max(2, inner // 14))

    canvas.clear_figure()
    canvas.limit_size(False, False)  # noqa: FBT003 - plotext's: neither width nor height
    canvas.theme("clear")
    canvas.plot_size(on.width, on.height)
    canvas.xlim(*x_range)
    canvas.ylim(*y_range)
    canvas.xticks(*_columns(x_ticks))
    canvas.yticks(*_columns(y_ticks))
    canvas.xlabel(name)
    grid = _Grid(x_range, y_range, inner, on.height - _FRAME - _AXIS_LINES, _line_dots(on))
    for line, (xs, ys) in zip(panel.lines, curves, strict=True):
        colour = _COLOURS[line.place % len(_COLOURS)] if on.has_colours else None
        if not xs:
            continue
        canvas.plot(xs, ys, marker="." if on.is_ascii else "braille", color=colour)
        at = grid.signs(xs, ys, line.place if has_signs else None)
        sign = _SIGNS[line.place % len(_SIGNS)] if has_signs else _SIGNS[0]
        if at:
            canvas.scatter([x for x, _ in at], [y for _, y in at], marker=sign, color=colour)
    text: str = canvas.build()
    shown = text if on.has_colours else _COLOUR.sub("", text)
    return [one.rstrip() for one in shown.rstrip("\n").split("\n")]


def _line_dots(on: Paper) -> tuple[int, int]:
    return (1, 1) if on.is_ascii else _DOTS


def _curve(line: Line, plot: Plot, unit: float) -> tuple[list[float], list[float]]:
    points = line.shown
    xs = [x / unit for x in line.xs(points, plot.view.x)]
    return xs, [math.log10(y) if plot.view.is_log else y for y in points.values]


def _ends(numbers: Iterator[float]) -> tuple[float, float]:
    every = list(numbers)
    return min(every), max(every)


def _columns(found: ticks.Ticks) -> tuple[list[float], list[str]]:
    return [at for at, _ in found], [text for _, text in found]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where signs go such that they stand on their line."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int
    height: int
    dots: tuple[int, int]

    def signs(
        self, xs: Sequence[float], ys: Sequence[float], place: int | None
    ) -> list[tuple[float, float]]:
        """Return where signs stand: on few points each, else every so many columns.

        Args:
            xs: In order.
            ys: One per x.
            place: Of the line among others, whose signs stand beside these; None for none.
        """
        if len(xs) <= _FEW_POINTS:
            chosen = list(range(len(xs)))
        elif place is None:
            return []
        else:
            low, high = self.x_range
            column = (high - low) / max(1, self.width)
            start = (place * 5) % _SIGN_EVERY
            wanted = [low + at * column for at in range(start, self.width, _SIGN_EVERY)]
            inside = [x for x in wanted if xs[0] <= x <= xs[-1]] or [xs[-1]]
            found = {min(bisect.bisect_left(xs, x), len(xs) - 1) for x in inside}
            chosen = sorted(found)
        return [
            (
                _snapped(xs[at], self.x_range, self.width, self.dots[0]),
                _snapped(ys[at], self.y_range, self.height, self.dots[1]),
            )
            for at in chosen
        ]


def _snapped(value: float, within: tuple[float, float], cells: int, dots: int) -> float:
    """Return the value in the middle of the cell in which plotext puts the dot of this one.

    Source: plotext 5.3.2, get_matrix_data: dots and whole characters are rounded on scales of
    their own, by which a sign would stand a cell beside its line.
    """
    low, high = within
    share = (value - low) / (high - low)
    cell = int(0.5 + share * (cells * dots - 1)) // dots
    return low + (high - low) * cell / max(1, cells - 1)


def _legend(panel: Panel, on: Paper) -> list[str]:
    """Return sign, name and last value of each line, as many beside each other as fit."""
    from rich.cells import cell_len

    rows: list[str] = []
    room = 0
    for line in panel.lines:
        sign = _SIGNS[line.place % len(_SIGNS)]
        # The value stays when a name is long.
        value = f" {line.summary.last:.4g}"
        name = _cut(line.name, on.width - len(value) - 2)
        width = 2 + cell_len(name) + len(value)
        colour = f"38;5;{_COLOURS[line.place % len(_COLOURS)]}"
        text = f"{_styled(sign, colour, on)} {name}{value}"
        if rows and room >= width + len(_GAP):
            rows[-1] += _GAP + text
            room -= width + len(_GAP)
        else:
            rows.append(text)
            room = on.width - width
    return rows


def _told(line: Line, width: int) -> str:
    one = line.summary
    count = "1 point" if one.count == 1 else f"{one.count:,} points"
    numbers = f"last {one.last:.4g}  min {one.min:.4g}  max {one.max:.4g}"
    whole = f"{numbers}  {count}"
    return whole if len(whole) <= width else _cut(numbers, width)


def _cut(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    safe = terminal_safe(text).replace("\t", " ")
    return safe if cell_len(safe) <= width else set_cell_size(safe, max(0, width - 1)) + "…"


def _styled(text: str, code: str, on: Paper) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if on.has_colours else text
