"""Quantiles of Student's distribution, against tables and against SciPy."""

import math

import pytest

from runstore.repeats.student import student_quantile


@pytest.mark.parametrize(
    ("freedom", "level", "expected"),
    [
        (1, 0.95, 12.7062), (2, 0.95, 4.3027), (3, 0.95, 3.1824), (4, 0.99, 4.6041),
        (5, 0.5, 0.7267), (10, 0.95, 2.2281), (30, 0.999, 3.6460), (120, 0.95, 1.9799),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_tables(freedom, level, expected):
    assert student_quantile(freedom, level) == pytest.approx(expected, abs=5e-5)


def test_quantiles_are_those_of_scipy():
    special = pytest.importorskip("scipy.special")

    for freedom in [*range(1, 60), 500, 5000]:
        for level in (0.5, 0.9, 0.95, 0.999):
            expected = float(special.stdtrit(freedom, (1 + level) / 2))
            assert math.isclose(student_quantile(freedom, level), expected, rel_tol=1e-9)
