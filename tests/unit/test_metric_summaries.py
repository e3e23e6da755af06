"""Summaries of series: those of parts, one after the other, are that of the whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.storage.metrics.table import summed

numbers = st.integers(-1000, 1000).map(float) | st.just(math.nan)
parts = st.lists(st.lists(numbers, min_size=1, max_size=5), min_size=1, max_size=4)


@given(parts)
def test_a_summary_grows_with_its_series(columns):
    total = None
    for values in columns:
        total = summed(values, total)

    whole = [value for values in columns for value in values]
    known = [value for value in whole if not math.isnan(value)]
    assert total == summed(whole)
    assert total.points == len(whole)
    assert total.nan_count == len(whole) - len(known)
    assert (total.min, total.max) == (min(known, default=None), max(known, default=None))
    assert (total.first, total.last) == (shown(whole[0]), shown(whole[-1]))
    assert total.total == sum(known)


def shown(value):
    return None if math.isnan(value) else value


@pytest.mark.parametrize(
    ("before", "after"), [([5.0, -5.0], [1.0]), ([1.0], [5.0, -5.0]), ([math.nan], [1.0])]
)
def test_extremes_of_either_part_are_those_of_both(before, after):
    total = summed(after, summed(before))

    known = [one for one in before + after if not math.isnan(one)]
    assert (total.min, total.max) == (min(known), max(known))
