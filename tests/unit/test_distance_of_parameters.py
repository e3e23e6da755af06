"""How far apart the parameters of two runs are: the values that differ are counted."""

import pytest

from runstore.analysis.reruns.distance import FAR, Distance
from runstore.model.params.build import parameter_sets
from runstore.model.params.flatten import LIST_LIMIT

UNKNOWN = parameter_sets({"lr": 1})[0]._replace(tree=None, hash="0" * 32)


def distance(ours, theirs):
    return Distance(parameter_sets(ours)).to(parameter_sets(theirs))


def named(**sets):
    """Return sets whose names are not among their values."""
    return [parameter_sets(values)[0]._replace(name=name) for name, values in sets.items()]


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        ({"lr": 1, "seed": 7}, {"seed": 7, "lr": 1}, 0),
        ({"lr": 1, "seed": 7}, {"lr": 2, "seed": 7}, 1),
        ({"lr": 1, "seed": 7}, {"lr": 2, "seed": 8}, 2),
        ({"lr": 1}, {"lr": 1.0}, 1),
        ({"lr": 1}, {"lr": True}, 1),
        ({"lr": 1}, {"lr": 1, "new": 3}, 1),
        ({"lr": 1, "a": 1, "b": 2}, {"lr": 1}, 2),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, 1),
        ({"a": {"b": 1, "c": 2}}, {"a": 5}, 2),
        ({"a": {"b": 1, "c": 2}}, {}, 2),
        ({"a": {}}, {}, 1),
        ({"a": {}, "b": 1}, {"b": 2}, 2),
        ({"a": [], "b": 1}, {"b": 2}, 2),
        ({"layers": [1, 2, 3]}, {"layers": [1, 9, 3]}, 1),
        ({"layers": [1, 2]}, {"layers": [1, 2, 3, 4]}, 2),
        ({"layers": [1, 2]}, {"layers": [2, 1]}, 2),
        ({"layers": [1, 2, 3]}, {"layers": "none"}, 3),
        ({"x": None}, {"x": 0}, 1),
    ],
)
def test_each_value_that_differs_counts_once_in_either_direction(ours, theirs, apart):
    assert distance(ours, theirs) == apart
    assert distance(theirs, ours) == apart


def test_long_lists_are_one_value():
    ours, theirs = [0] * (LIST_LIMIT + 1), [1] * (LIST_LIMIT + 1)

    assert distance({"x": ours}, {"x": theirs}) == 1
    assert distance({"x": ours}, {"x": list(ours), "y": 1}) == 1
    assert distance({"x": ours}, {}) == 1
    assert distance({"x": [0] * LIST_LIMIT}, {"x": [1] * LIST_LIMIT}) == LIST_LIMIT


def test_two_single_sets_are_compared_whatever_they_are_called():
    small = Distance(named(small={"lr": 1, "seed": 2}))

    assert small.to(named(large={"lr": 1, "seed": 3})) == 1 + 1
    assert small.to(named(large={"lr": 1, "seed": 2})) == 1


def test_of_several_sets_those_of_one_name_are_compared():
    ours = Distance(named(a={"lr": 1}, b={"lr": 1}))

    assert ours.to(named(b={"lr": 1}, a={"lr": 1})) == 0
    assert ours.to(named(b={"lr": 2}, a={"lr": 1})) == 1
    # A set that only one of them has counts with all of its values.
    assert ours.to(named(a={"lr": 1})) == 1
    assert ours.to(named(a={"lr": 1}, c={"lr": 1, "seed": 1})) == 1 + 2


def test_a_set_of_unknown_values_is_far_from_everything_but_itself():
    known = parameter_sets({"lr": 1})

    assert Distance([UNKNOWN]).to([UNKNOWN]) == 0
    assert Distance([UNKNOWN]).to(known) == Distance(known).to([UNKNOWN]) == FAR
    assert Distance(known).to([]) == 1
    assert Distance([UNKNOWN]).to([]) == FAR


def test_what_has_another_hash_differs_in_something():
    one = parameter_sets({"lr": 1})[0]

    assert Distance([one]).to([one._replace(hash="f" * 32)]) == 1
