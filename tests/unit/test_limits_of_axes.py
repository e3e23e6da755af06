"""The limits of an axis, and lines that leave them."""

import pytest

from runstore.model.display.limits import exits, pieces_within, robust_limits

GOOD = (0.3, 2.3)


@pytest.mark.parametrize(
    ("extents", "limits"),
    [
        ([], None),
        ([(0.3, 1e12)], None),
        ([GOOD, GOOD, (0.4, 20.0)], None),
        ([GOOD, GOOD, (0.4, 1e12)], (0.3, 2.3)),
        ([(1e12, 1e12), GOOD, (0.1, 2.0)], (0.1, 2.3)),
        ([(-1e6, -20.0), (-200.0, -20.0), (-180.0, 30.0)], (-200.0, 30.0)),
        # Ends of a line that are near are shown: it fell before it diverged.
        ([GOOD, GOOD, (-0.5, 1e12)], (-0.5, 2.3)),
        ([GOOD, GOOD, (-3.0, 1e12)], (0.3, 2.3)),
        # Of a half or less, only lines that nobody would see beside the others are cut.
        ([GOOD, (0.4, 60.0)], None),
        ([GOOD, (0.4, 1e6)], GOOD),
        ([GOOD, (0.3, 1e9), (0.3, 1e12)], GOOD),
        # A part of the axis, not only a large number, has to be saved.
        ([(-5.0, 5.0), (-5.0, 5.0), (0.0, 90.0)], None),
        ([(0.0, 0.0), (0.0, 0.0), (0.0, 100.0)], None),
        ([(1e-13, 1e-12), (1e-13, 1e-12), (0.1, 0.5)], None),
        ([(1e-13, 1e-12), (1e-3, 0.5), (0.3, 1e9)], (1e-13, 0.5)),
        ([(1000.1, 1000.3), (1000.2, 1000.3), (1000.1, 50_000.0)], (1000.1, 1000.3)),
        ([(0.0, 1e-300), (0.0, 1e-300), (-1e308, 1e308)], (0.0, 1e-300)),
    ],
)
def test_an_axis_is_drawn_over_most_lines(extents, limits):
    assert robust_limits(extents) == limits


def test_a_line_is_cut_at_the_limits():
    xs, ys = [0, 1, 2, 3, 4], [1.0, 3.0, 3.0, -1.0, 1.0]

    pieces = list(pieces_within(xs, ys, (0.0, 2.0)))

    assert pieces == [[(0, 1.0), (0.5, 2.0)], [(2.25, 2.0), (2.75, 0.0)], [(3.5, 0.0), (4, 1.0)]]
    assert list(exits(xs, ys, (0.0, 2.0))) == [(0.5, 1), (2.75, -1)]


def test_a_line_outside_of_the_limits_leaves_them_at_its_first_point():
    assert list(pieces_within([5, 6], [9.0, 8.0], (0.0, 2.0))) == []
    assert list(exits([5, 6], [9.0, 8.0], (0.0, 2.0))) == [(5, 1)]


def test_the_largest_numbers_are_cut_as_well():
    pieces = list(pieces_within([0, 1], [-1e308, 1e308], (-1.0, 1.0)))

    assert pieces == [[(0.5, -1.0), (0.5, 1.0)]]
