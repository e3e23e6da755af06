"""The trash: what is said of a deletion, who is named, what is left of a run that is gone."""

from datetime import timedelta

import pytest

from places import ended
from runstore.errors import NotFoundError, RunActiveError, RunNotFoundError, StoreCorruptError
from runstore.model.results.deletion import Amount
from runstore.storage import trash as trash_module

AT_ONCE = timedelta(0)


def purge(store, *runs):
    store.delete(runs)
    store.collect_garbage(older_than=AT_ONCE)


# What is said before and after


def test_a_deletion_says_what_it_frees_and_what_others_need(store):
    first = ended(store, b"only mine")
    shared = [ended(store, b"shared"), ended(store, b"shared")]

    told = store.delete([first, shared[0]], dry=True)

    assert (told.is_dry, [run.uid for run in told.runs]) == (True, [first.uid, shared[0].uid])
    assert (told.frees.contents, told.shared) == (Amount(1, 9), Amount(1, 6))
    assert store.trash() == ()
    done = store.delete([first, *shared])
    assert (done.is_dry, done.frees.contents, done.shared) == (False, Amount(2, 15), Amount())
    assert len(store.trash()) == 3


def test_contents_of_one_run_alone_are_freed(store):
    assert store.delete(ended(store, b"mine"), dry=True).frees.contents == Amount(1, 4)


def test_folders_behind_a_link_are_not_counted(store, tmp_path):
    run = ended(store)
    folder = store.folder_of(run.reference)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / folder.name).mkdir(parents=True)
    (elsewhere / folder.name / "mine").write_text("mine")
    folder.parent.symlink_to(elsewhere)

    assert store.delete(run).frees.folders == Amount()


@pytest.mark.folder_only
def test_contents_that_are_not_there_free_nothing(store):
    run = ended(store, b"gone already")
    store.backend.objects.path_of(run.artifacts["model.bin"].digest).unlink()

    told = store.delete(run)

    assert (told.frees.contents, told.shared) == (Amount(), Amount())


def test_contents_that_wait_in_the_spool_are_not_freed(store):
    run, other = ended(store, b"announced"), ended(store)
    body = {"path": "a", "digest": run.artifacts["model.bin"].digest, "objects": None}
    store.backend.spool.keep(other.uid, "artifact", {**body, "size_bytes": "not a number"})

    told = store.delete(run, dry=True)

    assert (told.frees.contents, told.shared) == (Amount(), Amount(1, 9))


def test_the_folder_of_each_name_of_a_run_is_counted(store):
    run = store.start("fit", capture=False)
    first = store.folder_of(run.reference)
    run.finish()
    store.move(run.uid, "train")
    for folder, size in ((first, 3), (first.parent / store.get(run.uid).reference, 5)):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "log.txt").write_text("x" * size)
    (first.parent / "others").mkdir()
    (first.parent / "others" / "mine").write_text("mine")
    (first.parent / ".hidden").write_text("mine")

    assert store.delete(run.uid).frees.folders == Amount(2, 8)


def test_a_folder_that_cannot_be_read_is_left_out(store, tmp_path):
    run = ended(store)
    folder = store.folder_of(run.reference)
    folder.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    folder.symlink_to(tmp_path / "elsewhere")

    assert store.delete(run).frees.folders == Amount()


def test_those_who_need_a_run_are_named_unless_they_go_with_it(store):
    source = ended(store, b"data")
    with store.start("fit", capture=False) as reader:
        source.read_bytes("model.bin")
    with store.start("fit", capture=False) as outer:
        inner = store.start("fit", parent=outer.uid, capture=False)
        inner.finish()

    told = store.delete([source.uid, outer.uid], dry=True)

    assert [(one.run.uid, one.how, one.of.uid) for one in told.dependents] == [
        (reader.uid, "read", source.uid),
        (inner.uid, "inside", outer.uid),
    ]
    together = store.delete([source.uid, reader.uid, outer.uid, inner.uid])
    assert together.dependents == ()


# In and out


@pytest.mark.parametrize("kind", ["running", "live"])
def test_what_seems_to_be_executed_is_not_deleted(store, kind):
    run = store.start("fit", capture=False, live=kind == "live")
    other = ended(store)

    with pytest.raises(RunActiveError, match=f"{run.reference} is still running") as refused:
        store.delete([other.uid, run.uid])

    assert refused.value.kept == "Nothing was deleted."
    assert store.trash() == ()
    store.delete(run.uid, force=True)
    assert [one.uid for one in store.trash()] == [run.uid]
    run.finish()


def test_the_trash_is_listed_by_when_runs_were_deleted(store):
    runs = [ended(store) for _ in range(3)]
    for run in (runs[1], runs[2], runs[0]):
        store.delete(run)

    assert [one.uid for one in store.trash()] == [runs[0].uid, runs[2].uid, runs[1].uid]
    assert [one.uid for one in store.trash(limit=1)] == [runs[0].uid]
    assert store.restore("latest")[0].uid == runs[0].uid


def test_a_run_that_is_kept_is_not_restored_twice(store):
    run = ended(store)
    store.delete(run, author="ada")
    store.restore(run.uid, author="ada")
    before = store.events(run.uid)

    store.backend.trash.take_out([run.uid], "ada")

    assert store.events(run.uid) == before
    assert [one.field for one in before].count("deleted") == 2


def test_all_are_restored_or_none(store):
    run = ended(store)
    store.delete(run)

    with pytest.raises(RunNotFoundError):
        store.backend.trash.take_out([run.uid, "no such uid"], "ada")

    assert [one.uid for one in store.trash()] == [run.uid]


# What became of a run


def test_what_became_of_a_run_is_said_by_any_of_its_names(store):
    trashed, gone = ended(store, experiment="a b"), ended(store, experiment="gone")
    purge(store, gone)
    store.delete(trashed)

    for name in (trashed.reference, trashed.uid, "a b#1", "a b_1"):
        with pytest.raises(RunNotFoundError, match=r"was deleted on \d{4}-") as said:
            store.get(name)
        assert said.value.kept == "It is in the trash."
        assert said.value.hint == f"Restore it with: runstore restore '{trashed.reference}'"
    for name in (gone.reference, gone.uid, "gone#1"):
        with pytest.raises(RunNotFoundError, match="was deleted") as said:
            store.get(name)
        assert said.value.kept == "It was deleted permanently; only its name is kept."
        assert not said.value.hint
    with pytest.raises(RunNotFoundError) as said:
        store.get("latest")
    assert "deleted" not in said.value.what


def test_the_names_of_all_runs_stay(store):
    kept, trashed, gone = (ended(store, experiment=name) for name in ("kept", "trashed", "gone"))
    store.move(gone.uid, "moved")
    moved = store.get(gone.uid)
    purge(store, gone)
    store.delete(trashed)
    table = store.backend.trash

    assert table.name_of(kept.uid) == kept.reference
    assert table.name_of(trashed.uid) == f"{trashed.reference} (in the trash)"
    assert table.name_of(gone.uid) == f"{moved.reference} (deleted)"
    assert table.name_of("no such uid") is None
    assert sorted(table.purged_names()) == sorted(
        [(gone.uid, moved.reference), (gone.uid, gone.reference)]
    )
    assert table.every_reference() == {
        kept.reference,
        trashed.reference,
        gone.reference,
        moved.reference,
    }


# For good


def test_a_run_that_was_restored_meanwhile_is_not_removed(store):
    runs = [ended(store) for _ in range(3)]
    store.delete(runs)
    expired = store.backend.trash.expired(2**62)
    store.restore(runs[1].uid)

    purged = store.backend.trash.purge(expired, 2**62)

    assert [one.uid for one in purged] == [runs[0].uid, runs[2].uid]
    assert store.get(runs[1].uid).status == "complete"
    assert store.backend.trash.purge(purged, 2**62) == []


def test_only_what_was_deleted_by_then_is_expired(store):
    run = ended(store)
    store.delete(run)
    deleted_at = int(store.trash()[0].deleted_at.timestamp() * 1_000_000)
    table = store.backend.trash

    assert [one.uid for one in table.expired(deleted_at + 1)] == [run.uid]
    assert table.expired(deleted_at - 1) == []
    assert table.purge(table.expired(2**62), deleted_at - 1) == []


def test_marks_of_other_runs_stay(store):
    gone, kept = ended(store), ended(store)
    paths = [store.backend.spool.place / f"{run.uid}.1.end.json" for run in (gone, kept)]
    for path in paths:
        store.backend.metrics.mark_seen(path)

    purge(store, gone)

    assert [store.backend.metrics.has_seen(path) for path in paths] == [False, True]


def test_the_last_edit_that_went_with_a_run_is_remembered_by_author(store):
    runs = [ended(store) for _ in range(3)]
    for run in runs[:2]:
        store.edit(run.uid, notes="by ada", author="ada")
    store.edit(runs[0].uid, notes="by bob", author="bob")
    newest = {run.uid: store.events(run.uid)[-1] for run in runs[:2]}
    purge(store, runs[1])  # what is older and goes later changes nothing
    purge(store, runs[0], runs[2])

    with store.backend.database.driver.read() as connection:
        known = trash_module.gone_edits(connection)

    # Deleting is an edit as well, by whoever runs this test.
    assert {author: name for author, (_, name) in known.items() if author in {"ada", "bob"}} == {
        "ada": runs[1].reference,
        "bob": runs[0].reference,
    }
    ada_at = newest[runs[1].uid].at
    assert known["ada"][0] == pytest.approx(ada_at.timestamp() * 1_000_000, abs=1)


def test_the_edits_of_a_run_that_comes_back_are_its_own_again(store):
    runs = [ended(store), ended(store)]
    for author, run in zip(("ada", "bob"), runs, strict=True):
        store.edit(run.uid, notes=f"by {author}", author=author)
    purge(store, *runs)

    with store.backend.database.driver.write() as connection:
        trash_module.forget_last_edits(connection, runs[0].uid, runs[0].reference)
    with store.backend.database.driver.read() as connection:
        known = trash_module.gone_edits(connection)

    assert "ada" not in known
    assert known["bob"][1] == runs[1].reference


@pytest.mark.parametrize("text", ["{", "[]", '{"ada": 7}', '{"ada": ["x", "y"]}', "[" * 5000])
def test_edits_that_cannot_be_read_are_said(store, text):
    with store.backend.database.driver.write() as connection:
        connection.execute(
            "INSERT INTO store_state (name, value) VALUES (?, ?)", (trash_module.GONE_EDITS, text)
        )

    with (
        store.backend.database.driver.read() as connection,
        pytest.raises(StoreCorruptError, match="edit times"),
    ):
        trash_module.gone_edits(connection)


def test_a_store_in_which_nothing_is_gone_remembers_no_edits(store):
    with store.backend.database.driver.read() as connection:
        assert trash_module.gone_edits(connection) == {}
        kept = connection.execute("SELECT name FROM store_state").fetchall()
    assert trash_module.GONE_EDITS not in [name for (name,) in kept]


def test_an_experiment_that_is_not_there_gets_no_other_name(store):
    ended(store)

    with pytest.raises(NotFoundError, match="There is no experiment 'fi'") as refused:
        store.rename_experiment("fi", "fit")
    assert "fit" in refused.value.hint
    assert store.rename_experiment("fit", "train") == 1
