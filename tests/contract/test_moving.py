"""Moving runs between experiments, and renaming experiments: names keep finding their runs."""

import pytest

from places import ended
from runstore.errors import ConflictError, NotFoundError
from runstore.storage import moves


def names(store):
    return sorted(f"{run.experiment_name}#{run.run_number}" for run in store.list())


def test_a_renamed_experiment_keeps_its_numbers(store):
    runs = [ended(store) for _ in range(3)]

    assert store.rename_experiment("fit", "train") == 3

    assert names(store) == ["train#1", "train#2", "train#3"]
    for name in (runs[1].reference, "fit#2", "fit_2", "train#2", runs[1].uid):
        assert store.get(name).uid == runs[1].uid
    assert [one.name for one in store.experiments()] == ["train"]


def test_numbers_of_the_old_name_are_not_used_again(store):
    ended(store)
    store.rename_experiment("fit", "train")

    assert ended(store).run_number == 2
    assert ended(store, experiment="train").run_number == 2


def test_deleted_runs_get_the_new_name_too(store):
    run = ended(store)
    ended(store)
    store.delete(run)

    store.rename_experiment("fit", "train")
    (back,) = store.restore("fit#1")

    assert (back.experiment_name, back.run_number) == ("train", 1)


def test_a_rename_is_taken_back_at_once(store):
    runs = [ended(store) for _ in range(2)]
    store.rename_experiment("fit", "train")

    store.undo()

    assert [store.get(run.uid).reference for run in runs] == [run.reference for run in runs]
    assert [one.name for one in store.experiments()] == ["fit"]
    store.rename_experiment("fit", "train")
    assert names(store) == ["train#1", "train#2"]


def test_the_name_of_another_experiment_is_refused_unless_they_are_merged(store):
    for _ in range(3):
        ended(store, experiment="train")
    old = ended(store)

    with pytest.raises(ConflictError, match=r"already.*Nothing was moved"):
        store.rename_experiment("fit", "train")
    store.rename_experiment("fit", "train", merge=True)

    assert names(store) == ["train#1", "train#2", "train#3", "train#4"]
    assert store.get(old.reference).run_number == 4


def test_an_unknown_experiment_tells_the_nearest(store):
    ended(store, experiment="mnist")

    with pytest.raises(NotFoundError, match="Did you mean 'mnist'"):
        store.rename_experiment("minst", "x")


def test_runs_move_together_and_come_back_with_their_numbers(store):
    runs = [ended(store) for _ in range(3)]

    moved = store.move(runs[:2], "pilots")
    assert [(run.experiment_name, run.run_number) for run in moved] == [
        ("pilots", 1),
        ("pilots", 2),
    ]
    store.move([moved[1]], "fit")

    assert names(store) == ["fit#2", "fit#3", "pilots#1"]
    store.undo()
    store.undo()
    assert names(store) == ["fit#1", "fit#2", "fit#3"]


def test_a_run_that_goes_on_can_be_moved(store):
    run = store.start("fit", capture=False)

    store.move(run.uid, "pilots")
    run.log(loss=1.0)
    run.finish()

    assert store.get(run.reference).status.value == "complete"
    assert store.get("pilots#1").metric("loss").values[0] == 1.0


def test_an_underscore_in_a_name_misleads_nobody(store):
    run = ended(store, experiment="fit_2")
    other = ended(store, experiment="fit")

    store.move(run, "fit")

    assert store.get("fit_2#1").uid == run.uid
    assert store.get("fit#1").uid == other.uid


def test_a_reference_of_another_kind_comes_back_too(store):
    """Files of other tools may hold references that are not made of name, number and time."""
    run = ended(store)
    with store.backend.database.driver.write() as connection:
        connection.execute("UPDATE runs SET reference = 'whatever it was'")

    store.move(run.uid, "pilots")
    store.undo()

    assert store.get("fit#1").reference == "whatever it was"


@pytest.mark.parametrize(
    ("reference", "number"),
    [
        ("fit_7_2026-11-23-T101500", 7),
        ("fit_x_2026-11-23-T101500", None),
        ("fit_\u0667_2026-11-23-T101500", None),
        ("fit__2026-11-23-T101500", None),
        ("pilots_7_2026-11-23-T101500", None),
    ],
)
def test_moves_of_early_releases_are_taken_back_by_the_reference(store, reference, number):
    ended(store)

    with store.backend.database.driver.read() as connection:
        place = moves._place_in_name(connection, reference, "2026-11-23-T101500")

    assert (place and place[1]) == number
