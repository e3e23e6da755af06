"""How long a writer waits for another program: as facts about calls, not about time."""

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from runstore.errors import StoreError, StoreLockedError
from runstore.storage.sqlite import driver as driver_module
from runstore.storage.sqlite.driver import BUSY_TIMEOUT_S


@pytest.fixture
def waits(store, monkeypatch):
    """Return what the driver waits: (what for, seconds); its pauses move its clock on."""
    seen = []
    paused = [0.0]

    def pause(longest_s):
        paused.append(longest_s)
        seen.append(("pause", longest_s))

    monkeypatch.setattr(driver_module, "pause", pause)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + sum(paused))
    return seen


@pytest.fixture
def engine_waits(store, monkeypatch):
    """Return how long the engine was told to wait within a statement, in seconds."""
    told = []
    with store.backend.database.driver.write() as connection:
        kind = type(connection)

    def wait_for_others(one, patience_s):
        told.append(patience_s)
        one.waits_s = patience_s
        one.execute("PRAGMA busy_timeout=0")

    monkeypatch.setattr(kind, "wait_for_others", wait_for_others)
    return told


@pytest.fixture
def held(store, engine_waits):
    """Another program that is writing."""
    with closing(sqlite3.connect(store.path / "runstore.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def begin(store):
    with store.backend.database.driver.write():
        pass


def test_a_failed_writer_lets_the_next_one_write_at_once(store):
    with pytest.raises(RuntimeError), store.backend.database.driver.write() as connection:
        connection.execute("DELETE FROM store_state")
        raise RuntimeError

    with closing(sqlite3.connect(store.path / "runstore.db", timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM store_state").fetchone()[0] > 0


def test_a_writer_waits_for_a_minute(store):
    assert BUSY_TIMEOUT_S == 60
    assert store.backend.database.driver.busy_timeout_s == BUSY_TIMEOUT_S


@pytest.mark.parametrize("patience_s", [0.0, 0.3, 1.0])
def test_a_hurried_writer_waits_as_long_as_it_was_told(
    store, held, waits, engine_waits, patience_s
):
    with (
        pytest.raises(StoreLockedError),
        store.backend.database.driver.hurried(patience_s),
    ):
        begin(store)

    assert set(waits) <= {("pause", 0.05)}
    assert patience_s - 0.05 <= 0.05 * len(waits) <= patience_s + 0.1


@pytest.mark.parametrize(
    ("patience_s", "engine_s"), [(0.0, 0.1), (0.05, 0.1), (0.3, 0.3), (5.0, 5.0), (60.0, 5.0)]
)
def test_the_engine_waits_for_one_transaction_of_another_program_at_least(
    store, engine_waits, patience_s, engine_s
):
    """And within a statement for five seconds at most, since nothing can interrupt that."""
    with store.backend.database.driver.hurried(1.0):
        begin(store)
    engine_waits.clear()

    with store.backend.database.driver.hurried(patience_s):
        begin(store)
        begin(store)

    assert engine_waits == [engine_s], "told once, since it did not change"


def test_hurry_ends_with_its_block_also_by_an_error(store, held, waits, engine_waits):
    store.backend.database.driver.busy_timeout_s = 0.2
    with pytest.raises(KeyError), store.backend.database.driver.hurried(0.0):
        raise KeyError

    with pytest.raises(StoreLockedError):
        begin(store)

    assert len(waits) in {4, 5}


def test_the_inner_of_two_hurries_counts(store, held, waits, engine_waits):
    with store.backend.database.driver.hurried(0.0):
        with store.backend.database.driver.hurried(0.2), pytest.raises(StoreLockedError):
            begin(store)
        inner = len(waits)
        with pytest.raises(StoreLockedError):
            begin(store)

    assert inner in {4, 5}
    assert len(waits) - inner <= 1


def test_another_thread_is_not_hurried(store, held, waits, engine_waits):
    store.backend.database.driver.busy_timeout_s = 0.2
    raised = []

    def write():
        try:
            begin(store)
        except StoreLockedError as error:
            raised.append(error)

    with store.backend.database.driver.hurried(0.0):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()

    assert len(raised) == 1
    assert len(waits) in {4, 5}


def test_a_writer_that_is_let_in_meanwhile_writes(store, held, waits, engine_waits, monkeypatch):
    monkeypatch.setattr(driver_module, "pause", lambda _: held.rollback())

    with store.backend.database.driver.hurried(1.0):
        begin(store)


def test_an_error_of_another_kind_is_not_waited_for(store, waits):
    store.backend.database.driver.refuse_writes(StoreLockedError("It is refused."))

    with pytest.raises(StoreLockedError, match="refused"):
        begin(store)

    assert waits == []


@pytest.mark.parametrize("why", ["database is locked", "database or disk is full"])
def test_an_error_of_a_reader_speaks_of_no_change(store, why):
    """The same errors come from reading: from a hot journal, or a sort without room for it."""
    driver = store.backend.database.driver

    with pytest.raises(StoreError) as read, driver.read():
        raise sqlite3.OperationalError(why)
    with pytest.raises(StoreError) as written, driver.write():
        raise sqlite3.OperationalError(why)

    assert read.value.kept == "Nothing was changed."
    assert "written" not in read.value.what
    assert written.value.kept.endswith("this change was not written.")
