"""The grid of characters that terminal plots are drawn on."""

import math

from hypothesis import given
from hypothesis import strategies as st

from runstore.cli.plots.canvas import Canvas

numbers = st.floats(-1e308, 1e308)


def drawn(canvas):
    return ["".join(text for text, _ in row) for row in canvas.rows()]


def test_a_diagonal_goes_from_corner_to_corner():
    canvas = Canvas(4, 2, (0, 1), (0, 1), is_ascii=False)

    canvas.line([0, 1], [0, 1], 1)

    assert drawn(canvas) == ["  ⡠⠊", "⡠⠊  "]


def test_without_utf8_there_are_dots():
    canvas = Canvas(3, 3, (0, 2), (0, 2), is_ascii=True)

    canvas.line([0, 1, 2], [0, 2, 0], 1)

    assert drawn(canvas) == [" . ", ".. ", ". ."]


def test_a_vertical_line_has_no_gap():
    """A spike of one point is seen, however high it is."""
    canvas = Canvas(9, 5, (0, 8), (0, 1000), is_ascii=False)

    canvas.line([0, 4, 4, 4, 8], [0, 0, 1000, 0, 0], 1)

    assert all(row[4] != " " for row in drawn(canvas))


def test_a_single_point_is_seen():
    canvas = Canvas(5, 3, (0, 1), (0, 1), is_ascii=False)

    canvas.line([0.5], [0.5], 2)

    assert sum(one != " " for row in drawn(canvas) for one in row) == 1
    assert [colour for row in canvas.rows() for text, colour in row if text.strip()] == [2]


def test_a_sign_is_on_its_line():
    canvas = Canvas(40, 10, (0, 39), (-1, 1), is_ascii=False)
    xs = list(range(40))
    ys = [math.sin(x / 5) for x in xs]
    canvas.line(xs, ys, 1)
    before = drawn(canvas)

    for x, y in zip(xs[::7], ys[::7], strict=True):
        canvas.sign(x, y, "o", 1)

    after = drawn(canvas)
    cells = [(row, at) for row in range(10) for at in range(40)]
    places = [(row, at) for row, at in cells if after[row][at] == "o"]
    assert len(places) == 6
    assert all(before[row][at] != " " for row, at in places)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20), st.booleans())
def test_all_points_are_drawn_within_the_grid(points, is_ascii):
    xs, ys = sorted(x for x, _ in points), [y for _, y in points]
    if min(xs) == max(xs) or min(ys) == max(ys):
        return
    canvas = Canvas(12, 4, (min(xs), max(xs)), (min(ys), max(ys)), is_ascii=is_ascii)

    canvas.line(xs, ys, 3)

    rows = drawn(canvas)
    assert [len(row) for row in rows] == [12] * 4
    for x, y in zip(xs, ys, strict=True):
        column, line = canvas.cell(x, y)
        assert rows[line][column] != " "
