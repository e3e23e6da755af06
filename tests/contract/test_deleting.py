"""Deleting: into the trash, out of it, and what is said about it."""

from datetime import timedelta

import pytest

from runstore.errors import RunActiveError, RunNotFoundError

AT_ONCE = timedelta(0)


def ended(store, experiment="fit", *, contents=b"", **options):
    run = store.start(experiment, capture=False, **options)
    if contents:
        run.save("model.bin", contents)
    run.log(loss=0.5)
    run.finish()
    return store.get(run.uid)


def test_a_deleted_run_is_nowhere_but_in_the_trash(store):
    run, other = ended(store), ended(store)

    store.delete(run.reference)

    assert [one.uid for one in store.list()] == [other.uid]
    assert [one.uid for one in store.find("metrics.loss = 0.5")] == [other.uid]
    assert [one.uid for one in store.trash()] == [run.uid]
    assert store.trash()[0].deleted_at is not None
    with pytest.raises(
        RunNotFoundError, match=r"was deleted on .* in the trash.*runstore restore"
    ):
        store.get(run.reference)


def test_a_restored_run_is_as_it_was(store):
    run = ended(store, contents=b"weights", params={"lr": 0.1}, notes="first")
    store.tag(run.uid, {"keep": ""})
    before = store.get(run.uid)

    store.delete(run.uid)
    (after,) = store.restore("fit#1")

    assert after == before
    assert after.read_bytes("model.bin") == b"weights"
    assert after.metric("loss").values[0] == 0.5
    assert store.trash() == ()


@pytest.mark.parametrize("name", ["fit#1", "fit_1", "latest"])
def test_the_trash_understands_names(store, name):
    run = ended(store)
    ended(store, "other")
    store.delete(run.uid)

    assert store.restore(name)[0].uid == run.uid


def test_numbers_are_never_used_again(store):
    run = ended(store)
    store.delete(run)
    store.collect_garbage(older_than=AT_ONCE)

    assert ended(store).run_number == 2


def test_all_are_deleted_or_none(store):
    run = ended(store)
    live = store.start("fit", capture=False)

    with pytest.raises(RunActiveError, match="is still running"):
        store.delete([run.uid, live.uid])

    assert len(store.list()) == 2
    live.finish()


def test_what_seems_to_be_executed_is_deleted_by_force(store):
    live = store.start("fit", capture=False)

    store.delete(live.uid, force=True)
    live.log(loss=1.0)
    live.finish()

    assert store.restore("latest")[0].status.value == "complete"


def test_a_dry_deletion_says_what_goes_and_what_stays(store):
    alone = ended(store, contents=b"a" * 1000)
    shared = ended(store, contents=b"b" * 300)
    ended(store, contents=b"b" * 300)

    told = store.delete([alone, shared], dry=True)

    assert (told.frees.contents.files, told.frees.contents.size_bytes) == (1, 1000)
    assert (told.shared.files, told.shared.size_bytes) == (1, 300)
    assert len(store.list()) == 3


def test_who_depends_on_a_run_is_said(store):
    source = ended(store, contents=b"weights")
    with store.start("use", capture=False) as reader:
        source.read_bytes("model.bin")
        inner = store.start("inner", capture=False)
        inner.finish()

    told = store.delete(source.uid, dry=True)
    both = store.delete([source.uid, reader.uid], dry=True)

    assert [(one.run.uid, one.how) for one in told.dependents] == [(reader.uid, "read")]
    assert [(one.run.uid, one.how) for one in both.dependents] == [(inner.uid, "inside")]


def test_undo_takes_a_deletion_and_a_restoration_back(store):
    runs = [ended(store) for _ in range(3)]
    store.delete(runs[:2])

    store.undo()
    assert len(store.list()) == 3
    store.delete(runs[0].uid)
    store.restore(runs[0].uid)
    store.undo()

    assert [run.uid for run in store.trash()] == [runs[0].uid]
    events = [
        (one.field, bool(one.old), bool(one.new))
        for one in store.backend.edits.events(runs[0].uid)
    ]
    assert events[-1] == ("deleted", False, True)


def test_undo_finds_the_last_edit_of_a_run_in_the_trash(store):
    run = ended(store)
    ended(store)
    store.delete("fit#1", author="ada")

    assert store.undo("fit#1", author="ben")[0].uid == run.uid
    assert store.get("fit#1").uid == run.uid


def test_what_is_said_of_a_deleted_run_waits_for_it(store):
    """Facts that come late, such as its end, are written in the trash too."""
    run = store.start("fit", capture=False)
    store.delete(run.uid, force=True)

    store.backend.database.finish_run(run.uid, run.status.COMPLETE, ended_at=1)

    assert store.trash()[0].status.value == "complete"
    run.execution.take_status(run.status.COMPLETE)


@pytest.mark.folder_only
def test_of_a_run_that_is_gone_the_name_is_left(store):
    run = ended(store, contents=b"weights", notes="secret", params={"key": "secret"})
    store.delete(run)
    store.collect_garbage(older_than=AT_ONCE)

    with pytest.raises(RunNotFoundError, match="deleted permanently; only its name is kept"):
        store.get(run.reference)
    with pytest.raises(RunNotFoundError):
        store.restore(run.reference)
    assert store.trash() == ()
    assert b"secret" not in (store.path / "runstore.db").read_bytes() or shrunk(store)


def shrunk(store):
    store.collect_garbage(vacuum=True)
    return b"secret" not in (store.path / "runstore.db").read_bytes()


@pytest.mark.folder_only
def test_nothing_can_be_written_to_a_run_that_is_gone(store):
    run = ended(store)
    store.delete(run)
    store.collect_garbage(older_than=AT_ONCE)

    with pytest.raises(RunNotFoundError):
        store.backend.artifacts.put_output(run.uid, ("part", "0" * 64, 1))
    with pytest.raises(RunNotFoundError):
        store.backend.database.finish_run(run.uid, run.status, ended_at=1)
    store.backend.database.attach_facts(run.uid, run.facts)

    assert store.check() == ()


def test_experiments_without_runs_are_not_listed(store):
    run = ended(store)

    store.delete(run)

    assert store.experiments() == ()
    store.undo()
    assert [one.name for one in store.experiments()] == ["fit"]
