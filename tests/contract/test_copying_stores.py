"""A store is copied whole, also while programs record into it."""

import os
import signal
import stat
import subprocess
import sys
import warnings

import pytest

import runstore
from command_server import Program
from runstore import Store
from runstore.errors import ConflictError, StoreUnavailableError, UsageError
from runstore.maintenance import copying

RECORDS = """
import itertools, sys, runstore
store = runstore.Store.open(sys.argv[1])
for number in itertools.count():
    with store.start("busy", params={"number": number}, capture=False) as run:
        for step in range(200):
            run.log(loss=step)
        run.save("number.txt", str(number).encode())
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "original") as store:
        yield store


def test_a_copy_has_files_points_tags_and_goes_on_numbering(store, tmp_path):
    with store.start("mnist", params={"lr": 0.1}, capture=False) as run:
        run.log_points("loss", [0.5, 0.25])
        run.save("model.bin", b"weights")
        run.tags["phase"] = "pilot"

    path = store.copy(tmp_path / "copies" / "one")

    assert path == tmp_path / "copies" / "one"
    with Store.open(path) as copy:
        kept = copy.get("mnist#1")
        assert (kept.params["lr"], kept.tags["phase"]) == (0.1, "pilot")
        assert list(kept.metric("loss").values) == [0.5, 0.25]
        assert kept.read_bytes("model.bin") == b"weights"
        assert copy.check() == ()
        assert copy.start("mnist", capture=False).run_number == 2
    assert [one.run_number for one in store.list("mnist")] == [1]


def test_a_store_is_copied_while_a_program_records(store, tmp_path):
    program = Program(RECORDS, store.path)
    try:
        copies = []
        for number in range(5):
            finished = int(program.stdout.readline())
            copies.append((finished, store.copy(tmp_path / f"copy{number}")))
    finally:
        program.kill()
        program.wait()

    for finished, path in copies:
        with Store.open(path) as copy:
            runs = list(copy.find("experiment = busy and status = complete"))
            assert len(runs) >= finished + 1
            for run in runs:
                assert list(run.metric("loss").values) == list(range(200))
                assert run.read_bytes("number.txt") == str(run.params["number"]).encode()
            rest = copy.find("experiment = busy and status != complete")
            for run in rest:
                found = list(run.metric("loss").values) if "loss" in run.metrics else []
                assert found == list(range(len(found)))
            assert [one for one in copy.check() if one.is_trouble] == []


def test_a_list_of_blocks_is_written_for_the_copy(store, tmp_path):
    manager = runstore.ManagerStore(store.path)
    store.start("mnist", capture=False).finish()
    assert len(manager.runs) == 1

    path = store.copy(tmp_path / "copy")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runstore.ManagerStore(path).runs[0]["experiment_name"] == "mnist"


def test_links_and_pipes_are_left_out(store, tmp_path):
    store.start("mnist", capture=False).finish()
    secret = tmp_path / "secret"
    secret.write_text("private")
    (store.path / "link").symlink_to(secret)
    (store.path / "runs").mkdir(exist_ok=True)
    (store.path / "runs" / "folder").symlink_to(tmp_path)
    os.mkfifo(store.path / "pipe")

    with pytest.warns(runstore.StoreWarning, match="was not copied: it is a"):
        path = store.copy(tmp_path / "copy")

    assert not {"link", "pipe"} & {one.name for one in path.iterdir()}
    assert list((path / "runs").iterdir()) == []


def test_holes_take_no_time_and_no_room(store, tmp_path):
    store.start("mnist", capture=False).finish()
    sparse = store.path / "runs" / "sparse"
    sparse.parent.mkdir(exist_ok=True)
    with sparse.open("wb") as file:
        file.write(b"begin")
        file.seek(2**36)
        file.write(b"end")
        file.truncate(2**36 + 2**30)

    path = store.copy(tmp_path / "copy") / "runs" / "sparse"

    assert path.stat().st_size == 2**36 + 2**30
    assert path.stat().st_blocks * 512 < 2**20
    with path.open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(2**36)
        assert file.read(4) == b"end\0"


@pytest.mark.parametrize("is_folder", [True, False])
def test_nothing_is_overwritten(store, tmp_path, is_folder):
    target = tmp_path / "taken"
    if is_folder:
        target.mkdir()
        (target / "precious").write_text("data")
    else:
        target.write_text("data")

    with pytest.raises(ConflictError, match="already exists"):
        store.copy(target)

    kept = target / "precious" if is_folder else target
    assert kept.read_text() == "data"


@pytest.mark.parametrize(
    "place", ["original", "original/copy", "original/objects/new/copy", "link/copy"]
)
def test_a_store_is_not_copied_into_itself(store, tmp_path, place):
    store.start("mnist", capture=False).finish()
    (tmp_path / "link").symlink_to(store.path)
    before = sorted(store.path.rglob("*"))

    with pytest.raises(UsageError, match="within the store"):
        store.copy(tmp_path / place)

    assert sorted(store.path.rglob("*")) == before


def test_a_url_of_another_kind_is_refused(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="file:///copy is neither a folder nor a database"):
        store.copy("file:///copy")

    assert [one.name for one in tmp_path.iterdir()] == ["original"]


def test_an_incomplete_copy_is_removed(store, tmp_path, monkeypatch):
    with store.start("mnist", capture=False) as run:
        run.save("model.bin", b"weights")
    monkeypatch.setattr("os.fchmod", full_disk)

    with pytest.raises(StoreUnavailableError, match="No space left"):
        store.copy(tmp_path / "copy")

    assert [one.name for one in tmp_path.iterdir()] == ["original"]


KILLED = """
import os, signal, sys, runstore
from runstore.storage.files.unfinished import UnfinishedFolder
UnfinishedFolder.keep_as = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runstore.Store.open(sys.argv[1]).copy(sys.argv[2])
"""


KILLED_IN_FOLDER = """
import os, signal, sys, runstore
from runstore.maintenance import copying
copying._move_into = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runstore.Store.open(sys.argv[1]).copy(sys.argv[2])
"""


def test_the_next_copy_removes_that_of_a_killed_process(store, tmp_path):
    """It is as large as the store, and nobody looks for hidden folders of old copies."""
    store.start("mnist", capture=False).finish()
    killed = [sys.executable, "-c", KILLED, str(store.path), str(tmp_path / "monday")]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".runstore-copy-*"))) == 2  # the folder and its lock

    store.copy(tmp_path / "tuesday")

    assert sorted(one.name for one in tmp_path.iterdir()) == ["original", "tuesday"]
    with Store.open(tmp_path / "tuesday", create=False) as copy:
        assert copy.check() == ()


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_copy_in_a_prepared_folder_has_its_permissions(store, tmp_path):
    """As a folder that a group shares: others cannot enter it, and members can write."""
    with store.start("mnist", capture=False) as run:
        run.save("model.bin", b"weights")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    before = shared.stat()

    store.copy(shared)

    after = shared.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    for path in shared.rglob("*"):
        owner, group, others = rights(path) >> 6 & 7, rights(path) >> 3 & 7, rights(path) & 7
        assert (owner, others) == (group, 0), path
        assert path.is_file() or rights(path) & stat.S_ISGID, path
    with Store.open(shared, create=False) as copy:
        assert copy.get("mnist#1").read_bytes("model.bin") == b"weights"
        assert copy.check() == ()


def test_a_copy_in_a_prepared_folder_can_be_repeated_if_it_was_killed(store, tmp_path):
    store.start("mnist", capture=False).finish()
    (tmp_path / "prepared").mkdir()
    (tmp_path / "kill.py").write_text(KILLED_IN_FOLDER)
    killed = [sys.executable, tmp_path / "kill.py", store.path, tmp_path / "prepared"]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "prepared").iterdir())) == 2

    store.copy(tmp_path / "prepared")

    assert not list((tmp_path / "prepared").glob(".*"))
    with Store.open(tmp_path / "prepared", create=False) as copy:
        assert copy.get("mnist#1").run_number == 1


@pytest.mark.parametrize("is_prepared", [True, False])
def test_a_copy_that_another_program_was_faster_to_make_is_left_alone(
    store, tmp_path, monkeypatch, is_prepared
):
    store.start("mnist", capture=False).finish()
    target = tmp_path / "copy"
    if is_prepared:
        target.mkdir()
    fill = copying._fill

    def fill_slowly(backend, aside):
        fill(backend, aside)
        target.mkdir(exist_ok=True)
        (target / "runstore.db").write_text("of the other program")

    monkeypatch.setattr(copying, "_fill", fill_slowly)

    with pytest.raises(ConflictError, match="already exists") as refused:
        store.copy(target)

    assert refused.value.kept == "Nothing was copied."
    assert [one.name for one in target.iterdir()] == ["runstore.db"]
    assert (target / "runstore.db").read_text() == "of the other program"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "original"]


def test_nobody_can_enter_the_copy_of_a_private_store(store, tmp_path):
    """Its files may be readable for all, since nobody could enter their folder."""
    store.start("mnist", capture=False).finish()
    store.path.chmod(0o700)

    assert rights(store.copy(tmp_path / "copy")) == 0o700


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_the_command_copies_and_reports_it(store, tmp_path, capfd):
    store.start("mnist", capture=False).finish()
    words = ["--store", str(store.path), "copy", str(tmp_path / "copy")]

    ended = subprocess.run([sys.executable, "-m", "runstore", *words], check=False)

    assert ended.returncode == 0
    assert f"to {tmp_path / 'copy'}." in capfd.readouterr().err
    assert Store.open(tmp_path / "copy").get("mnist#1").run_number == 1
