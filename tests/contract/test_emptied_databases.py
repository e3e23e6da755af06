"""A database that lost its contents is not taken for a new one."""

import os
import warnings
from sqlite3 import connect

import pytest

from runstore import Store
from runstore.errors import StoreCorruptError, StoreWarning


def with_log(folder):
    (folder / "runstore.db-wal").write_bytes(b"frames")


def with_objects(folder):
    contents = folder / "objects" / "ab" / f"{7:062x}"
    contents.parent.mkdir(parents=True)
    contents.touch()


def with_index(folder):
    (folder / "search.db").write_bytes(b"SQLite format 3\0")


def with_folders(folder):
    (folder / "runs" / "bert_1_2026-11-27-T101500").mkdir(parents=True)


def with_copy(folder):
    (folder / "runstore.db.before-schema-0010").write_bytes(b"SQLite format 3\0")


SIGNS = [with_log, with_objects, with_index, with_folders, with_copy]


@pytest.mark.parametrize("size", [0, 1, 99])
@pytest.mark.parametrize("sign", SIGNS)
def test_an_empty_database_beside_signs_of_runs_is_refused(tmp_path, sign, size):
    database = tmp_path / "runstore.db"
    database.write_bytes(bytes(size))
    sign(tmp_path)
    before = {path: path.lstat() for path in tmp_path.rglob("*")}

    for create in (True, False):
        with pytest.raises(StoreCorruptError, match="shows that it contained runs"):
            Store.open(tmp_path, create=create)

    now = {path: path.lstat() for path in tmp_path.rglob("*")}
    assert {path: one.st_mtime_ns for path, one in now.items()} == {
        path: one.st_mtime_ns for path, one in before.items()
    }


def test_the_message_names_the_oldest_copy(tmp_path):
    for number in (3, 1, 2):
        (tmp_path / f"runstore.db.before-schema-000{number}").write_bytes(b"SQLite format 3\0")
    (tmp_path / "runstore.db").touch()

    with pytest.raises(StoreCorruptError, match="before-schema-0001 beside it"):
        Store.open(tmp_path)


def test_an_emptied_store_works_again_with_its_backup(tmp_path):
    with Store.open(tmp_path / "store") as store, store.start("bert", capture=False) as run:
        run.save("a.txt", b"kept")
    database = tmp_path / "store" / "runstore.db"
    backup = database.read_bytes()
    os.truncate(database, 0)

    with pytest.raises(StoreCorruptError, match="objects/ beside it"):
        Store.open(tmp_path / "store")
    database.write_bytes(backup)

    with Store.open(tmp_path / "store") as store:
        assert store.get("bert#1").read_bytes("a.txt") == b"kept"


def test_an_empty_file_alone_becomes_a_store(tmp_path):
    (tmp_path / "runstore.db").touch()
    (tmp_path / "objects").mkdir()

    with Store.open(tmp_path) as store:
        store.start("bert", capture=False).finish()
        assert store.get("bert#1").run_number == 1


@pytest.mark.parametrize("sign", [with_objects, with_copy])
def test_a_new_database_beside_signs_of_runs_is_said(tmp_path, sign):
    sign(tmp_path)

    with pytest.warns(StoreWarning, match="runstore.db is missing, but .* that it contained"):
        Store.open(tmp_path).close()
    with Store.open(tmp_path) as store:  # without another warning
        assert list(store.list()) == []


def test_a_warning_that_is_an_error_creates_nothing(tmp_path):
    with Store.open(tmp_path / "store") as store, store.start("bert", capture=False) as run:
        run.save("a.txt", b"kept")
    database = tmp_path / "store" / "runstore.db"
    backup = database.read_bytes()
    database.unlink()
    (tmp_path / "store" / "runstore.db-wal").write_bytes(b"frames")
    left = sorted(tmp_path.rglob("*"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(StoreWarning, match="objects/ beside it"):
                Store.open(tmp_path / "store")
            assert sorted(tmp_path.rglob("*")) == left

    (tmp_path / "store" / "runstore.db-wal").unlink()
    database.write_bytes(backup)
    with Store.open(tmp_path / "store") as store:
        assert store.get("bert#1").read_bytes("a.txt") == b"kept"


def test_nothing_is_said_of_a_new_database_beside_other_files(tmp_path):
    (tmp_path / "results.csv").touch()
    for name in (
        "objects/car.obj",
        "objects/01/mesh.ply",
        f"objects/ab/{7:038x}",  # of a bare git repository
        "runs/Nov27_10-15-00_host/events",  # of TensorBoard
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"of others")
    connect(tmp_path / "search.db").execute("CREATE TABLE documents (text)").connection.close()

    Store.open(tmp_path).close()
