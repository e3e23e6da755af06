"""Parameters that a run gets after its start."""

import pytest

from runstore import Store, StoreWarning
from runstore.errors import ConflictError, InvalidValueError, UsageError
from runstore.storage.sqlite.paths import DATABASE


def begun(store, **options):
    return store.start("fit", capture=False, **options)


def test_they_are_parameters_like_others(store):
    run = begun(store, params={"lr": 0.1})
    run.add_params({"optimizer": {"name": "adam"}}, seed=7)
    run.finish()

    kept = store.get(run.uid)
    whole = begun(store, params={"lr": 0.1, "optimizer": {"name": "adam"}, "seed": 7})
    whole.finish()
    assert kept.params == {"lr": 0.1, "optimizer": {"name": "adam"}, "seed": 7}
    assert run.parameter_sets == kept.parameter_sets == whole.record.parameter_sets
    assert len(store.find("params.optimizer.name = 'adam' and params.seed = 7")) == 2
    events = [(one.field, one.new) for one in store.events(run.uid)]
    assert events == [("params", 'optimizer={"name":"adam"}'), ("params", "seed=7")]


def test_a_run_without_parameters_gets_a_set(store):
    run = begun(store)
    run.add_params(lr=0.1)

    assert [one.name for one in run.record.parameter_sets] == ["default"]
    assert run.record.params == {"lr": 0.1}
    run.finish()


def test_the_same_values_again_change_nothing(store):
    run = begun(store, params={"lr": 0.1, "inner": {"a": 1}})
    run.add_params({"lr": 0.1, "inner": {"a": 1}})

    assert store.events(run.uid) == ()
    run.add_params({"inner": {"b": 2}})
    assert run.record.params == {"lr": 0.1, "inner": {"a": 1, "b": 2}}
    run.finish()


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"lr": 0.2}, "lr"),
        ({"lr": "0.1"}, "lr"),
        ({"n": 1.0}, "n"),
        ({"inner": {"a": 2}}, "inner.a"),
        ({"inner": 3}, "inner"),
    ],
)
def test_another_value_is_a_conflict_and_nothing_is_changed(store, more, name):
    run = begun(store, params={"lr": 0.1, "n": 1, "inner": {"a": 1}})

    with pytest.raises(ConflictError, match=f"parameter {name} is"):
        run.add_params({"new": 1, **more})

    assert run.record.params == {"lr": 0.1, "n": 1, "inner": {"a": 1}}
    run.finish()


def test_parameters_of_a_run_are_those_of_another(store):
    run = begun(store, params={"inner": {"a": 1}})
    whole = begun(store, params=run.params)
    inner = begun(store, params={**run.params, "outer": run.params})
    run.params.update(copy=run.params["inner"])
    for one in (run, whole, inner):
        one.finish()

    assert run.record.params == {"inner": {"a": 1}, "copy": {"a": 1}}
    assert whole.record.params == {"inner": {"a": 1}}
    assert inner.record.params == {"inner": {"a": 1}, "outer": {"inner": {"a": 1}}}


def test_of_several_sets_one_is_named(store):
    run = begun(store, params=[{"name": "a", "x": 1}, {"name": "b", "x": 2}])

    run.add_params({"y": 3}, set_name="b")
    with pytest.raises(UsageError, match="several"):
        run.add_params(y=3)
    with pytest.raises(UsageError, match="no parameter set 'c'"):
        run.add_params(y=3, set_name="c")
    with pytest.raises(InvalidValueError):
        run.add_params({"rows": iter([])}, set_name="a")

    assert [one.values for one in run.record.parameter_sets] == [
        {"name": "a", "x": 1},
        {"name": "b", "x": 2, "y": 3},
    ]
    run.finish()


@pytest.mark.folder_only
def test_parameters_that_the_database_refuses_are_kept_aside(location, tmp_path):
    with Store.open(location) as store:
        run = begun(store, params={"lr": 0.1})
        (location / DATABASE).rename(location / "away")
        with pytest.warns(StoreWarning, match="Kept in"):
            run.add_params(seed=7)
        assert run.parameter_sets[0].values == {"lr": 0.1, "seed": 7}
        (location / "away").rename(location / DATABASE)
        run.finish()

    with Store.open(location) as again:
        assert again.get("fit#1").params == {"lr": 0.1, "seed": 7}


@pytest.mark.parametrize("logs", [True, False])
def test_a_mapping_that_was_empty_at_the_start_is_read_later(store, logs):
    """A framework hands its dictionary over before anything is in it."""
    params = {}
    run = begun(store, params=params)
    params["lr"] = 0.1
    if logs:
        run.log(loss=1.0)
        assert run.record.params == {"lr": 0.1}
    params["seed"] = 7
    run.finish()

    assert run.record.params == {"lr": 0.1, "seed": 7}


def test_a_mapping_that_was_not_empty_is_as_it_was_at_the_start(store):
    params = {"lr": 0.1}
    run = begun(store, params=params)
    params["lr"] = 0.2
    params["seed"] = 7
    run.finish()

    assert run.record.params == {"lr": 0.1}
