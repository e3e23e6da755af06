"""A run that somebody deletes while it goes on, and what `undo` takes back afterwards."""

from datetime import timedelta

import pytest

from runstore import Store
from runstore.errors import ConflictError, StoreWarning

AT_ONCE = timedelta(0)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path) as store:
        yield store


def record_all(run):
    run.log(loss=1)
    run.save("m.bin", b"weights")
    run.use("https://example.org/data", digest=False)
    run.tags["best"] = "yes"
    run.tags.add("keep")
    del run.tags["keep"]
    run.edit(notes="x")
    run.finish()


def test_a_run_in_the_trash_keeps_what_it_records(store):
    run = store.start("e", capture=False)
    run.tags["early"] = "1"
    store.delete(run.reference, force=True)

    record_all(run)
    (restored,) = store.restore(run.reference)

    assert dict(restored.tags) == {"early": "1", "best": "yes"}
    assert (restored.notes, restored.status.value) == ("x", "complete")
    assert restored.metrics["loss"].last == 1
    assert restored.read_bytes("m.bin") == b"weights"


def test_a_run_that_is_removed_for_good_goes_on_and_says_so(store):
    run = store.start("e", capture=False)
    store.delete(run.reference, force=True)
    store.collect_garbage(older_than=AT_ONCE)

    with pytest.warns(StoreWarning, match="removed for good while it went on"):
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

    with pytest.raises(ConflictError, match=r"e_2_.*removed for good") as caught:
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
