"""A run that somebody deletes while it goes on, and what `undo` takes back afterwards."""

from datetime import timedelta

import pytest

from runstore.errors import ConflictError, RunNotFoundError, StoreWarning

AT_ONCE = timedelta(0)


def record_all(run):
    run.log(loss=1)
    run.save("m.bin", b"weights")
    run.use("https://example.org/data", digest=False)
    run.tags["best"] = "yes"
    run.tags.add("keep")
    del run.tags["keep"]
    run.edit(notes="x")
    run.finish()


def test_a_run_in_the_trash_keeps_what_it_records(store, run):
    run.tags["early"] = "1"
    store.delete(run.reference, force=True)

    record_all(run)
    (restored,) = store.restore(run.reference)

    assert dict(restored.tags) == {"early": "1", "best": "yes"}
    assert (restored.notes, restored.status.value) == ("x", "complete")
    assert restored.metrics["loss"].last == 1
    assert restored.read_bytes("m.bin") == b"weights"


def test_a_run_that_is_removed_for_good_goes_on_and_says_so(store, run):
    store.delete(run.reference, force=True)
    store.collect_garbage(older_than=AT_ONCE)

    with pytest.warns(StoreWarning, match="permanently deleted while it was running"):
        record_all(run)

    assert store.list().items == ()
    store.collect_garbage(older_than=AT_ONCE)
    assert store.check() == ()


def test_undo_never_takes_back_what_is_older_than_what_is_gone(store):
    for _ in range(3):
        store.start("e", capture=False).finish()
    store.edit("e#1", notes="first")
    store.delete("e#2")
    store.collect_garbage(older_than=AT_ONCE)

    with pytest.raises(ConflictError, match=r"e_2_.*deleted permanently") as caught:
        store.undo()
    assert "undo RUN" in caught.value.hint
    with pytest.raises(ConflictError):
        store.undo(dry=True)
    assert store.get("e#1").notes == "first"

    store.edit("e#3", notes="later")
    store.undo()
    assert store.get("e#3").notes is None
    with pytest.raises(ConflictError):
        store.undo()
    store.undo("e#1")
    assert store.get("e#1").notes is None


def test_what_was_taken_back_before_does_not_stand_in_the_way(store):
    for _ in range(2):
        store.start("e", capture=False).finish()
    store.edit("e#1", notes="first", author="me")
    store.edit("e#2", notes="second", author="me")
    store.undo(author="me")
    store.delete("e#2", author="another")
    store.collect_garbage(older_than=AT_ONCE)

    store.undo(author="me")

    assert store.get("e#1").notes is None


def test_the_record_of_a_run_in_the_trash_is_readable_in_its_program(store, run):
    store.delete(run, force=True)
    run.save("m.bin", b"weights")
    run.log(loss=1)

    assert run.record.deleted_at is not None
    assert run.record.read_bytes("m.bin") == b"weights"
    run.execution.hand_in()
    assert run.record.metrics["loss"].last == 1
    with pytest.raises(RunNotFoundError, match="in the trash"):
        store.get(run)

    store.collect_garbage(older_than=AT_ONCE)
    with pytest.raises(RunNotFoundError, match="deleted permanently"):
        _ = run.record
    with pytest.warns(StoreWarning, match="permanently deleted"):
        run.finish()


@pytest.mark.parametrize("for_good", [False, True])
def test_an_artifact_of_a_deleted_run_can_be_named_as_an_input(store, for_good):
    with store.start("source", capture=False) as source:
        source.save("m.bin", b"weights")
    artifact = source.record.artifacts["m.bin"]
    store.delete(source)
    if for_good:
        store.collect_garbage(older_than=AT_ONCE)

    with store.start("reader", capture=False) as reader:
        reader.use(artifact)

    (used,) = reader.record.inputs
    assert used.name == f"{source.reference}/m.bin"
    assert (used.digest, used.source_uid) == (artifact.digest, source.uid)


@pytest.mark.parametrize("logs", [(), ("before",), ("after",), ("before", "after")])
def test_points_and_output_of_a_run_that_is_removed_for_good_go_with_it(store, logs, run):
    run.keep_output()
    print("a line")
    if "before" in logs:
        run.log(loss=1)
    store.delete(run, force=True)
    store.collect_garbage(older_than=AT_ONCE)
    if "after" in logs:
        run.log(loss=2)

    with pytest.warns(StoreWarning) as said:
        run.finish()

    assert ["end was not recorded" in str(one.message) for one in said] == [True]
    assert store.check() == ()
