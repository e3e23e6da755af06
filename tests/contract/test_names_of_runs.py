"""Which runs answer to a name, and what the errors say if none or several do."""

from datetime import timedelta

import pytest

from runstore import Store
from runstore.config import author_named
from runstore.errors import (
    AmbiguousReferenceError,
    NotFoundError,
    RunNotFoundError,
    UsageError,
)
from runstore.model.display.short_names import short_names
from runstore.reading import names


@pytest.fixture
def runs(store):
    for experiment in ("mnist", "mnist", "mnist_2"):
        store.start(experiment, capture=False).finish()
    return store.list()[::-1]  # the oldest first


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("latest", 2),
        ("mnist#2", 1),
        ("mnist#-1", 1),
        ("mnist_1", 0),
        ("mnist_2", 1),  # as a number, before the experiment of that name
        ("mnist_2_1", 2),
    ],
)
def test_a_run_answers_to_each_kind_of_name(store, runs, name, place):
    assert names.run_named(store.backend, name).uid == runs[place].uid


def test_a_run_answers_to_its_reference_its_uid_and_itself(store, runs):
    for run in runs:
        for name in (run.reference, run.uid, run):
            assert names.run_named(store.backend, name).uid == run.uid


def test_a_prefix_names_a_run_if_no_other_has_it(store, runs):
    assert names.run_named(store.backend, runs[0].reference[:-2]).uid == runs[0].uid
    with pytest.raises(AmbiguousReferenceError) as said:
        names.run_named(store.backend, "mni")

    assert sorted(said.value.candidates) == sorted(run.reference for run in runs)
    assert "may mean several runs" in str(said.value)


def test_the_name_of_an_experiment_gets_a_hint_about_its_newest_run(store, runs):
    store.start("mnist_2", capture=False).finish()

    with pytest.raises(AmbiguousReferenceError) as said:
        names.run_named(store.backend, "mnist")

    assert said.value.hint == "For the newest run of 'mnist', use mnist#-1."


def test_runs_with_one_reference_are_told_apart_by_uid(store, runs):
    with store.backend.database.driver.write() as connection:
        connection.execute("UPDATE runs SET reference = 'mnist_1_x' WHERE id IN (1, 2)")

    with pytest.raises(AmbiguousReferenceError) as said:
        names.run_named(store.backend, "mnist_1_x")

    assert all(run.uid in str(said.value) for run in runs[:2])


def test_of_many_runs_some_are_listed(store):
    for _ in range(12):
        store.start("many", capture=False).finish()

    with pytest.raises(AmbiguousReferenceError, match="…") as said:
        names.run_named(store.backend, "many_")

    assert str(said.value).count("many_") == 11  # the name, and ten runs


@pytest.mark.parametrize("name", ["mnist#9", "nothing", "mnist_2_9", "00000000-0000"])
def test_a_name_that_no_run_has_is_in_the_error(store, runs, name):
    with pytest.raises(RunNotFoundError, match=name):
        names.run_named(store.backend, name)


@pytest.mark.parametrize("name", ["mnist#2~{wrong}", "mnist_2~{wrong}", "mnist#2~", "mnist#2~zz!"])
def test_a_wrong_ending_is_answered_with_the_right_one(store, runs, name):
    run = store.get("mnist#2")
    wrong = f"{int(run.uid[-4:], 16) ^ 1:04x}"

    with pytest.raises(RunNotFoundError) as raised:
        store.get(name.format(wrong=wrong))

    assert raised.value.hint == f"The uid of mnist#2 ends with {run.uid[-4:]!r}."


def test_a_wrong_ending_is_answered_with_those_of_all_runs_of_the_number(store, runs, tmp_path):
    with Store.open(tmp_path / "other") as other:
        other.start("mnist", capture=False).finish()
        store.pull(other.path)
    named = [one for one in short_names(store.list("mnist").items) if one.startswith("mnist#1~")]

    with pytest.raises(RunNotFoundError) as raised:
        store.get("mnist#1~0")

    first, second = named
    assert raised.value.hint in {
        f"Did you mean one of {first}, {second}?",
        f"Did you mean one of {second}, {first}?",
    }


def test_an_ending_of_an_unknown_number_is_answered_with_the_newest_run(store, runs):
    with pytest.raises(RunNotFoundError) as raised:
        store.get("mnist#9~b456")

    assert raised.value.hint == "The newest run of 'mnist' is mnist#2."


def test_in_an_empty_store_no_run_is_the_latest(store):
    with pytest.raises(RunNotFoundError, match="latest"):
        names.run_named(store.backend, "latest")


def test_what_became_of_a_deleted_run_is_told(store, runs):
    store.delete(runs[0])
    with pytest.raises(RunNotFoundError, match="runstore restore"):
        names.run_named(store.backend, runs[0].reference)
    assert names.record_of(store.backend, runs[0].uid).uid == runs[0].uid

    store.collect_garbage(older_than=timedelta(0))
    with pytest.raises(RunNotFoundError, match="only its name is kept"):
        names.run_named(store.backend, runs[0].reference)
    with pytest.raises(RunNotFoundError):
        names.record_of(store.backend, runs[0].uid)


@pytest.mark.parametrize("wanted", [7, None, b"mnist_1", object()])
def test_what_is_no_name_is_refused(wanted):
    with pytest.raises(UsageError, match="Expected a run or its name"):
        names.run_name(wanted)
    with pytest.raises(UsageError, match="Expected a run or its name"):
        names.each_of(wanted)


def test_one_run_or_several_are_each_taken_once(store, runs):
    backend = store.backend

    assert names.each_of("mnist_1") == ("mnist_1",)
    assert names.each_of(runs[0]) == (runs[0],)
    assert names.each_of(iter(["a", "b"])) == ("a", "b")
    found = names.runs_of(backend, [runs[0], "mnist_1", "mnist_2_1"])
    assert [run.uid for run in found] == [runs[0].uid, runs[2].uid]


def test_an_unknown_experiment_is_answered_with_the_nearest(store, runs):
    names.check_experiment(store.backend.database, "mnist", store.path)
    with pytest.raises(NotFoundError, match="mnist"):
        names.check_experiment(store.backend.database, "mnits", store.path)


def test_an_author_is_the_one_named_or_the_user(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")

    assert author_named("bob") == "bob"
    assert author_named(None) == "ada"
    with pytest.raises(UsageError):
        author_named(7)
