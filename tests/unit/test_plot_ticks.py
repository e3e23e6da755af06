"""Ticks of a plot exist for any range of doubles."""

import math
import sys

from hypothesis import example, given
from hypothesis import strategies as st

from runstore.cli.plots import ticks

finite = st.floats(-1e300, 1e300) | st.floats(-1e-300, 1e-300)


@given(ends=st.tuples(finite, finite).map(sorted), count=st.integers(1, 20))
@example(ends=[1e-323, 1.5e-323], count=4)
@example(ends=[-5e-324, 5e-324], count=4)
@example(ends=[0.0, 5e-324], count=4)
def test_any_range_has_ticks_in_order(ends, count):
    low, high = ticks.spread(*ends)

    places = [at for at, _ in ticks.linear(low, high, count)]

    assert low <= ends[0] <= ends[1] <= high
    assert places == sorted(places)
    assert all(map(math.isfinite, places))


@given(
    ends=st.tuples(st.floats(5e-324, 1e300), st.floats(5e-324, 1e300)).map(sorted),
    count=st.integers(1, 20),
)
@example(ends=[5e-324, 1e-323], count=4)
@example(ends=[sys.float_info.min, sys.float_info.min], count=4)
def test_any_range_has_logarithmic_ticks(ends, count):
    low, high = ticks.spread(*map(math.log10, ends))

    found = ticks.logarithmic(low, high, count)

    assert all(math.isfinite(at) for at, _ in found)
    assert all(float(text.partition("e")[0]) > 0 for _, text in found)
