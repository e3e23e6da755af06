"""A store from somebody else: links in the place of its database, its index, its lists."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from runstore import ArtifactManager, ManagerStore, Store, StoreWarning
from runstore.artifacts.inputs import Lineage
from runstore.errors import (
    InvalidValueError,
    StoreCorruptError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.runner.run_folder import write_beginning
from runstore.storage.files.safe_files import write_whole

BESIDE = ("-wal", "-shm", "-journal")


def planted(path, target, how):
    """Put a link of a kind in the place of a file."""
    path.unlink(missing_ok=True)
    if how == "link":
        path.symlink_to(target)
    else:
        os.link(target, path)


def runs_in(folder):
    with Store.open(folder, create=False) as store:
        return [run.reference for run in store.list()]


# The database


def socket_at(path):
    """Make the file of a socket that nobody listens to."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


def test_a_database_on_another_disk_works_through_a_link(given, tmp_path):
    """Its log stays beside the database itself, and moving on loses nothing."""
    (tmp_path / "disk").mkdir()
    shutil.move(given / "runstore.db", tmp_path / "disk" / "runs.db")
    (given / "runstore.db").symlink_to(tmp_path / "disk" / "runs.db")

    with Store.open(given) as store, store.start("fit", capture=False) as run:
        run.log(loss=1.0)

    assert (given / "runstore.db").is_symlink()
    assert len(runs_in(given)) == 2
    assert not any(given.glob("runstore.db-*"))
    with Store.open(given) as store:
        assert store.check() == ()


def test_a_database_that_is_replaced_behind_its_link_is_told_from_the_first(given, tmp_path):
    shutil.move(given / "runstore.db", tmp_path / "runs.db")
    (given / "runstore.db").symlink_to(tmp_path / "runs.db")
    with Store.open(given) as store:
        store.start("fit", capture=False).finish()
        (tmp_path / "runs.db").unlink()
        with pytest.raises(StoreUnavailableError, match="moved, removed or replaced"):
            store.list()
    assert not (tmp_path / "runs.db").exists()


@pytest.mark.parametrize("target", ["missing.db", "missing/runs.db", "Documents"])
def test_a_link_that_leads_to_no_database_makes_none(given, outside, target):
    (given / "runstore.db").unlink()
    (given / "runstore.db").symlink_to(outside / target)

    with pytest.raises(StoreUnavailableError, match="link"):
        Store.open(given)


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("how", ["link", "hard link"])
def test_a_database_of_another_program_is_not_changed(given, tmp_path, how, mode):
    other = tmp_path / "places.sqlite"
    connection = sqlite3.connect(other)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE precious (x)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    planted(given / "runstore.db", other, how)

    with pytest.raises((StoreCorruptError, StoreUnavailableError)):
        Store.open(given)

    assert other.read_bytes() == before
    assert list(tmp_path.glob("places.sqlite-*")) == []


def test_a_second_name_of_a_database_is_read_and_not_written(given, tmp_path, recorded):
    shutil.copytree(recorded[0], tmp_path / "mine")
    before = (tmp_path / "mine" / "runstore.db").read_bytes()
    planted(given / "runstore.db", tmp_path / "mine" / "runstore.db", "hard link")

    with Store.open(given) as store:
        assert store.get("fit#1").status == "complete"
        with pytest.raises(StoreReadOnlyError, match="hard link"):
            store.start("fit", capture=False)

    assert (tmp_path / "mine" / "runstore.db").read_bytes() == before


@pytest.mark.parametrize(
    "made", [os.mkfifo, os.mkdir, socket_at], ids=["pipe", "folder", "socket"]
)
def test_what_is_no_file_in_the_place_of_a_database_is_not_opened(given, made):
    (given / "runstore.db").unlink()
    made(given / "runstore.db")

    # Opening a pipe would wait for ever.
    for opened in (lambda: Store.open(given), lambda: Store.open(given, create=False)):
        with pytest.raises(StoreUnavailableError, match="is not a regular file"):
            opened()


@pytest.mark.parametrize("how", ["link", "hard link", "pipe"])
@pytest.mark.parametrize("ending", BESIDE)
def test_what_stands_in_the_place_of_the_log_is_not_touched(given, outside, ending, how):
    path = given / f"runstore.db{ending}"
    if how == "pipe":
        os.mkfifo(path)
    else:
        planted(path, outside / "id_rsa", how)

    with pytest.raises(
        StoreUnavailableError, match=f"runstore.db{ending} is (not a regular file|a hard link)"
    ):
        Store.open(given)

    path.unlink()
    assert len(runs_in(given)) == 1


def test_a_log_is_not_copied_from_elsewhere_to_be_read(given, outside, tmp_path, monkeypatch):
    """Where the database cannot be written, it is copied with its log."""
    from runstore.storage.sqlite.read_only import ways_to_read

    os.mkfifo(given / "runstore.db-wal")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    assert [way.copy for way in ways_to_read(given / "runstore.db")] == [None, None]


KILLED = """
import os, signal, sys
from pathlib import Path
from runstore.storage.sqlite.read_only import ways_to_read
assert len(list(ways_to_read(Path(sys.argv[1]), leave_alone=True))) == 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_copy_of_a_killed_reader_is_removed_by_the_next_one(tmp_path, monkeypatch):
    """It is as large as the database, in the folder for temporary files."""
    from runstore.storage.sqlite.read_only import ways_to_read

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with Store.open(tmp_path / "store") as store:
        store.start("fit", capture=False).finish()  # is in the log
        path = store.path / "runstore.db"
        words = [sys.executable, "-c", KILLED, str(path)]
        ended = subprocess.run(words, env={**os.environ, "TMPDIR": str(temporary)}, check=False)
        assert ended.returncode == -signal.SIGKILL
        assert len(list(temporary.iterdir())) == 2  # the folder and its lock

        (way,) = ways_to_read(path, leave_alone=True)

    assert way.copy is not None
    assert len(list(temporary.iterdir())) == 2  # the folder and its lock
    way.copy.remove()
    assert list(temporary.iterdir()) == []


def older(folder):
    """Take a store back to the schema before the last one."""
    from runstore.storage.statements import SCHEMA_VERSION

    with contextlib.closing(sqlite3.connect(folder / "runstore.db")) as connection, connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = ?", (SCHEMA_VERSION,))
    return f"runstore.db.before-schema-{SCHEMA_VERSION:04d}"


@pytest.mark.parametrize("how", ["link", "hard link"])
def test_the_copy_before_a_migration_replaces_a_link_and_not_its_target(given, tmp_path, how):
    target = tmp_path / "precious.db"
    target.write_bytes(b"precious")
    name = older(given)
    planted(given / name, target, how)

    with suppress_store_errors():
        Store.open(given).close()

    assert target.read_bytes() == b"precious"
    assert stat.S_ISREG((given / name).lstat().st_mode)
    assert not (given / name).samefile(target)
    assert (given / name).read_bytes().startswith(b"SQLite format 3")
    assert [one.name for one in given.glob(f"{name}.*")] == []


def suppress_store_errors():
    """Steps of the schema cannot run twice: what is looked at happens before them."""
    import contextlib

    return contextlib.suppress(OSError)


def test_the_copy_before_a_migration_holds_the_text_of_a_linked_database(given, tmp_path):
    shutil.move(given / "runstore.db", tmp_path / "runs.db")
    (given / "runstore.db").symlink_to(tmp_path / "runs.db")
    name = older(given)

    with suppress_store_errors():
        Store.open(given).close()

    assert not (given / name).is_symlink()
    assert (given / name).stat().st_size == (tmp_path / "runs.db").stat().st_size


# The search index


@pytest.mark.parametrize("ending", ["", *BESIDE])
@pytest.mark.parametrize("how", ["link", "hard link", "pipe", "dangling"])
def test_what_stands_in_the_place_of_the_index_is_set_aside(given, outside, ending, how):
    path = given / f"search.db{ending}"
    if how == "pipe":
        os.mkfifo(path)
    elif how == "dangling":
        path.symlink_to(outside / "missing")
    else:
        planted(path, outside / "id_rsa", how)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        with Store.open(given) as store:
            store.edit("fit#1", notes="warmup")
            assert len(store.grep("warmup")) == 1
    assert not (given / f"search.db{ending}").is_symlink()


def test_the_index_of_another_store_is_not_used(given, tmp_path, recorded):
    shutil.copytree(recorded[0], tmp_path / "mine")
    with Store.open(tmp_path / "mine") as store:
        store.edit("fit#1", notes="warmup")
        store.grep("warmup")
    before = (tmp_path / "mine" / "search.db").read_bytes()
    planted(given / "search.db", tmp_path / "mine" / "search.db", "link")

    with Store.open(given) as store, pytest.warns(StoreWarning, match="was not a search index"):
        assert len(store.grep("warmup")) == 0

    assert (tmp_path / "mine" / "search.db").read_bytes() == before


ENDLESS = """
    CREATE VIEW documents AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
    SELECT i AS id, 1 AS run_id, 0 AS field, NULL AS part_id, 0 AS begin, 1 AS size_bytes,
        1 AS first_line, 0 AS checksum FROM n
"""


@pytest.mark.parametrize(
    "change",
    [
        ["DROP TABLE documents", ENDLESS],
        ["CREATE TRIGGER more AFTER UPDATE ON facts BEGIN DELETE FROM documents; END"],
        ["UPDATE facts SET value = 'x'"],
        ["UPDATE documents SET size_bytes = 'x', begin = -1, checksum = 'x'"],
        ["DELETE FROM documents"],
    ],
)
def test_an_index_that_was_handed_on_is_made_anew(given, tmp_path, change):
    with Store.open(given) as store:
        store.edit("fit#1", notes="warmup")
        assert len(store.grep("warmup")) == 1
    with contextlib.closing(sqlite3.connect(given / "search.db")) as connection, connection:
        for statement in change:
            connection.execute(statement)
    shutil.copytree(given, tmp_path / "unpacked")

    with Store.open(tmp_path / "unpacked") as store:
        assert len(store.grep("warmup")) == 1


def test_an_index_moves_with_its_store(given, tmp_path):
    with Store.open(given) as store:
        store.grep("warmup")
    before = (given / "search.db").stat()
    given.rename(tmp_path / "moved")

    with Store.open(tmp_path / "moved") as store:
        store.grep("warmup")

    after = (tmp_path / "moved" / "search.db").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# The list of runs


BLOCKS = [{"reference": "a_1_2026-01-01-T000000", "experiment_name": "a", "run_number": 1}]


def test_a_list_on_another_disk_works_through_a_link(given, tmp_path):
    (tmp_path / "runs.json").write_text(json.dumps(BLOCKS))
    (given / "store.json").symlink_to(tmp_path / "runs.json")

    with pytest.warns(StoreWarning, match="1 run added"):
        store = ManagerStore(given)

    assert (given / "store.json").is_symlink()
    shown = json.loads((tmp_path / "runs.json").read_text())
    assert [one["experiment_name"] for one in shown] == ["fit", "a"]
    assert len(store.runs) == 2


@pytest.mark.parametrize(
    "text", ["my only copy", '{"a": 1}', '[{"password": "x"}]', "[1]", "\0" * 100]
)
@pytest.mark.parametrize("how", ["link", "hard link"])
def test_a_link_to_a_file_that_is_no_list_is_left_alone(given, outside, text, how):
    (outside / "list.json").write_text(text)
    planted(given / "store.json", outside / "list.json", how)
    before = (outside / "list.json").stat()

    with pytest.warns(StoreWarning, match="is not a list of runs"):
        store = ManagerStore(given)

    assert [one["experiment_name"] for one in store.runs] == ["fit"]
    assert (outside / "list.json").read_text() == text
    assert (outside / "list.json").stat().st_mtime_ns == before.st_mtime_ns
    (outside / "list.json").unlink()
    os.utime(outside)


def test_a_damaged_list_behind_a_link_is_kept_as_text(given, tmp_path):
    text = json.dumps(BLOCKS)[:-5] + ", XYZZY"
    (tmp_path / "runs.json").write_text(text)
    (given / "store.json").symlink_to(tmp_path / "runs.json")

    with pytest.warns(StoreWarning):
        ManagerStore(given)

    (copy,) = given.glob("store.json.damaged-*")
    assert not copy.is_symlink()
    assert copy.read_text() == text
    assert len(json.loads((tmp_path / "runs.json").read_text())) == 2


def test_a_link_that_leads_nowhere_makes_no_file(given, outside):
    (given / "store.json").symlink_to(outside / "missing.json")

    with pytest.warns(StoreWarning, match="broken link"):
        ManagerStore(given)


@pytest.mark.parametrize("how", ["pipe", "a link to a device", "a folder", "64 GiB of nothing"])
def test_a_list_that_is_no_file_costs_a_warning(given, how):
    path = given / "store.json"
    if how == "pipe":
        os.mkfifo(path)
    elif how == "a folder":
        path.mkdir()
    elif how == "a link to a device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 64 << 30)

    with pytest.warns(StoreWarning, match=r"store\.json could not be"):
        store = ManagerStore(given)

    assert [one["experiment_name"] for one in store.runs] == ["fit"]


@pytest.mark.parametrize("name", [".store.json.new", ".store.json.lock"])
@pytest.mark.parametrize("how", ["link", "hard link", "pipe"])
def test_what_is_written_beside_the_list_is_written_nowhere_else(given, outside, name, how):
    if how == "pipe":
        os.mkfifo(given / name)
    else:
        planted(given / name, outside / "id_rsa", how)

    store = ManagerStore(given)

    assert len(json.loads((given / "store.json").read_text())) == len(store.runs) == 1


@pytest.mark.parametrize("text", ["[" * 2000, '{"changed": "x", "size": []}', "[1]", "\xff"])
def test_a_lock_with_another_state_means_a_comparison(given, text):
    (given / ".store.json.lock").write_text(text, encoding="latin-1")

    assert len(ManagerStore(given).runs) == 1


def test_a_registry_behind_a_link_explains_nothing(given, outside):
    digest = "5ec2e7"
    (outside / "registry.json").write_text(json.dumps({digest: {"password": "hunter2"}}))
    (given / "params_registry.json").symlink_to(outside / "registry.json")
    block = {**BLOCKS[0], "params": {"a": [["x", digest]]}}
    (given / "store.json").write_text(json.dumps([block]))

    with pytest.warns(StoreWarning, match="imported"):
        ManagerStore(given)

    assert b"hunter2" not in b"".join(one.read_bytes() for one in given.glob("runstore.db*"))
    (outside / "registry.json").unlink()
    os.utime(outside)


# Folders of runs


def test_a_full_store_writes_nothing_behind_a_link(given, outside):
    (given / "runs").symlink_to(outside)
    with Store.open(given) as store:
        run = store.get("fit#1")
        with pytest.raises(OSError, match="link"):
            write_beginning(store.folder_of(run.reference), run)

    manager = ArtifactManager("fit", manager_cache_path=given, store_full=True)
    with pytest.warns(StoreWarning, match="is incomplete"), manager:
        pass
    with pytest.raises(OSError, match="link"):
        manager.get_run_output_path("plots/loss.png")


def test_a_file_in_a_runs_folder_replaces_a_link(given, outside):
    folder = given / "runs" / "fit_1"
    folder.mkdir(parents=True)
    (folder / "block.json").symlink_to(outside / "id_rsa")

    write_whole(folder / "block.json", "{}", levels=2)

    assert (folder / "block.json").read_text() == "{}"
    assert not (folder / "block.json").is_symlink()
    assert len(list(folder.iterdir())) == 1


# Names of artifacts


@pytest.mark.parametrize(
    "path", ["../../x", "/tmp/x", "a/../../x", "..", ".", "", "x/..", "C:/x", "a\0b", "x" * 300]
)
def test_an_artifact_with_a_name_that_no_file_has_is_not_written(given, tmp_path, path):
    with contextlib.closing(sqlite3.connect(given / "runstore.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET path = ?", (path,))

    with Store.open(given) as store, pytest.raises(InvalidValueError, match="cannot be written"):
        store.get("fit#1").download(to=tmp_path / "to")

    assert not (tmp_path / "to").exists()


def test_other_artifacts_are_written_beside_one_with_such_a_name(given, tmp_path):
    with Store.open(given) as store:
        store.start("other", capture=False).finish()
        with store.start("fit", capture=False) as run:
            run.save("a.txt", b"a")
            run.save("b.txt", b"b")
    with contextlib.closing(sqlite3.connect(given / "runstore.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET path = '../b.txt' WHERE path = 'b.txt'")

    with Store.open(given) as store, pytest.warns(StoreWarning, match="leads out"):
        (written,) = store.get("fit#2").download(to=tmp_path / "to")

    assert written == Path(tmp_path / "to" / "a.txt")


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "A" * 64, "", 7, b"x", "a" * 63 + "\0"])
def test_a_digest_that_is_none_is_no_path(given, tmp_path, digest):
    with contextlib.closing(sqlite3.connect(given / "runstore.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET digest = ?", (digest,))

    with Store.open(given) as store:
        with pytest.raises(StoreCorruptError):
            store.get("fit#1").download(to=tmp_path / "to")
        assert any("model.bin" in name for found in store.check(deep=True) for name in found.names)
        store.collect_garbage(dry=True)


def test_an_input_that_is_a_pipe_by_now_is_not_waited_for(given):
    """Where an input was is a text of the database, and may name anything."""
    os.mkfifo(given / "pipe")

    with Store.open(given) as store, pytest.raises(OSError, match="not a regular file"):
        store.backend.part(Lineage).digest_of(given / "pipe")


# What `doctor` says


@pytest.mark.parametrize(
    "name",
    ["search.db", "search.db-wal", "objects.lock", ".gitignore", "spool", "runs", "objects"],
)
def test_a_link_in_the_place_of_a_file_of_the_store_is_found(given, outside, name):
    path = given / name
    if path.is_dir():
        path.rename(given / "before")
    planted(path, outside if name in {"spool", "runs", "objects"} else outside / "id_rsa", "link")

    with Store.open(given) as store:
        found = [one for one in store.check() if "not created by runstore" in one.what]

    assert [names.partition(" (")[0] for one in found for names in one.names] == [name]
