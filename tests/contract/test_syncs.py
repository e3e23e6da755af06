"""What is acknowledged has reached the disk: `kill -9` cannot tell, the calls can.

A file is synced before it gets its name, and its folder afterwards: else a power cut may leave
the name without the contents, or neither.
"""

import io
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runstore.errors import StoreWarning
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import KeyOf, PointFile
from runstore.storage.trust.trusted import list_file, trust

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def calls(monkeypatch):
    """Return a list of what was synced and renamed: (call, name of the file or folder)."""
    made = []
    fsync, replace, path_replace = os.fsync, os.replace, Path.replace

    def noting_fsync(file):
        number = file if isinstance(file, int) else file.fileno()
        made.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))
        return fsync(file)

    def noting_replace(old, new, **more):
        made.append(("rename", Path(new).name))
        return replace(old, new, **more)

    def noting_path_replace(path, new):
        made.append(("rename", Path(new).name))
        return path_replace(path, new)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    monkeypatch.setattr(Path, "replace", noting_path_replace)
    return made


def is_durable(calls, name, folder):
    """Tell whether a file was synced, then named, and then its folder was synced."""
    place = calls.index(("rename", name))
    before, after = calls[:place], calls[place + 1 :]
    return any(call == "sync" for call, _ in before) and ("sync", folder) in after


def test_contents_are_durable_when_they_have_their_name(store, calls):
    run = store.start("bert", capture=False)
    calls.clear()

    (saved,) = run.save("model.bin", b"weights")

    assert is_durable(calls, saved.digest[2:], saved.digest[:2])
    assert ("sync", "objects") in calls
    run.finish()


def test_contents_of_a_stream_are_durable(store, calls):
    run = store.start("bert", capture=False)
    calls.clear()

    (saved,) = run.save("model.bin", io.BytesIO(b"other weights"))

    assert is_durable(calls, saved.digest[2:], saved.digest[:2])
    run.finish()


def test_what_is_kept_aside_is_durable(store, calls):
    run = store.start("bert", capture=False)
    with closing(sqlite3.connect(store.path / "runstore.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        store.database.driver.busy_timeout_s = 0.0
        calls.clear()
        with (
            pytest.warns(StoreWarning, match="Kept in"),
            store.database.driver.hurried(0.0),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("runstore.recording.deferred.PATIENCE_S", 0.0)
            run.tags["phase"] = "pilot"

    (record,) = (store.path / "spool").glob("*.json")
    assert is_durable(calls, record.name, "spool")
    run.finish()


def test_the_copy_before_a_migration_is_durable(store, calls):
    store.start("bert", capture=False).finish()
    calls.clear()

    store.database.driver.copy_aside("before-schema-0001")

    assert is_durable(calls, "runstore.db.before-schema-0001", store.path.name)


def test_points_are_brought_to_the_disk(tmp_path, calls):
    file = PointFile(tmp_path / "a.points", 10)
    file.say_series(KeyOf(-1, "loss"), 0)
    file.write_many(0, Columns([0], [0], [0.5]))

    file.sync()
    file.sync()

    assert calls == [("sync", "a.points"), ("sync", tmp_path.name), ("sync", "a.points")]
    file.seal()


def test_the_list_of_trusted_folders_is_durable(tmp_path, monkeypatch, calls):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    trust(str(tmp_path))

    assert is_durable(calls, list_file().name, list_file().parent.name)


def test_every_connection_that_writes_syncs_each_transaction(store):
    with store.database.driver.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
