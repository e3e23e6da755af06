"""Broken files, refused folders, full disks: a clear error or it works; nothing is lost."""

import shutil
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from commands import but_the_first_line, open_to_all, python, runstore
from runstore import Status, Store, StoreWarning
from runstore.errors import (
    SchemaTooNewError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

pytestmark = pytest.mark.folder_only("is about files and folders")


@pytest.fixture
def kept(tmp_path):
    """A store with one finished run."""
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        store.start("m", params={"lr": 1}, capture=False).finish()
    return folder


def execute(folder, *statements):
    connection = sqlite3.connect(folder / "runstore.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_schema_is_read_and_not_written(kept):
    execute(kept, "INSERT INTO schema_migrations VALUES (99, 'future', 0)")

    with Store.open(kept) as store:
        assert store.get("m#1").params == {"lr": 1}
        with pytest.raises(SchemaTooNewError, match="pip install"):
            store.start("m", capture=False)
        assert len(store.list()) == 1


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    (tmp_path / "runstore.db").write_bytes(content)

    with pytest.raises(StoreCorruptError, match="not changed"):
        Store.open(tmp_path)

    assert (tmp_path / "runstore.db").read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path):
    execute(tmp_path, "CREATE TABLE songs (name TEXT)")
    before = (tmp_path / "runstore.db").read_bytes()

    with pytest.raises(StoreCorruptError, match="another program"):
        Store.open(tmp_path)

    assert (tmp_path / "runstore.db").read_bytes() == before


def test_a_damaged_page_is_a_clear_error(kept):
    path = kept / "runstore.db"
    data = bytearray(path.read_bytes())
    data[200:] = b"\xff" * (len(data) - 200)
    path.write_bytes(data)

    with pytest.raises(StoreError, match=r"damaged|another program"):
        Store.open(kept)

    assert path.read_bytes() == bytes(data)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "store").write_text("mine")

    with pytest.raises(StoreUnavailableError):
        Store.open(tmp_path / "store")
    with pytest.raises(StoreUnavailableError):
        Store.open(tmp_path / "store" / "below")

    assert (tmp_path / "store").read_text() == "mine"


def test_a_missing_store_is_not_made_for_readers(tmp_path):
    with pytest.raises(StoreUnavailableError):
        Store.open(tmp_path / "nothing", create=False)

    assert not (tmp_path / "nothing").exists()


def as_nobody(code, *arguments):
    """Run code as a user without rights; return its output.

    Everything is loaded before the rights are dropped: Python itself may be out of reach.
    """
    drop = "import os; os.getuid() or os.setuid(65534)\n"
    program = drop + textwrap.dedent(code)
    return python("-c", program, *arguments, cwd="/", env={"HOME": "/nonexistent"})


def test_a_folder_that_nobody_may_look_into_is_said(kept):
    """A path through a locked folder is an error of ours, not of pathlib."""
    open_to_all(kept)
    kept.parent.chmod(0o700)
    code = """
        import sys
        from runstore import Store
        from runstore.errors import StoreUnavailableError
        for create in (True, False):
            try:
                Store.open(sys.argv[1], create=create)
            except StoreUnavailableError as error:
                print(error.code)
    """

    result = as_nobody(code, kept)

    assert (result.stdout.split(), result.stderr) == (["store-unavailable"] * 2, "")


def test_a_read_only_folder_is_read(kept):
    open_to_all(kept)
    for path in kept.iterdir():
        path.chmod(0o444)
    kept.chmod(0o555)
    code = """
        import sys
        from runstore import Store
        from runstore.errors import StoreReadOnlyError
        with Store.open(sys.argv[1]) as store:
            print(store.get("m#1").status)
            try:
                store.start("m", capture=False)
            except StoreReadOnlyError as error:
                print(error.code)
    """

    result = as_nobody(code, kept)
    kept.chmod(0o755)

    assert (result.stdout.split(), result.stderr) == (["complete", "store-read-only"], "")
    assert issubclass(StoreReadOnlyError, OSError)


def test_a_folder_that_may_not_be_made(tmp_path):
    open_to_all(tmp_path)
    code = """
        import sys
        from runstore import Store
        from runstore.errors import StoreUnavailableError
        try:
            Store.open(sys.argv[1] + "/store")
        except StoreUnavailableError as error:
            print(error)
    """

    result = as_nobody(code, tmp_path)

    assert "cannot be opened" in result.stdout
    assert result.stderr == ""


def test_a_deleted_working_directory(tmp_path):
    code = """
        import os, sys
        gone = sys.argv[1] + "/gone"
        os.mkdir(gone); os.chdir(gone); os.rmdir(gone)
        import runstore
        from runstore.errors import StoreUnavailableError
        try:
            runstore.start_run("m")
        except StoreUnavailableError as error:
            print("clear")
        with runstore.start_run("m", store=sys.argv[1] + "/store") as run:
            print(run.run_number)
    """

    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stdout.split() == ["clear", "1"]
    assert but_the_first_line(result.stderr) == ""


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing(small_disk, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Store.open(small_disk / "store") as store:
        run = store.start("m", params={"lr": 1}, capture=False)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(b"x" * 4096)

        with pytest.raises(StoreUnavailableError, match="disk"):
            for _ in range(100):
                store.start("m", params={"text": "x" * 5000}, capture=False)
        with pytest.warns(StoreWarning, match="Kept in"):
            run.finish()

        assert store.get(run.uid).params == {"lr": 1}
        filler.unlink()
    with Store.open(small_disk / "store") as store:
        assert store.get(run.uid).status is Status.COMPLETE
        number = store.start("m", capture=False).run_number
        assert number == store.experiments()[0].run_count


def test_a_file_too_large_for_the_disk_is_kept_elsewhere_with_the_reason(
    small_disk, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Store.open(small_disk / "store") as store:
        run = store.start("m", capture=False)

        with pytest.warns(
            StoreWarning, match="objects cannot be written: No space left .*Kept in"
        ):
            run.save("large.bin", bytes(2 * 2**20))
        run.finish()


def fill(disk):
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"x" * 512)
    return filler


def test_a_full_disk_can_be_read(small_disk):
    with Store.open(small_disk / "store") as store:
        store.start("m", params={"lr": 1}, capture=False).finish()
    filler = fill(small_disk)

    with Store.open(small_disk / "store") as store:
        assert store.get("m#1").params == {"lr": 1}
        with pytest.raises(StoreUnavailableError, match="There is no space left"):
            store.start("m", capture=False)

    filler.unlink()
    with Store.open(small_disk / "store") as store:
        assert store.start("m", capture=False).run_number == 2


def test_a_full_disk_after_a_kill_shows_the_newest_runs(small_disk):
    """What is in the write-ahead log alone is shown as well."""
    code = (
        "import os, sys, runstore\n"
        "store = runstore.Store.open(sys.argv[1])\n"
        "store.start('m', capture=False).finish()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    folder = small_disk / "store"
    python("-c", code, folder, cwd="/")
    (folder / "runstore.db-shm").unlink()
    assert (folder / "runstore.db-wal").stat().st_size > 0
    fill(small_disk)

    with Store.open(folder) as store:
        assert store.get("m#1").status is Status.COMPLETE


def test_a_full_disk_can_be_searched(small_disk):
    """With what is in the index, and by a look at what is not."""
    with Store.open(small_disk / "store") as store:
        store.start("m", notes="first words", capture=False).finish()
        assert len(store.grep("words")) == 1
        store.start("m", notes="second words", capture=False).finish()
        filler = fill(small_disk)

        with pytest.warns(StoreWarning, match="no search index for 1 run"):
            assert len(store.grep("words")) == 2
        filler.unlink()
        assert len(store.grep("words")) == 2


def test_a_full_disk_without_an_index_can_be_searched(small_disk):
    with Store.open(small_disk / "store") as store:
        store.start("m", notes="some words", capture=False).finish()
    filler = fill(small_disk)

    with Store.open(small_disk / "store") as store:
        with pytest.warns(StoreWarning, match="no search index for 1 run"):
            assert len(store.grep("words")) == 1
        filler.unlink()
        assert len(store.grep("words")) == 1


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_read_only_folder_is_searched(kept, is_indexed):
    with Store.open(kept) as store:
        store.edit("m#1", notes="first words")
        if is_indexed:
            assert len(store.grep("words")) == 1
        store.start("m", notes="second words", capture=False).finish()
    open_to_all(kept)
    for path in kept.iterdir():
        path.chmod(0o555 if path.is_dir() else 0o444)
    kept.chmod(0o555)
    code = """
        import sys, warnings
        from runstore import Store
        warnings.showwarning = lambda message, *_: print(message)
        with Store.open(sys.argv[1]) as store:
            print([one.run.run_number for one in store.grep("words")])
            print([one.run.run_number for one in store.grep("first")])
            print(len(store.find("output is missing")))
    """

    result = as_nobody(code, kept)
    kept.chmod(0o755)

    assert result.stderr == ""
    said, *told = result.stdout.splitlines()
    assert told == ["[2, 1]", "[1]", "2"]
    assert f"no search index for {'1 run' if is_indexed else '2 runs'} (" in said


def test_a_store_that_vanishes_keeps_the_end_aside(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = Store.open(kept)
    run = store.start("m", capture=False)
    store.close()
    shutil.move(kept, tmp_path / "elsewhere")

    with pytest.warns(StoreWarning, match="Kept in"):
        run.finish()

    shutil.rmtree(kept, ignore_errors=True)
    shutil.move(tmp_path / "elsewhere", kept)
    with Store.open(kept) as again:
        assert again.get(run.uid).status is Status.COMPLETE


def test_a_locked_database_is_said_after_the_time_limit(kept, monkeypatch):
    from runstore.storage.sqlite import driver as sqlite

    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    blocker = sqlite3.connect(kept / "runstore.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with Store.open(kept) as store:
        store.backend.database.driver.busy_timeout_s = 0.2
        with pytest.raises(StoreError, match="locked"):
            store.start("m", capture=False)
        assert len(store.list()) == 1, "readers do not wait"
        blocker.execute("ROLLBACK")
        assert store.start("m", capture=False).run_number == 2
    blocker.close()


def test_points_go_elsewhere_when_the_disk_of_the_store_is_full(small_disk, tmp_path, monkeypatch):
    state = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    with Store.open(small_disk / "store") as store:
        run = store.start("m", capture=False)
        run.log(loss=-1.0)
        filler = fill(small_disk)

        for number in range(20_000):
            run.log(loss=float(number))

        assert list(state.rglob("*.points"))
        filler.unlink()
        run.finish()

        assert store.get("m#1").metrics["loss"].count == 20_001


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["push"], "no store at"),
        (["trust"], "no folder"),
        (["copy"], "File name too long"),
        (["init"], "File name too long"),
        (["plot", "m#2", "-o"], "File name too long"),
        (["export", "--parquet"], "File name too long"),
    ],
)
def test_a_name_that_is_too_long_is_a_mistake_of_the_user(kept, tmp_path, words, complaint):
    with Store.open(kept) as store, store.start("m", capture=False) as run:
        run.log(loss=1.0)

    long = "a" * 300 + ".png" * (words[0] == "plot")
    ended = runstore("--store", kept, *words, long, cwd=tmp_path)

    assert ended.returncode in {2, 3, 5}
    assert complaint in ended.stderr
