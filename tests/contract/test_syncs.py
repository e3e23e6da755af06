"""What is acknowledged has reached the disk: `kill -9` cannot tell, the calls can.

A file is synced before it gets its name, and its folder afterwards: else a power cut may leave
the name without the contents, or neither.
"""

import errno
import io
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from managers import Manager, blocks_of
from runstore import ManagerStore, Store
from runstore.errors import StoreWarning
from runstore.storage.files.safe_files import write_whole
from runstore.storage.fulltext.index_file import SearchFile
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import PointFile
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.sqlite.paths import make_folders
from runstore.storage.trust.trusted import list_file, trust
from runstore.store_json.file import set_aside, write_block_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


# Calls that give something a name; those of `Path` are noted as well, since not every Python makes
# them through `os`.
NAMING = {
    (os, "replace"): "rename",
    (Path, "replace"): "rename",
    (os, "rename"): "rename",
    (Path, "rename"): "rename",
    (os, "link"): "link",
    (os, "mkdir"): "make",
    (Path, "mkdir"): "make",
}


@pytest.fixture
def calls(monkeypatch):
    """Return a list of what was synced, named and made: (call, name of the file or folder).

    Calls of other threads are left out: runs of earlier tests may still go on there.
    """
    made = []

    def noting(call, original, names):
        def called(*arguments, **options):
            result = original(*arguments, **options)
            note = (call, Path(arguments[min(names, len(arguments)) - 1]).name)
            if note not in made[-1:] and is_ours():
                made.append(note)
            return result

        return called

    def noting_fsync(file):
        number = file if isinstance(file, int) else file.fileno()
        if is_ours():
            made.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))
        return fsync(file)

    def is_ours():
        return threading.current_thread() is threading.main_thread()

    for (owner, name), call in NAMING.items():
        names = 1 if call == "make" else 2
        monkeypatch.setattr(owner, name, noting(call, getattr(owner, name), names))
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", noting_fsync)
    return made


def is_durable(calls, name, folder):
    """Tell whether a file was synced, then named, and then its folder was synced."""
    place = calls.index(("rename", name))
    before, after = calls[:place], calls[place + 1 :]
    return any(call == "sync" for call, _ in before) and ("sync", folder) in after


def is_synced_after(calls, call, folder):
    """Tell whether the folder of a new name was synced, after the name was there."""
    return ("sync", folder) in calls[calls.index(call) + 1 :]


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
        store.backend.database.driver.busy_timeout_s = 0.0
        calls.clear()
        with (
            pytest.warns(StoreWarning, match="Kept in"),
            store.backend.database.driver.hurried(0.0),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("runstore.inflight.deferred.PATIENCE_S", 0.0)
            run.tags["phase"] = "pilot"

    (record,) = (store.path / "spool").glob("*.json")
    assert is_durable(calls, record.name, "spool")
    run.finish()


def test_the_copy_before_a_migration_is_durable(store, calls):
    store.start("bert", capture=False).finish()
    calls.clear()

    store.backend.database.driver.copy_aside("before-schema-0001")

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
    with store.backend.database.driver.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize("name", ["store", "above/store", ".runstore"])
def test_the_folders_of_a_new_store_are_durable(tmp_path, calls, name):
    folder = tmp_path / name

    with Store.open(folder):
        pass

    chain = [folder, *folder.parents]
    for one in chain[: chain.index(tmp_path)]:
        assert is_synced_after(calls, ("make", one.name), one.parent.name)


def test_the_folder_of_what_is_in_flight_is_durable(store, calls):
    with store.start("bert", capture=False) as run:
        run.log(loss=0.5)

    assert is_synced_after(calls, ("make", "spool"), "store")


def test_the_user_s_own_place_is_durable(store, monkeypatch, tmp_path, calls):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    place = store.backend.spool.own_place()

    for one in (place, place.parent, place.parent.parent):
        assert is_synced_after(calls, ("make", one.name), one.parent.name)


def test_folders_of_contents_are_durable(store, calls):
    with store.start("bert", capture=False) as run:
        (saved,) = run.save("model.bin", b"weights")

    assert is_synced_after(calls, ("make", "objects"), "store")
    assert is_synced_after(calls, ("make", saved.digest[:2]), "objects")


def test_a_file_that_is_written_whole_is_durable(tmp_path, calls):
    write_whole(tmp_path / "run.json", "{}", levels=1)

    ((_, aside), *_) = calls
    assert calls == [("sync", aside), ("rename", "run.json"), ("sync", tmp_path.name)]
    assert aside.startswith(".run.json.")


def test_folders_that_are_made_on_the_way_are_durable(tmp_path, calls):
    make_folders(tmp_path / "a" / "b")

    assert calls == [
        ("make", "a"),
        ("sync", tmp_path.name),
        ("make", "b"),
        ("sync", "a"),
    ]


def test_the_list_of_runs_is_durable_before_anything_is_remembered_of_it(tmp_path, calls):
    manager_store, manager = ManagerStore(tmp_path / "kept"), Manager()
    calls.clear()

    manager_store.add_run(manager)

    name = ".store.json.new"
    at = calls.index(("sync", name))
    assert calls[at:][:3] == [("sync", name), ("rename", "store.json"), ("sync", "kept")]
    manager.status = "complete"
    manager_store.update_run(manager)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_damaged_list_is_kept_durably_before_it_is_replaced(
    tmp_path, calls, monkeypatch, has_links
):
    path = tmp_path / "store.json"
    path.write_text("damaged")
    if not has_links:
        monkeypatch.setattr(os, "link", lambda *_: os.fstat(-1))
    before = path.stat().st_mtime_ns

    aside = set_aside(path)

    assert (aside.read_text(), path.read_text()) == ("damaged", "damaged")
    assert aside.stat().st_mtime_ns == before
    named = ("link", aside.name) if has_links else ("sync", aside.name)
    assert calls == [named, ("sync", tmp_path.name)]


def test_a_search_index_that_is_none_of_ours_is_kept_durably(store, calls):
    index = SearchFile(store.path / "runstore.db")
    index.path.write_bytes(b"somebody's notes")
    calls.clear()

    kept = Path(index.remove())

    assert kept.read_bytes() == b"somebody's notes"
    assert calls == [("rename", kept.name), ("sync", store.path.name)]


def written_by(name, folder, store):
    """Let something write a small file, and return where it is."""
    path = folder / "file.json"
    if name == "contents":
        digest = store.backend.objects.keep_bytes(b"12345").digest
        return store.backend.objects.path_of(digest)
    if name == "stream":
        digest = store.backend.objects.keep_stream(io.BytesIO(b"54321")).digest
        return store.backend.objects.path_of(digest)
    if name == "record":
        return store.backend.spool.keep("uid", "notes", {"notes": "text"})
    if name == "text":
        write_whole(path, "text", levels=1)
    elif name == "list":
        write_block_file(path, [b"[]"])
    elif name == "trust":
        trust(str(folder))
        return list_file()
    else:
        path.write_text("damaged")
        return set_aside(path)
    return path


@pytest.mark.parametrize(
    "name", ["contents", "stream", "record", "text", "list", "trust", "damaged list"]
)
def test_all_of_a_file_is_synced(store, tmp_path, monkeypatch, name):
    """What is still in a buffer when a file is synced is not on the disk."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(os, "link", lambda *_, **__: os.fstat(-1))
    synced, fsync = {}, os.fsync

    def noting(descriptor):
        found = os.fstat(descriptor)
        synced[found.st_ino] = found.st_size
        return fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)

    path = written_by(name, tmp_path, store)

    found = path.stat()
    assert found.st_size > 0
    assert synced[found.st_ino] == found.st_size


# A disk that fails


@pytest.fixture
def failing(monkeypatch):
    """Let the sync of folders below one fail with an error; the names of those folders."""
    errors, asked, real = [], [], os.fsync

    def fsync(file):
        number = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{number}").readlink()
        for error, above in errors:
            if path.is_dir() and path.is_relative_to(above):
                asked.append(path.name)
                raise OSError(error, os.strerror(error))
        return real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    return errors, asked


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_contents_whose_name_may_be_lost_are_not_acknowledged(store, failing, number):
    """The next save of the same contents syncs again."""
    errors, asked = failing
    errors.append((number, store.path))
    contents = store.backend.objects
    for _ in range(2):
        asked.clear()
        with pytest.raises(OSError, match=os.strerror(number)):
            contents.keep_bytes(b"weights")
        assert asked

    errors.clear()

    assert contents.whole(*contents.keep_bytes(b"weights")).read_bytes() == b"weights"


def test_a_system_that_cannot_sync_folders_is_used(store, failing):
    errors, asked = failing
    errors.append((errno.EINVAL, store.path))

    with store.start("bert", capture=False) as run:
        run.save("model.bin", b"weights")

    assert asked
    assert store.get("bert#1").read_bytes("model.bin") == b"weights"


@pytest.mark.parametrize("fails", ["store", "all"])
def test_a_program_goes_on_if_a_disk_cannot_sync_folders(
    store, failing, fails, monkeypatch, tmp_path
):
    """Contents are kept on another disk, or otherwise as well as possible."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    errors, _ = failing
    names = {"store": [], "all": ["model.bin"]}[fails]
    told = "a power cut could remove them.*Input/output error" if names else "Kept in"
    with store.start("bert", capture=False) as run, pytest.warns(StoreWarning, match=told):
        errors.append((errno.EIO, Path("/") if names else store.path))
        run.save("model.bin", b"weights")
        assert list(run.record.artifacts) == names
        errors.clear()

    with Store.open(store.path) as again:
        assert again.get("bert#1").read_bytes("model.bin") == b"weights"


def test_a_block_file_whose_name_may_be_lost_is_reported_and_written_again(tmp_path, failing):
    errors, _ = failing
    store = ManagerStore(tmp_path)
    store.add_run(Manager())
    errors.append((errno.EIO, tmp_path))
    with pytest.warns(
        StoreWarning, match=r"could not be written: Input/output error\. The run is"
    ):
        store.add_run(Manager())
    errors.clear()

    store.add_run(Manager())

    assert [block["run_number"] for block in blocks_of(tmp_path)] == [1, 2, 3]
