"""Student's distribution, against tables, exact values and SciPy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.repeats.student import t_below, t_quantile

FREEDOMS = (1, 1.3, 2, 2.7, 3, 4, 5, 7.25, 10, 30, 100.5, 1e3, 1e4, 1e6, 1e9)


@pytest.mark.parametrize(
    ("freedom", "level", "expected"),
    [
        (1, 0.95, 12.7062), (2, 0.95, 4.3027), (3, 0.95, 3.1824), (4, 0.99, 4.6041),
        (5, 0.5, 0.7267), (10, 0.95, 2.2281), (30, 0.999, 3.6460), (120, 0.95, 1.9799),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_tables(freedom, level, expected):
    assert t_quantile(freedom, (1 + level) / 2) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("t", [0.0, 1e-8, 0.01, 0.5, 1.0, 3.0, 30.0, 1e4, 1e8, 1e150])
def test_one_and_two_degrees_of_freedom_have_closed_forms(t):
    """Tails keep their relative accuracy, however improbable they are."""
    cauchy = math.atan2(1, t) / math.pi
    root = math.sqrt(2 + t * t)
    of_two = 1 / (root * (root + t))

    assert t_below(1, -t) == pytest.approx(cauchy, rel=1e-12)
    assert t_below(2, -t) == pytest.approx(of_two, rel=1e-12)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantiles_are_those_of_scipy(freedom):
    special = pytest.importorskip("scipy.special")

    for tail in (0.49, 0.4, 0.25, 0.1, 0.025, 0.005, 5e-4, 1e-6, 1e-9, 1e-15):
        expected = float(special.stdtrit(freedom, tail))
        assert math.isclose(t_quantile(freedom, tail), expected, rel_tol=1e-10)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_probabilities_are_those_of_scipy(freedom):
    """SciPy itself is less accurate near the median, which other tests cover."""
    special = pytest.importorskip("scipy.special")

    for t in (0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 30.0, 100.0, 1e4):
        expected = float(special.stdtr(freedom, -t))
        if expected > 1e-290:  # smaller floats have fewer digits
            assert math.isclose(t_below(freedom, -t), expected, rel_tol=1e-10)
        assert math.isclose(t_below(freedom, t), 1 - expected, rel_tol=1e-10)


@given(freedom=st.floats(1, 1e9), share=st.floats(1e-12, 1 - 1e-12))
def test_a_quantile_has_its_share_below(freedom, share):
    assert t_below(freedom, t_quantile(freedom, share)) == pytest.approx(share, rel=1e-10)


def test_infinities_are_certain():
    assert (t_below(3, -math.inf), t_below(3, math.inf)) == (0.0, 1.0)
    assert t_quantile(3, 0.5) == 0
