"""Series as lines of small bars."""

import pytest

from runstore.cli.sparkline import sparkline


@pytest.mark.parametrize("value", [0.1, 1.0, 1e308])
def test_a_constant_series_is_level(value):
    """The mean of equal numbers, rounded, may be another number."""
    assert sparkline([value] * 600, 7) == "▄" * 7
