"""A store that is removed, moved or replaced under a process that has it open."""

import errno
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import contextmanager

import pytest

from runstore import Store, StoreWarning
from runstore.errors import StoreLockedError, StoreUnavailableError
from runstore.storage.sqlite import opening, pool
from runstore.storage.sqlite.database_file import DatabaseFile
from runstore.storage.sqlite.paths import DATABASE


@pytest.fixture
def opened(location):
    with Store.open(location) as store:
        yield store


def in_a_thread(work):
    """Do work on a connection of its own, and return what it raised."""
    raised = []

    def caught():
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed on
            raised.append(error)

    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    return raised


def test_no_later_connection_makes_a_store(opened, location):
    shutil.rmtree(location)
    location.mkdir()

    with pytest.raises(StoreUnavailableError) as here:
        opened.start("fit", capture=False)
    (there,) = in_a_thread(lambda: opened.start("fit", capture=False))

    assert "removed" in str(here.value)
    assert isinstance(there, StoreUnavailableError)
    assert list(location.iterdir()) == []


def test_a_store_made_in_its_place_is_another_one(opened, location):
    opened.start("old", capture=False).finish()
    shutil.rmtree(location)
    with Store.open(location) as made:
        new = made.start("new", capture=False)

        assert len(in_a_thread(lambda: opened.finish("new#1"))) == 1
        with pytest.raises(StoreUnavailableError):
            opened.list()

        assert made.get("new#1").status.value == "running"
        new.finish()
    assert not opened.backend.is_in_place


def test_the_same_inode_number_makes_no_second_file_the_first(location):
    """File systems give the number of a removed file to the next one."""
    first = Store.open(location)
    first.backend.database.driver.close()
    seen = first.backend.database.driver.file
    for _ in range(8):
        shutil.rmtree(location)
        Store.open(location).close()
        assert not seen.is_in_place


@pytest.mark.parametrize("is_moved", [True, False])
def test_the_program_of_a_run_goes_on_and_its_end_is_kept(opened, location, tmp_path, is_moved):
    run = opened.start("fit", capture=False)
    location.rename(tmp_path / "elsewhere") if is_moved else shutil.rmtree(location)

    with pytest.warns(StoreWarning) as said:
        for step in range(10):
            run.log(loss=1.0 / (step + 1))
        run.tags["phase"] = "pilot"
        run.save("model.bin", b"weights")
        run.use(__file__)
        run.edit(notes="well")
        run.finish()
    opened.close()

    assert any("Kept in" in str(one.message) for one in said)
    if is_moved:
        with Store.open(tmp_path / "elsewhere") as again:
            kept = again.get("fit#1")
            assert (kept.status.value, kept.notes, dict(kept.tags)) == (
                "complete", "well", {"phase": "pilot"},
            )  # fmt: skip
            assert kept.read_bytes("model.bin") == b"weights"
            assert len(kept.metric("loss").values) == 10


def test_a_moved_store_gets_its_data_although_another_took_its_place(location, tmp_path):
    opened = Store.open(location)
    run = opened.start("fit", capture=False)
    location.rename(tmp_path / "elsewhere")
    Store.open(location).close()
    before = sorted(location.rglob("*"))

    with pytest.warns(StoreWarning, match=r"moved, removed or replaced"):
        run.tags["phase"] = "pilot"
        run.params.update(lr=0.1)
        run.save("model.bin", b"weights")
        run.log(loss=0.5)
        run.finish()
    opened.close()

    assert sorted(location.rglob("*")) == before
    with Store.open(location) as other:
        assert list(other.list()) == []
    with Store.open(tmp_path / "elsewhere") as moved:
        found = moved.get("fit#1")
        assert found.status == "complete"
        assert (found.tags, found.params) == ({"phase": "pilot"}, {"lr": 0.1})
        assert found.read_bytes("model.bin") == b"weights"
        assert found.metrics["loss"].last == 0.5


def test_a_folder_that_may_not_be_entered_any_more_ends_nothing(location, denied):
    """As when an administrator changes its owner while a program records."""
    with Store.open(location) as opened:
        run = opened.start("fit", capture=False)
        run.log(loss=0.5)
        run.tags["phase"] = "pilot"

        with denied(location), pytest.warns(StoreWarning) as said:
            run.log(loss=0.25)
            run.finish()

    assert any("are kept in the spool" in str(one.message) for one in said)
    with Store.open(location) as again:
        assert again.get("fit#1").metrics["loss"].count == 2


@pytest.fixture
def denied(monkeypatch):
    """Deny this process every access to a folder."""

    @contextmanager
    def deny(folder):
        nobody = 54321
        folder.chmod(0)
        with tempfile.TemporaryDirectory() as state:
            monkeypatch.setenv("XDG_STATE_HOME", state)
            if os.geteuid() == 0:  # root may enter everything
                os.chown(state, nobody, -1)
                os.seteuid(nobody)
                try:
                    yield
                finally:
                    os.seteuid(0)
            else:
                yield
        folder.chmod(0o700)

    return deny


def test_what_a_removed_database_left_does_not_become_part_of_the_next(location):
    with Store.open(location) as store:
        store.start("old", capture=False).finish()
        (location / DATABASE).unlink()  # its log and shared memory stay: the store is open
        assert (location / f"{DATABASE}-wal").exists()
        with Store.open(location) as made:
            assert len(made.list()) == 0
            made.start("new", capture=False).finish()
            with pytest.raises(StoreUnavailableError):
                store.list()

    with Store.open(location) as again:
        assert [run.experiment_name for run in again.list()] == ["new"]
    assert [one for one in location.iterdir() if ".left-" in one.name]


def test_a_database_whose_disk_fails_for_a_moment_keeps_its_log(location, opened, monkeypatch):
    """Its newest runs are only in the log."""
    opened.start("bert", capture=False).finish()
    before = sorted(location.iterdir())

    def fail(*_args, **_options):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", fail)
        DatabaseFile(str(location / DATABASE)).make()

    assert sorted(location.iterdir()) == before


def test_a_copy_of_a_store_reports_a_place_that_cannot_be_reached(location):
    with Store.open(location) as store:
        copy = pickle.dumps(store)
    shutil.rmtree(location)
    location.symlink_to(location.name)

    with pytest.raises(StoreUnavailableError):
        pickle.loads(copy).list()  # noqa: S301 - its own


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_replaced_database_does_not_meet_the_log_of_the_old_one(location, tmp_path, is_closed):
    """SQLite takes whatever log has the name of the file's own, and damages the file with it."""
    with Store.open(tmp_path / "other") as other:
        other.start("other", notes="o" * 9000, capture=False).finish()
    store = Store.open(location)
    store.start("old", notes="n" * 9000, capture=False).finish()
    (tmp_path / "other" / DATABASE).replace(location / DATABASE)
    if is_closed:
        store.close()

    with Store.open(location) as replaced:
        names = [run.experiment_name for run in replaced.list()]
        replaced.start("new", capture=False).finish()
        problems = replaced.backend.database.driver.problems(is_deep=True)
    store.close()

    assert names == ["other"]
    assert problems == []
    with Store.open(location) as again:
        assert [run.experiment_name for run in again.list()] == ["new", "other"]


@pytest.fixture
def while_a_connection_is_opened(monkeypatch):
    """Return a function that sets what happens once, as soon as the next file was opened."""
    usual = opening.distrust

    def do(work):
        def distrust(connection):
            monkeypatch.setattr(opening, "distrust", usual)
            work()
            usual(connection)

        monkeypatch.setattr(opening, "distrust", distrust)

    return do


def test_a_store_that_took_its_place_keeps_its_log(
    location, tmp_path, while_a_connection_is_opened
):
    """SQLite opens the log by its name, even if the database has another one by now."""

    def replace():
        location.rename(tmp_path / "elsewhere")
        (tmp_path / "other").rename(location)

    with Store.open(location) as old, Store.open(tmp_path / "open") as open_one:
        open_one.start("new", capture=False).finish()
        # As a process that is killed leaves it, with a log.
        shutil.copytree(tmp_path / "open", tmp_path / "other")
        while_a_connection_is_opened(replace)
        (error,) = in_a_thread(old.list)

    assert isinstance(error, StoreUnavailableError)
    with Store.open(location) as again:
        assert [run.experiment_name for run in again.list()] == ["new"]


def test_a_store_is_made_again_once_nobody_opens_the_old_one(
    location, tmp_path, monkeypatch, while_a_connection_is_opened
):
    """Two files of one name in a process would share their memory, and no lock would tell."""

    def make_again():
        monkeypatch.setattr(pool, "_REPLACED_PATIENCE_S", 0)
        location.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreLockedError, match="was using the old file"):
            Store.open(location)

    with Store.open(location) as old:
        while_a_connection_is_opened(make_again)
        (error,) = in_a_thread(old.list)
        assert isinstance(error, StoreUnavailableError)

        Store.open(location).close()


def test_a_database_that_is_replaced_while_it_is_opened_first_is_not_written(
    location, tmp_path, monkeypatch
):
    """The runs would be lost with the old file, which has no name any more."""
    connect = sqlite3.connect

    def connect_and_replace(*arguments, **options):
        opened = connect(*arguments, **options)
        monkeypatch.setattr(sqlite3, "connect", connect)
        location.rename(tmp_path / "elsewhere")
        (tmp_path / "other").rename(location)
        return opened

    for place in (location, tmp_path / "other"):
        Store.open(place).close()
    monkeypatch.setattr(sqlite3, "connect", connect_and_replace)

    with pytest.raises(StoreUnavailableError, match="moved, removed or replaced"):
        Store.open(location)

    Store.open(location).close()


REMADE = """
import contextlib, os, shutil, sys, threading, warnings
import runstore
from runstore.recording import live_runs
warnings.simplefilter("ignore")
live_runs.HEARTBEAT_S = 0.005
folder, rounds = sys.argv[1], int(sys.argv[2])
older, over = [], threading.Event()
runstore.Store.open(folder + "-empty").close()
empty = folder + "-empty/runstore.db"

def use(store):
    try:
        store.start("background", capture=False).finish()
        store.list(limit=2)
    except runstore.RunstoreError:
        pass

def use_older_stores():
    while not over.is_set():
        for store in older[-3:]:
            thread = threading.Thread(target=use, args=[store])  # on a connection of its own
            thread.start(); thread.join()

threads = [threading.Thread(target=use_older_stores) for _ in range(3)]
for one in threads: one.start()
try:
    for number in range(rounds):
        store = runstore.Store.open(folder)
        older.append(store)
        run = store.start("fit", capture=number % 4 == 0)
        run.log(loss=1.0)
        if number % 2: run.finish()
        runstore.ManagerStore(folder)
        if number % 3 == 1:
            shutil.copy(empty, folder + "/new.db")
            # Whoever replaces a database takes its log away; its shared memory stays here.
            with contextlib.suppress(FileNotFoundError): os.unlink(folder + "/runstore.db-wal")
            os.replace(folder + "/new.db", folder + "/runstore.db")
            continue
        while os.path.exists(folder): shutil.rmtree(folder, ignore_errors=True)
finally:
    over.set()
    for one in threads: one.join()
print("end", flush=True)
os._exit(0)  # the runs that are left open are none of this test's matters
"""


def test_a_store_that_is_remade_again_and_again_hurts_nobody(location, campaign_rounds):
    """Or replaced, while older stores of the same process go on: heartbeats, captures, threads."""
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(REMADE),
         str(location), str(campaign_rounds)],
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (0, "end\n"), ended.stderr[-3000:]
