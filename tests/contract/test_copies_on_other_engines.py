"""`Store.copy` from and to a server: the same runs, as they were at one moment."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import datetime, timezone
from urllib.parse import unquote

import pytest

pytest.importorskip("psycopg")

from runstore import Store
from runstore.background import wait_until_done
from runstore.errors import ConflictError, UsageError
from runstore.storage.sqlite.paths import DATABASE

VALUES = [0.5, float("nan"), float("inf"), -0.0, 1e300]


@pytest.fixture
def empty():
    from postgres_server import new_database

    url, _ = new_database(is_empty=True)
    return url


@pytest.fixture(params=["folder to server", "server to folder", "server to server"])
def places(request, url, empty, tmp_path):
    """The location of a store, and that of its copy."""
    source, target = request.param.split(" to ")
    found = {"folder": tmp_path / "store", "server": url}[source]
    return found, {"folder": tmp_path / "copy", "server": empty}[target]


def fill(store):
    for n in range(4):
        with store.start("fit", params={"lr": n / 10, "net": {"kind": "träé"}}) as run:
            for step, value in enumerate(VALUES):
                run.log({"loss": value}, step=step)
            run.save("model.bin", bytes(range(256)) * n)
    with pytest.raises(ZeroDivisionError), store.start("broken", capture=False):
        _ = 1 / 0
    store.tag("fit#1", {"phase": "pilot"})
    store.edit("fit#2", notes="two\nlines")
    store.move("fit#3", "tuned")
    store.delete("fit#4")
    store.queries["good"] = "params.lr < 1"
    store.directions["wobble"] = "min"
    wait_until_done(60)  # with the texts that are captured later


def told(store):
    """Return all that a store knows of its runs."""
    runs = store.list(limit=100)
    return [run.reference for run in store.trash()], [
        (
            run.uid, run.reference, run.status, run.params, run.tags, run.notes, run.error,
            [
                [repr(value) for value in store.series_of(run, one.key).values]
                for one in store.metrics_of(run)
            ],
            store.artifacts_of(run),
            [str(line) for line in store.output_of(run)],
            [(event.field, event.old, event.new, event.at) for event in store.events(run)],
            store.documents(run),
        )
        for run in sorted(runs, key=lambda run: run.uid)
    ]  # fmt: skip


def test_a_copy_is_the_same_store(places):
    source, target = places
    with Store.open(source) as store:
        fill(store)
        expected = told(store)
        copied = store.copy(target)

    assert unquote(str(copied)) == unquote(str(target))
    with Store.open(target, create=False) as copy:
        assert told(copy) == expected
        assert copy.get("fit#2").read_bytes("model.bin") == bytes(range(256))
        assert copy.queries["good"] == "params.lr < 1"
        assert copy.directions["wobble"] == "min"
        found = copy.find("params.lr > 0 and metrics.loss.first < 1")
        assert sorted(run.params["lr"] for run in found) == [0.1, 0.2]
        assert copy.verify().problems == ()
        assert not [finding for finding in copy.check(deep=True) if finding.is_trouble]
        assert copy.start("fit", params={"lr": 9}, capture=False).run_number == 5
        assert len(copy.find("params.lr = 9")) == 1
        assert [undone.reference for undone in copy.undo()] == expected[0]


def test_the_search_index_of_a_server_is_not_copied(empty, tmp_path):
    """A server with pg_trgm has its table, and a folder has none."""
    import psycopg

    Store.open(empty).close()
    with psycopg.connect(empty, autocommit=True) as server:
        server.execute("CREATE TABLE IF NOT EXISTS search_texts (digest TEXT, part BIGINT)")

    with Store.open(tmp_path / "store") as store:
        store.start("fit", capture=False).finish()
        store.copy(empty)

    with Store.open(empty) as copy:
        assert [run.experiment_name for run in copy.list()] == ["fit"]


KILLED = """
import os, signal, sys, runstore
from runstore.maintenance import copying
copying.copy_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runstore.Store.open(sys.argv[1]).copy(sys.argv[2])
"""


def record_with_files(store):
    run = store.start("fit", capture=False, full_store=True)
    folder = store.folder_of(run.reference)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("plain")
    run.finish()


def test_a_copy_to_a_server_that_was_killed_can_be_repeated(empty, tmp_path):
    """Plain files of runs are in a folder of this machine, and not in the database."""
    with Store.open(tmp_path / "store") as store:
        record_with_files(store)
        killed = [sys.executable, "-c", KILLED, str(store.path), empty]
        assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL

        store.copy(empty)

    with Store.open(empty, create=False) as copy:
        folder = copy.folder_of(copy.get("fit#1").reference)
        assert (folder / "notes.txt").read_text() == "plain"
        assert not list(copy.path.glob(".runstore-copy-*"))


def test_plain_files_of_an_earlier_database_are_not_overwritten(empty, tmp_path):
    with Store.open(empty) as other:
        precious = other.path / "runs" / "old" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("data")

    with Store.open(tmp_path / "store") as store:
        record_with_files(store)
        with pytest.raises(ConflictError, match="runs already exists"):
            store.copy(empty)

    assert precious.read_text() == "data"
    with Store.open(empty, create=False) as other:
        assert len(other.list()) == 0


def test_filters_on_a_copy_find_the_parameters_of_the_newest_runs(empty, tmp_path):
    """In a folder, their rows are written by the next search, or after some dozens of runs."""
    with Store.open(tmp_path / "store") as store:
        for lr in (0.1, 0.2):
            store.start("fit", params={"lr": lr}, capture=False).finish()
        store.copy(empty)

    with Store.open(empty) as copy:
        assert [run.params["lr"] for run in copy.find("params.lr > 0 order by params.lr")] == [
            0.1, 0.2,
        ]  # fmt: skip
        assert not [finding for finding in copy.check() if finding.is_trouble]


def test_views_of_a_server_and_of_a_folder_have_the_same_texts(empty, tmp_path):
    import psycopg

    begin = datetime(2026, 1, 1, 10, 0, 0, 600, timezone.utc)  # of which views show milliseconds
    with Store.open(tmp_path / "store") as store:
        store.record("bare", started_at=begin)
        store.record(
            "fit", started_at=begin, params={"lr": 0.1}, metrics={"a": 0.25}, tags={"b": 1}
        )
        store.copy(empty)

    columns = "started_at, ended_at, params, metrics, tags"
    read = f"SELECT {columns} FROM runs_flat ORDER BY run_id"  # noqa: S608
    with psycopg.connect(empty) as server:
        found = server.execute(read).fetchall()
    with closing(sqlite3.connect(tmp_path / "store" / DATABASE)) as file:
        expected = file.execute(read).fetchall()

    assert found[0] == expected[0] == ("2026-01-01T10:00:00.001Z", None, "{}", "{}", "{}")
    assert found[1][:2] == expected[1][:2]
    for one, other in zip(found[1][2:], expected[1][2:], strict=True):
        assert json.loads(one) == json.loads(other)


def test_a_copy_of_a_store_in_use_has_whole_runs(url, empty):
    with Store.open(url) as store:
        is_over = threading.Event()

        def record():
            while not is_over.is_set():
                with store.start("fit", params={"lr": 1}, capture=False) as run:
                    run.log(loss=1.0)
                    run.save("model.bin", run.uid.encode())

        writers = [threading.Thread(target=record) for _ in range(2)]
        for one in writers:
            one.start()
        try:
            while len(store.list()) < 5:
                pass
            store.copy(empty)
        finally:
            is_over.set()
            for one in writers:
                one.join()

    with Store.open(empty) as copy:
        runs = copy.list(limit=1000)
        assert sorted(run.run_number for run in runs) == list(range(1, len(runs) + 1))
        for run in runs:
            assert run.params == {"lr": 1}
            for name in copy.artifacts_of(run):
                assert run.read_bytes(name) == run.uid.encode()


def test_a_database_with_runs_is_refused(url, tmp_path):
    with Store.open(url) as other:
        other.start("mine", capture=False).finish()
        with Store.open(tmp_path / "store") as store:
            store.start("fit", capture=False).finish()
            with pytest.raises(ConflictError, match="already has runs"):
                store.copy(url)

        assert [run.experiment_name for run in other.list()] == ["mine"]
        with pytest.raises(ConflictError, match="already has runs"):
            other.copy(url)
        with pytest.raises(UsageError, match="neither a folder nor a database"):
            other.copy("mysql://host/runs")


def test_a_copy_that_fails_leaves_nothing(url, tmp_path, monkeypatch):
    from runstore.storage.sqlite.driver import SQLiteDriver

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SQLiteDriver, "adopt_rows", full)
    with Store.open(url) as store:
        fill(store)
        with pytest.raises(OSError, match="No space left"):
            store.copy(tmp_path / "copy")

    assert list(tmp_path.iterdir()) == []


def test_the_lists_of_tables_agree(url, tmp_path):
    with Store.open(url) as server, Store.open(tmp_path / "store") as folder:
        drivers = [one.backend.database.driver for one in (server, folder)]
        found = []
        for driver in drivers:
            with driver.read() as connection:
                found.append({one.name: set(one.columns) for one in driver.tables(connection)})

    found[0].pop("search_texts", None)  # if the server has pg_trgm
    assert found[0].keys() - found[1].keys() == {"objects", "object_parts"}
    assert {name: found[0][name] for name in found[1]} == found[1]
