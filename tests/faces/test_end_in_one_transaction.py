"""The end of a run and its last points are one transaction, and neither hurts the other."""

import shutil
import threading

import pytest

import runstore
from places import store_at
from runstore.errors import StoreWarning


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        yield store


@pytest.fixture
def run(store):
    return store.start("bert", capture=False)


@pytest.fixture
def uses(engine, store, monkeypatch):
    """Return a list that gets `read` or `write` for each use of the database by this thread."""
    seen, me = [], threading.get_ident()
    names = {"read": "read", "write": "write", "transact": "write"}
    if engine == "postgresql":
        names |= {"call": "write"}
    kind = type(store.backend.database.driver)
    for name, use in names.items():
        original = getattr(kind, name)

        def noting(driver, *arguments, use=use, original=original, **named):
            if driver is store.backend.database.driver and threading.get_ident() == me:
                seen.append(use)
            return original(driver, *arguments, **named)

        monkeypatch.setattr(kind, name, noting)
    return seen


def spooled(store):
    return [path.name for path in (store.path / "spool").iterdir()]


def test_the_first_points_of_a_new_run_ask_the_database_nothing(uses, run):
    uses.clear()

    run.log(loss=0.5)

    assert uses == []
    run.finish()


def test_points_and_end_are_one_transaction(store, uses, run):
    run.log(loss=0.5)
    uses.clear()

    run.finish()

    assert uses == ["write"]
    assert run.record.status is runstore.Status.COMPLETE
    assert list(store.series_of(run, "loss").values) == [0.5]
    assert spooled(store) == []


def test_a_resumed_run_counts_its_steps_on(store):
    with store.start("bert", capture=False) as run:
        run.log(loss=0.5)
    with store.resume(run.reference) as again:
        again.log(loss=0.4)

    assert list(store.series_of(run, "loss").steps) == [0, 1]


def test_points_that_are_not_taken_keep_no_end_back(store, run):
    run.log(loss=0.5)
    run.execution.hand_in()
    with store.backend.database.driver.write() as connection:
        connection.execute("UPDATE metric_chunks SET chunk = :chunk", {"chunk": b"\0\xff"})
    run.log(loss=0.4)

    with pytest.warns(StoreWarning, match="last points of bert_1_.* are kept in the spool"):
        run.finish()

    assert run.record.status is runstore.Status.COMPLETE
    assert any(name.endswith(".points") for name in spooled(store))


def test_points_in_a_file_that_was_moved_away_are_kept(store, run):
    run.log(loss=0.5)
    for path in (store.path / "spool").iterdir():
        path.rename(store.path / path.name)

    run.finish()

    assert run.record.status is runstore.Status.COMPLETE
    assert run.record.metric("loss").values.tolist() == [0.5]


def test_points_of_a_run_that_was_ended_elsewhere_are_taken_in(store, run):
    run.log(loss=0.5)
    store.finish(run.reference, "error", error="stopped by hand")

    with pytest.warns(StoreWarning, match="was not written"):
        run.finish()

    assert run.record.status is runstore.Status.ERROR
    assert list(store.series_of(run, "loss").values) == [0.5]
    assert spooled(store) == []


def test_points_of_a_run_that_was_removed_are_removed(store):
    run = store.start("bert", capture=False)
    run.log(loss=0.5)
    run.finish()
    run = store.resume(run.reference)
    run.log(loss=0.4)
    store.delete([run.reference], force=True)
    store.collect_garbage(older_than=0)

    with pytest.warns(StoreWarning, match="permanently deleted"):
        run.finish()

    assert spooled(store) == []


@pytest.mark.folder_only("removes the folder")
def test_a_store_that_was_removed_is_said_to_be_gone(store, run):
    run.log(loss=0.5)
    shutil.rmtree(store.path)

    with pytest.warns(StoreWarning) as said:
        run.finish()

    texts = [str(one.message) for one in said]
    assert any("were in its spool" in text for text in texts)
    assert not any("are kept in the spool" in text for text in texts)
