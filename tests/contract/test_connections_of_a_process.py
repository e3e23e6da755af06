"""Connections of a process: of closed stores, failed openings, and forks inside a use."""

import os
import sqlite3
import sys
import threading
from contextlib import closing, suppress

import pytest

from commands import python
from runstore import Store
from runstore.errors import StoreLockedError, StoreUnavailableError
from runstore.storage.sqlite import forks, opening
from runstore.storage.sqlite.connection import SQLiteConnection
from runstore.storage.sqlite.driver import SQLiteDriver


@pytest.fixture
def driver(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("fit", capture=False).finish()
        yield store.backend.database.driver


def said_in_a_child(work):
    """Return what a function returns, or raises, in a forked child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(work())
        except StoreUnavailableError as error:
            answer = error.what
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading, "rb") as file:
        return file.read().decode()


def names(driver):
    return driver.fetch_all("SELECT name FROM experiments")


def test_a_closed_store_is_not_used_by_any_thread(tmp_path):
    store, raised = Store.open(tmp_path), []
    store.close()

    def use():
        for work in (store.list, lambda: store.start("fit", capture=False)):
            with pytest.raises(StoreUnavailableError, match=r"was closed[^$]*Store\.open\("):
                work()
            raised.append(work)

    use()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(raised) == 4


def test_a_store_that_is_closed_inside_a_use_is_closed_after_it(driver):
    with driver.read() as connection:
        driver.close()
        assert connection.execute("SELECT name FROM experiments").fetchall() == [("fit",)]
        assert driver.is_open
    assert not driver.is_open


def test_a_child_that_was_forked_inside_a_use_reads_only(driver):
    def write():
        with driver.write():
            return "written"

    with driver.read():
        assert said_in_a_child(lambda: names(driver)) == "[('fit',)]"
        assert "forked while its parent was using" in said_in_a_child(write)
    assert said_in_a_child(write) == "written"


def test_a_child_keeps_the_reason_why_nothing_is_written(driver):
    driver.refuse_writes(StoreUnavailableError("It is for reading."))

    def write():
        with driver.write():
            return "written"

    with driver.read():
        assert said_in_a_child(write) == "It is for reading."


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_child_leaves_a_connection_in_use_to_its_parent(driver, is_interrupted):
    """SQLite forbids using or closing it in the child."""
    before = len(SQLiteConnection.left_by_fork)
    with suppress(KeyboardInterrupt), driver.read() as connection:
        pid = os.fork()
        if pid == 0 and is_interrupted:
            raise KeyboardInterrupt
    if pid == 0:
        os._exit(SQLiteConnection.left_by_fork[before:] != [connection._raw])

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert SQLiteConnection.left_by_fork[before:] == []


TWO_FORKS = """
import os, sys, threading, time

def wait():
    if threading.current_thread().name == "slow":
        is_forking.set()
        has_forked.wait(10)
        time.sleep(0.5)
        done.append("fork")

def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()

is_forking, has_forked, done = threading.Event(), threading.Event(), []
os.register_at_fork(before=wait)  # called after the hooks of runstore
import runstore

with runstore.Store.open(sys.argv[1]) as store:
    store.start("fit", capture=False).finish()
    slow = threading.Thread(target=fork, name="slow")
    slow.start()
    is_forking.wait(10)
    fork()
    has_forked.set()
    store.start("fit", capture=False).finish()
    done.append("run")
    slow.join()
print(done)
"""


def test_no_thread_enters_the_engine_while_one_of_two_still_forks(tmp_path):
    """The child would wait for ever for locks that this thread had."""
    ended = python("-W", "ignore", "-c", TWO_FORKS, str(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "['fork', 'run']\n", ended.stderr


def test_a_failed_opening_leaves_no_connection_and_delays_no_fork(tmp_path):
    driver = SQLiteDriver(tmp_path / "runstore.db", create=False)

    with pytest.raises(StoreUnavailableError, match="no run database") as raised:
        names(driver)

    assert raised.tb is not None, "it refers to all that the opening had"
    assert not driver.is_open
    assert forks.gate.depths == {}


def test_an_opening_waits_for_a_program_that_keeps_the_file_locked(tmp_path, monkeypatch):
    """A second of a clock that only pauses move on."""
    now, waited = [1000.0], []

    def pause(longest_s):
        waited.append(longest_s)
        now[0] += longest_s

    SQLiteDriver(tmp_path / "runstore.db").fetch_all("SELECT 1")
    monkeypatch.setattr(opening, "ENGINE_WAITS_S", 0.0)
    monkeypatch.setattr(opening, "pause", pause)
    monkeypatch.setattr(opening.time, "monotonic", lambda: now[0])
    with closing(sqlite3.connect(tmp_path / "runstore.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreLockedError):
            SQLiteDriver(tmp_path / "runstore.db", busy_timeout_s=1.0).fetch_all("SELECT 1")

    assert set(waited) == {0.02}
    assert sum(waited) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("is_far", "mode"), [(False, "wal"), (True, "delete")])
def test_a_network_disk_has_no_log_in_shared_memory(tmp_path, monkeypatch, is_far, mode):
    """Not even if the file was moved there from another disk."""
    for here in (not is_far, is_far):
        monkeypatch.setattr(opening, "is_network_disk", lambda _, here=here: here)
        driver = SQLiteDriver(tmp_path / "runstore.db")
        found = driver.fetch_one("PRAGMA journal_mode")
        driver.close()

    assert found == (mode,)


def test_a_connection_is_used_again(driver):
    with driver.read() as first, driver.read() as second:
        assert first._raw is not second._raw
    with driver.read() as third:
        assert third._raw in {first._raw, second._raw}
    assert len(driver._handles) == 2


def test_many_databases_keep_only_the_connections_in_use(tmp_path):
    """Each has three descriptors, and the system allows a program some hundred."""
    drivers = [SQLiteDriver(tmp_path / f"{number}.db") for number in range(17)]

    with drivers[0].read() as used:
        for one in drivers[1:]:
            one.fetch_all("SELECT 1")
        assert used.execute("SELECT 1").fetchall() == [(1,)]
        assert drivers[0].is_open

    assert drivers[-1].is_open
    assert not drivers[1].is_open
    assert drivers[1].fetch_all("SELECT 1") == [(1,)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no marks")
def test_a_transaction_asks_for_the_status_of_the_database_alone(driver):
    """There are few marks; but a status delays the next sync of a log, and takes longer."""
    with driver.read() as connection:
        files = connection.files

    assert [file.identity for file in files if not file.mark] == [driver.file.identity]
    assert sorted(file.is_log for file in files) == [False, False, True]
