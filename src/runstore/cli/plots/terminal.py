"""Plots made of characters, for a terminal or a pipe."""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from runstore.cli.output import console, fitted, is_terminal, terminal_safe
from runstore.cli.plots import ticks
from runstore.cli.plots.canvas import Canvas
from runstore.cli.plots.panels import Line, Panel, Plot, x_label
from runstore.model.display.limits import exits, pieces_within
from runstore.value_classes import dataclass

PIPE_COLUMNS = 80
PANEL_LINES = 16
NARROWEST, LOWEST = 20, 6
# Two dots per column; a stretch of one dot has two extremes, and neighbours share the rounding.
POINTS_PER_COLUMN = 8
# From the palette of the terminal, which is readable for its user.
_COLOURS = (6, 1, 2, 5, 4, 3)
# Signs in every encoding and font, one column wide.
_SIGNS = "ox+*#@%&"
_OUTSIDE = {1: "^", -1: "v"}  # at an edge of the axis that a line leaves
_SIGN_EVERY = 12  # columns
_FEW_POINTS = 12  # at most so many points have a sign each
_FRAME = 2
_AXIS_LINES = 2  # the ticks and their labels
_GAP = "  "
_ASCII = str.maketrans("┌┐└┘┬┴├┤┼─│…", "+++++++++-|~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """The properties of the output.

    Attributes:
        width: Columns.
        height: Lines of each panel with its axes, without its name and its legend.
        has_colours: Whether colours may be used.
        is_ascii: Whether only ASCII can be shown.
    """

    width: int
    height: int
    has_colours: bool
    is_ascii: bool


def paper(width: int | None, height: int | None) -> Paper:
    """Return the properties of stdout; a pipe gets 80 columns of plain text."""
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
    """Return the lines of a plot: the run, each panel with its legend, and remarks."""
    has_signs = len(plot.lines) > 1
    lines = [_cut(plot.title, on.width)] if len(plot.lines) == 1 else []
    for panel in plot.panels:
        lines += [""] if lines else []
        lines.append(_styled(_cut(_heading(panel, plot), on.width), "1", on))
        if any(len(line.raw) for line in panel.lines):
            lines += _drawn(panel, plot, on, has_signs=has_signs)
        else:
            lines.append("no points yet" if not _count(panel) else "no point that can be drawn")
        lines += _legend(panel, on) if has_signs else [_summary(panel.lines[0], on.width)]
    for remark in plot.remarks:
        lines += wrap(terminal_safe(remark), on.width)
    return [line.translate(_ASCII) for line in lines] if on.is_ascii else lines


def _heading(panel: Panel, plot: Plot) -> str:
    about = ["log"] if plot.view.is_log else []
    about += [f"smoothed {plot.view.smoothing:g}"] if plot.view.smoothing else []
    return panel.key + (f" ({', '.join(about)})" if about else "")


def _count(panel: Panel) -> int:
    return sum(line.summary.count for line in panel.lines)


def _drawn(panel: Panel, plot: Plot, on: Paper, *, has_signs: bool) -> list[str]:
    """Return the lines of the box and its axes."""
    name, unit = x_label(plot)
    curves = [_curve(line, plot, unit) for line in panel.lines]
    x_range = ticks.spread(*_ends(x for xs, _ in curves for x in xs))
    limits = panel.limits or _ends(y for _, ys in curves for y in ys)
    y_range = ticks.spread(*limits)
    y_ticks = (ticks.logarithmic if plot.view.is_log else ticks.linear)(
        *y_range, max(3, on.height // 4)
    )
    room = max((len(text) for _, text in y_ticks), default=0)
    width = on.width - _FRAME - room
    canvas = Canvas(
        width, on.height - _FRAME - _AXIS_LINES, x_range, y_range, is_ascii=on.is_ascii
    )
    for line, (xs, ys) in zip(panel.lines, curves, strict=True):
        colour = _COLOURS[line.place % len(_COLOURS)]
        for piece in pieces_within(xs, ys, limits):
            canvas.line([x for x, _ in piece], [y for _, y in piece], colour)
        sign = _SIGNS[line.place % len(_SIGNS)] if has_signs else _SIGNS[0]
        for at in _signed(xs, line.place if has_signs else None, x_range, width):
            side = (ys[at] > limits[1]) - (ys[at] < limits[0])
            canvas.sign(xs[at], ys[at], _OUTSIDE.get(side, sign), colour)
        for x, side in exits(xs, ys, limits):
            canvas.sign(x, limits[side > 0], _OUTSIDE[side], colour)
    of_time = plot.view.x == "time"
    x_ticks = (ticks.moments if of_time else ticks.linear)(*x_range, max(2, width // 14))
    beside = {canvas.cell(x_range[0], at)[1]: text for at, text in y_ticks}
    below = {canvas.cell(at, y_range[0])[0]: text for at, text in x_ticks}
    return [
        f"{'':{room}}┌{'─' * canvas.width}┐",
        *(
            f"{beside.get(at, ''):>{room}}{'┤' if at in beside else '│'}{_joined(parts, on)}│"
            for at, parts in enumerate(canvas.rows())
        ),
        f"{'':{room}}└{''.join('┬' if at in below else '─' for at in range(canvas.width))}┘",
        _spaced(below, room + 1, on.width),
        f"{'':{room + 1}}{name:^{canvas.width}}".rstrip(),
    ]


def _joined(parts: Sequence[tuple[str, int | None]], on: Paper) -> str:
    return "".join(
        text if colour is None else _styled(text, f"38;5;{colour}", on) for text, colour in parts
    )


def _spaced(texts: Mapping[int, str], indent: int, width: int) -> str:
    """Return texts centered on their columns; a text that would touch another is left out."""
    line = ""
    for column, text in sorted(texts.items()):
        start = min(indent + column - len(text) // 2, width - len(text))
        if not line or start > len(line):
            line = f"{line:{max(0, start)}}{text}"
    return line


def _curve(line: Line, plot: Plot, unit: float) -> tuple[list[float], list[float]]:
    points = line.shown
    xs = [x / unit for x in line.xs(points, plot.view.x)]
    return xs, [math.log10(y) if plot.view.is_log else y for y in points.values]


def _ends(numbers: Iterator[float]) -> tuple[float, float]:
    every = list(numbers)
    return min(every), max(every)


def _signed(
    xs: Sequence[float], place: int | None, x_range: tuple[float, float], width: int
) -> list[int]:
    """Return the points with a sign: all if there are few, or one at regular columns.

    Args:
        xs: In order.
        place: Of the line among others, whose signs are beside these; None for a single line.
        x_range: Of the panel.
        width: Of the panel, in columns.
    """
    if len(xs) <= _FEW_POINTS:
        return list(range(len(xs)))
    if place is None:
        return []
    low, high = x_range
    column = (high - low) / max(1, width)
    wanted = [low + at * column for at in range((place * 5) % _SIGN_EVERY, width, _SIGN_EVERY)]
    inside = [x for x in wanted if xs[0] <= x <= xs[-1]] or [xs[-1]]
    return sorted({min(bisect.bisect_left(xs, x), len(xs) - 1) for x in inside})


def _legend(panel: Panel, on: Paper) -> list[str]:
    """Return the sign, name and last value of each line, side by side if they fit."""
    from rich.cells import cell_len

    rows: list[str] = []
    room = 0
    for line in panel.lines:
        sign = _SIGNS[line.place % len(_SIGNS)]
        # A long name is cropped before the value.
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


def _summary(line: Line, width: int) -> str:
    one = line.summary
    count = "1 point" if one.count == 1 else f"{one.count:,} points"
    numbers = f"last {one.last:.4g}  min {one.min:.4g}  max {one.max:.4g}"
    whole = f"{numbers}  {count}"
    return whole if len(whole) <= width else _cut(numbers, width)


def _cut(text: str, width: int) -> str:
    return fitted(terminal_safe(text).replace("\t", " "), width)


def _styled(text: str, code: str, on: Paper) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if on.has_colours else text
