"""Obstacles in mid-run: the program goes on, is told once, and everything arrives afterwards."""

import errno
import io
import json
import os
import sqlite3
import sys
import warnings
from pathlib import Path

import pytest

from command_server import Program
from runstore import Store, StoreWarning
from runstore.errors import StoreUnavailableError
from runstore.inflight import deferred, take_in
from runstore.recording import recorder
from runstore.recording.points import importing, log
from runstore.storage.sqlite.paths import DATABASE


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("x\n1\n")
    return path


def work(run, data):
    """Do everything that a training loop may do."""
    for step in range(1000):
        run.log(loss=step)
    run.save("model.bin", b"weights")
    run.use(data)
    run.tags["phase"] = "pilot"
    run.tags["phase"] = "final"
    run.tags.add("keep")
    run.edit(notes="went well")


def check_everything_is_there(run):
    assert run.status == "complete"
    assert run.metrics["loss"].count == 1000
    assert list(run.metric("loss").values) == list(range(1000))
    assert run.read_bytes("model.bin") == b"weights"
    assert [one.size_bytes for one in run.inputs] == [4]
    assert run.tags == {"keep": "", "phase": "final"}
    assert run.notes == "went well"
    assert list(run.source.backend.spool.records()) == []


def test_output_goes_elsewhere_when_the_disk_of_the_store_is_full(location, monkeypatch):
    store = Store.open(location)
    run = store.start("talk", capture=False)
    run.keep_output(mask_output=False)
    spool = str(location / "spool")
    write, room = os.pwrite, [100]

    def write_on_a_small_disk(file, data, position):
        if not str(Path(f"/dev/fd/{file}").resolve()).startswith(spool):
            return write(file, data, position)
        data = bytes(data)[: room[0]]
        room[0] -= len(data)
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, position)

    monkeypatch.setattr(os, "pwrite", write_on_a_small_disk)

    with pytest.warns(StoreWarning, match="No space left on device") as said:
        for number in range(200):
            sys.stdout.write(f"line {number}\n")
        run.finish()

    assert len(said) == 1
    assert [line.text for line in run.record.output] == [f"line {one}" for one in range(200)]


def test_a_disk_that_takes_nothing_more_at_the_end(location, monkeypatch):
    """The room of points is allocated before, but not on every disk."""
    run = Store.open(location).start("talk", capture=False)
    run.log(loss=1.0)

    def refuse(*_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "pwrite", refuse)

    run.finish()

    assert run.record.status == "complete"
    assert list(run.record.metric("loss").values) == [1.0]


def test_a_disk_without_locks_is_named(location, monkeypatch):
    """SQLite reports that the system refuses locks as a lock that another program holds."""
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with Store.open(location) as store:
        store.start("fit", capture=False).finish()
    monkeypatch.setattr("runstore.storage.sqlite.opening.ENGINE_WAITS_S", 0.0)
    other = sqlite3.connect(location / DATABASE, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "lockf", refuse)

        with pytest.raises(StoreUnavailableError, match="has no locks"):
            Store.open(location)

    other.close()
    assert len(Store.open(location).list()) == 1


def test_a_database_that_another_program_holds(location, data, monkeypatch):
    for module in (importing, log, recorder):
        monkeypatch.setattr(module, "END_PATIENCE_S", 0.3)
    for module in (log, deferred):
        monkeypatch.setattr(module, "PATIENCE_S", 0.3)
    monkeypatch.setattr("runstore.storage.sqlite.opening.ENGINE_WAITS_S", 0.1)
    store = Store.open(location)
    run = store.start("fit", capture=False)
    other = sqlite3.connect(location / DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        work(run, data)
        run.finish()
    other.execute("ROLLBACK")
    other.close()
    store.close()

    messages = [str(one.message) for one in said]
    assert len(messages) <= 2, messages
    assert "Kept in" in messages[0]
    assert str(location / "spool") in messages[0]
    with Store.open(location) as again:
        check_everything_is_there(again.get("fit#1"))
        assert [event.new for event in again.events("fit#1") if event.field == "tags.phase"] == [
            "pilot",
            "final",
        ]


def test_a_folder_of_contents_that_cannot_be_written(location, data):
    store = Store.open(location)
    (location / "objects").write_text("a file in the way")
    run = store.start("fit", capture=False)

    with pytest.warns(StoreWarning, match="Kept in"):
        work(run, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.finish()
    store.close()
    (location / "objects").unlink()

    with Store.open(location) as again:
        check_everything_is_there(again.get("fit#1"))


def test_a_store_that_is_moved_away_and_back(location, data, tmp_path):
    store = Store.open(location)
    run = store.start("fit", capture=False)
    run.log(loss=0.0)
    location.rename(tmp_path / "elsewhere")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(1, 1000):
            run.log(loss=step)
        run.save("model.bin", b"weights")
        run.use(data)
        run.tags.update(phase="final", keep="")
        run.edit(notes="went well")
        run.finish()
    store.close()
    assert not location.exists()  # a new folder of that name would hide the old one
    (tmp_path / "elsewhere").rename(location)

    with Store.open(location) as again:
        check_everything_is_there(again.get("fit#1"))


def test_a_store_that_was_moved_for_good_finds_what_was_kept_aside(location, data, tmp_path):
    store = Store.open(location)
    run = store.start("fit", capture=False)
    location.rename(tmp_path / "elsewhere")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.save("model.bin", b"weights")
        run.finish()
    store.close()

    with Store.open(tmp_path / "other"):  # whose runs they are not
        pass
    with Store.open(tmp_path / "elsewhere") as again:
        assert again.get("fit#1").read_bytes("model.bin") == b"weights"


def test_the_run_itself_takes_in_what_was_kept_aside(location, data):
    store = Store.open(location)
    run = store.start("fit", capture=False)
    (location / "objects").write_text("a file in the way")
    with pytest.warns(StoreWarning):
        run.save("model.bin", b"weights")
    (location / "objects").unlink()

    run.execution.heartbeat()

    assert run.record.read_bytes("model.bin") == b"weights"
    run.tags["x"] = "1"
    assert run.record.tags == {"x": "1"}
    run.finish()
    store.close()


def test_what_can_be_read_only_once_is_kept_whole_or_not_at_all(location, monkeypatch):
    """A disk that is full in the middle has taken what a pipe contained."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"weights")
    os.close(write_end)
    fsync, folder = os.fsync, str(location / "objects")

    def sync_elsewhere(file):
        if str(Path(f"/dev/fd/{file}").resolve()).startswith(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    with (
        Store.open(location) as store,
        store.start("fit", capture=False) as run,
        monkeypatch.context() as patches,
        os.fdopen(read_end, "rb") as pipe,
        pytest.warns(StoreWarning) as said,
    ):
        patches.setattr(os, "fsync", sync_elsewhere)
        assert run.save("model.bin", pipe) == ()
        run.save("notes.txt", io.StringIO("went well"))
        run.save("again.bin", io.BytesIO(b"weights"))

    assert "'model.bin' could not be saved: No space left on device" in str(said[0].message)
    with Store.open(location) as again:
        kept = again.get("fit#1")
        assert sorted(kept.artifacts) == ["again.bin", "notes.txt"]
        assert kept.read_bytes("notes.txt") == b"went well"
        assert kept.read_bytes("again.bin") == b"weights"


def test_no_disk_at_all_is_one_warning_and_no_end(location, tmp_path):
    store = Store.open(location)
    run = store.start("fit", capture=False)
    (location / "objects").write_text("a file in the way")
    (tmp_path / "state").write_text("another")

    with pytest.warns(StoreWarning, match=r"'model\.bin' could not be saved"):
        assert run.save("model.bin", b"weights") == ()

    run.finish()
    assert run.record.status == "complete"
    store.close()


def test_records_that_nobody_wrote_are_left_alone(location):
    with Store.open(location) as store, store.start("fit", capture=False) as run:
        pass
    spool = location / "spool"
    spool.mkdir(exist_ok=True)
    texts = ["", "[]", "{}", '{"path": 3}', "nonsense", json.dumps({"changes": 1, "author": 2})]
    for place, text in enumerate(texts):
        for kind in ("artifact", "tags", "notes", "input", "end", "unknown"):
            (spool / f"{run.uid}.{place:020d}.{kind}.json").write_text(text)
    (spool / "short.json").write_text("{}")

    with pytest.warns(StoreWarning, match="and 36 more was ignored"):
        again = Store.open(location)
    assert again.get("fit#1").status == "complete"
    assert again.get("fit#1").tags == {}
    again.close()


def test_a_crash_between_contents_and_row_changes_nothing(location):
    store = Store.open(location)
    run = store.start("fit", capture=False)
    (location / "objects").write_text("a file in the way")
    with pytest.warns(StoreWarning):
        run.save("model.bin", b"weights")
    (location / "objects").unlink()
    (record,) = store.backend.spool.records()
    text = record.path.read_text()

    take_in(store.backend)
    record.path.write_text(text)  # as if the process had died before it removed it
    take_in(store.backend)

    assert run.record.read_bytes("model.bin") == b"weights"
    assert list(store.backend.spool.records()) == []
    run.finish()
    store.close()


def test_closing_a_store_that_another_thread_waits_for_is_no_crash(location):
    """SQLite does not survive that a connection is closed while a thread is inside it."""
    code = (
        "import sqlite3, sys, threading, time\n"
        "from runstore import Store\n"
        "store = Store.open(sys.argv[1])\n"
        "uid = store.start('fit', capture=False).uid\n"
        "lock = sqlite3.connect(sys.argv[1] + '/runstore.db', isolation_level=None)\n"
        "lock.execute('BEGIN EXCLUSIVE')\n"
        "def wait():\n"
        "    try: store.backend.database.mark_seen([uid])\n"
        "    except OSError as error: print(type(error).__name__)\n"
        "threads = [threading.Thread(target=wait) for _ in range(8)]\n"
        "[one.start() for one in threads]\n"
        "time.sleep(0.3)\n"
        "store.close()\n"
        "lock.close()\n"
        "[one.join() for one in threads]\n"
    )

    program = Program(code, location)
    _, errors = program.communicate()

    assert program.returncode == 0, errors


@pytest.mark.campaign
def test_everything_saved_before_a_kill_is_there(location, campaign_rounds):
    """Files, tags and notes whose calls had returned survive kill -9 at any moment."""
    code = (
        "import sys, runstore\n"
        "run = runstore.start_run('kill', store=sys.argv[1], capture=False)\n"
        "run.keep_output()\n"
        "for n in range(10_000):\n"
        "    run.save(f'f{n}.txt', str(n).encode()); run.tags[f'k{n}'] = n\n"
        "    sys.__stdout__.write(f'{n}\\n'); sys.__stdout__.flush()\n"
        "    print('line', n, file=sys.stderr)\n"
    )
    for attempt in range(campaign_rounds):
        process = Program(code, location)
        acknowledged = -1
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged == 3 + attempt % 11:
                break
        process.kill()
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.wait()
        process.stdout.close()

        with Store.open(location) as store:
            run = store.get("latest")
            assert run.status == "lost"
            for n in range(acknowledged + 1):
                assert run.read_bytes(f"f{n}.txt") == str(n).encode()
                assert run.tags[f"k{n}"] == str(n)
            printed = [line.text for line in run.output if line.stream == "stderr"]
            assert printed[:acknowledged] == [f"line {n}" for n in range(acknowledged)]
    assert list((location / "spool").iterdir()) == []


def test_a_kept_record_with_an_impossible_number_stays_where_it_is(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("e", capture=False)
        body = {"name": "data", "digest": None, "size_bytes": 2**70, "modified_at": None}
        more = {"location": "/data", "source_uid": None, "used_at": 0}
        kept = store.backend.spool.keep(run.uid, "input", {**body, **more})
        run.finish()

    with pytest.warns(StoreWarning, match="'size_bytes' has an invalid value"):
        again = Store.open(tmp_path)
    assert again.get("e#1").status == "complete"
    assert again.start("e", capture=False).run_number == 2
    assert kept.exists()
    again.close()
