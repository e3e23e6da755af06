"""Which runs repeat one another: equal but for a seed, complete, each seed once."""

from datetime import datetime, timedelta, timezone
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.params.build import parameter_set, parameter_sets
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.repeats.grouping import DEFAULT_OVER, group_repeats

BEGIN = datetime(2026, 11, 23, tzinfo=timezone.utc)
numbers = count(1)


def run(params=None, experiment="fit", **more):
    """Return a run that began after all those before."""
    number = next(numbers)
    sets = () if params is None else tuple(parameter_sets(params))
    return Run(
        **{
            "uid": f"{number:032}",
            "experiment_name": experiment,
            "run_number": number,
            "reference": f"{experiment}_{number}",
            "timestamp": "",
            "status": Status.COMPLETE,
            "started_at": BEGIN + timedelta(seconds=number),
            "parameter_sets": sets,
            **more,
        }
    )


def labels(runs, **more):
    """Return the size of each group by its label."""
    return {one.label: len(one.members) for one in group_repeats(runs, **more).groups}


def test_runs_that_differ_in_a_seed_are_one_group():
    runs = [run({"lr": lr, "layers": 2, "seed": seed}) for lr in (0.1, 0.2) for seed in (1, 2, 3)]

    assert labels(runs) == {"lr=0.1": 3, "lr=0.2": 3}


@pytest.mark.parametrize("key", DEFAULT_OVER)
def test_what_is_called_like_a_seed_is_left_out_at_any_depth(key):
    runs = [run({"model": {"parts": [{"x": 1, key: seed}]}}) for seed in (1, 2)]

    found = group_repeats(runs)

    assert [len(one.members) for one in found.groups] == [2]
    assert found.found == (f"model.parts[0].{key}",)


def test_a_key_that_only_ends_like_a_seed_is_none():
    assert len(labels([run({"reseed": 1}), run({"reseed": 2})])) == 2


def test_keys_may_be_chosen():
    runs = [run({"fold": fold, "seed": 1, "lr": lr}) for fold in (1, 2) for lr in (1, 2)]

    assert labels(runs, over=("fold",)) == {"lr=1": 2, "lr=2": 2}


def test_a_dotted_key_is_that_one_alone():
    runs = [run({"a": {"x": one}, "b": {"x": two}}) for one in (1, 2) for two in (1, 2)]

    assert labels(runs, over=("a.x",)) == {"b.x=1": 2, "b.x=2": 2}


def test_all_below_a_key_is_left_out():
    runs = [run({"machine": {"name": name, "gpus": name}, "lr": 1}) for name in "ab"]

    assert [*labels(runs, over=("machine",)).values()] == [2]


def test_values_of_different_types_are_different():
    assert (
        len(labels([run({"lr": 1}), run({"lr": 1.0}), run({"lr": True}), run({"lr": "1"})])) == 4
    )


def test_long_lists_are_compared_whole():
    """One line shows only their beginning."""
    runs = [run({"x": [*range(2000), last]}) for last in (1, 2)]

    assert [*labels(runs).values()] == [1, 1]


def test_experiments_are_never_one_group():
    assert labels([run({"lr": 1}, "a"), run({"lr": 1}, "b"), run({"lr": 2}, "b")]) == {
        "a lr=1": 1,
        "b lr=1": 1,
        "b lr=2": 1,
    }


def test_code_is_kept_apart_only_when_asked():
    runs = [run({"lr": 1}, commit="a" * 40), run({"lr": 1}, commit="b" * 40), run({"lr": 1})]

    assert labels(runs) == {"fit": 3}
    assert labels(runs, by_code=True) == {"code=aaaaaaa": 1, "code=bbbbbbb": 1, "code=unknown": 1}


def test_changes_that_were_not_kept_are_other_code():
    commit = "a" * 40
    runs = [run({"lr": 1}, commit=commit, workdir_dirty=dirty) for dirty in (False, True, True)]

    found = group_repeats(runs, by_code=True)

    assert [one.changes for one in found.groups] == [None, "unknown"]
    assert [one.label for one in found.groups] == ["code=aaaaaaa", "code=aaaaaaa+unknown"]


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.COMPLETE])
def test_what_is_not_complete_does_not_count(status):
    found = group_repeats([run({"lr": 1}), run({"lr": 1}, status=status)])

    assert [len(one.members) for one in found.groups] == [1]
    assert [one.reason for one in found.left_out] == [f"not complete ({status.value})"]


def test_of_one_seed_the_newest_counts():
    """A second run of a seed is no second draw."""
    runs = [run({"seed": 1}), run({"seed": 2}), run({"seed": 1})]

    found = group_repeats(runs)

    assert found.groups[0].runs == (runs[1], runs[2])
    assert [(one.name, one.reason) for one in found.left_out] == [
        (runs[0].reference, "a newer run of the setting has the same seed")
    ]


@pytest.mark.parametrize("params", [{"lr": 1}, {"lr": 1, "seed": None}, None])
def test_without_seeds_every_run_counts(params):
    found = group_repeats([run(params), run(params), run(params)])

    assert [len(one.members) for one in found.groups] == [3]
    assert [one.repeat for one in found.groups[0].members] == [None] * 3


def test_each_set_of_a_run_is_a_member_of_its_own():
    sets = [parameter_set({"lr": 1, "seed": seed}, name=f"s{seed}") for seed in (1, 2)]
    one = run([*sets, parameter_set({"lr": 2, "seed": 1}, name="other")])

    found = group_repeats([one])

    assert [[member.set_name for member in group.members] for group in found.groups] == [
        ["s1", "s2"],
        ["other"],
    ]
    assert found.groups[0].members[0].name == f"{one.reference}/s1"
    assert found.groups[0].runs == (one,)


def test_a_name_among_the_values_keeps_sets_apart_until_it_is_left_out():
    """It may say which network this is."""
    one = run([{"name": f"s{seed}", "lr": 1, "seed": seed} for seed in (1, 2)])

    assert len(labels([one])) == 2
    assert [*labels([one], over=("seed", "name")).values()] == [2]


def test_sets_whose_values_are_unknown_are_grouped_by_hash():
    runs = [
        run(parameter_sets=(ParameterSet(name="x", hash=digest, tree=None),))
        for digest in ("a" * 32, "a" * 32, "b" * 32)
    ]

    assert sorted(labels(runs).values()) == [1, 2]


def test_labels_show_types_and_digits_if_values_look_alike():
    """Of equal numbers, only the type is shown; the text of other values is as short as ever."""
    typed = [1, 1.0, True, "1", None, "None", 0.1 + 0.2, 0.3, 2.0]

    found = labels([run({"lr": lr, "wd": 0.1}) for lr in typed])
    alone = labels([run({"lr": lr, "wd": 0.5, "steps": 2.0}) for lr in (1, 1.0)])
    nested = labels([run({"opt": {"wd": [lr, 1]}}) for lr in (3, 3.0)])
    tagged = labels([run({"lr": lr, "root": 1 + 0j, "all": {2.0}}) for lr in (1, 1.0)])
    plain = labels([run({"lr": lr}) for lr in (1.0, 2.0, None, "b")])
    whole = labels([run({"at": at}) for at in (1732924800123, 1732924800124.0, 2**53 - 1)])

    assert [*found] == [
        "lr=1", "lr=1.0", "lr=true", "lr='1'", "lr=None", "lr='None'",
        "lr=0.30000000000000004", "lr=0.3", "lr=2.0",
    ]  # fmt: skip
    assert [*alone] == [*tagged] == ["lr=1", "lr=1.0"]
    assert [*nested] == ["opt.wd[0]=3", "opt.wd[0]=3.0"]
    assert [*plain] == ["lr=1", "lr=2", "lr=None", "lr=b"]
    assert [*whole] == ["at=1732924800123", "at=1732924800124", "at=9007199254740991"]


def test_labels_are_short_and_no_two_are_the_same():
    runs = [run({f"key{place}": "x" * 100 + str(last) for place in range(9)}) for last in (1, 2)]

    first, second = labels(runs)

    assert len(first) <= 60
    assert second == f"{first}~2"


def test_a_group_that_lacks_what_others_have_says_so():
    assert labels([run({"x": 1}), run({"x": 1, "lr": 2})]) == {"without lr": 1, "lr=2": 1}


@given(st.permutations(range(6)))
def test_the_order_of_the_runs_does_not_matter(order):
    runs = [run({"lr": lr, "seed": seed}) for lr in (1, 2) for seed in (1, 2, 2)]

    assert group_repeats([runs[place] for place in order]) == group_repeats(runs)
