"""Columns of points: what is a column, and what is not looked at."""

import pytest

from runstore.errors import InvalidValueError
from runstore.model.logged.values import column_of


class Watched(list):
    """A list that notes when somebody wants to see it."""

    shown = 0

    def __repr__(self):
        self.shown += 1
        return super().__repr__()


def test_a_column_is_not_written_down_for_an_error_that_does_not_come():
    values = Watched([0.5] * 10)

    assert column_of(values, "the values of 'loss'") == [0.5] * 10
    assert values.shown == 0


@pytest.mark.parametrize("values", [None, "text", b"bytes", {"a": 1}, 5, object()])
def test_what_is_no_column_is_refused_by_name(values):
    with pytest.raises(InvalidValueError, match="a list or an array for the steps"):
        column_of(values, "the steps of 'loss'")
