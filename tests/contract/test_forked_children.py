"""Children that were forked go on after their parent, and keep nothing of it."""

import gc
import os
import sys
import threading
from contextlib import closing

import pytest

from command_server import Program
from runstore import Store
from runstore.errors import StoreLockedError
from runstore.inflight import take_in
from runstore.inflight.deferred import Deferred
from runstore.recording.output.keeper import OutputKeeper
from runstore.storage.files.output import is_being_written
from runstore.storage.metrics import table
from runstore.storage.metrics.point_records import MARK, POINT, RECORD
from runstore.storage.sqlite.forks import LiveSet

OTHER = "import sys; from runstore import Store; Store.open(sys.argv[1]).close()"


class Steps:
    """Lets a child do one thing after the other, and waits for each."""

    def __init__(self, *steps):
        self._asked, self._done = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for step in steps:
                    os.read(self._asked[0], 1)
                    step()
                    os.write(self._done[1], b"+")
            finally:
                os._exit(0)

    def step(self):
        os.write(self._asked[1], b"+")
        assert os.read(self._done[0], 1) == b"+"

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        for end in (*self._asked, *self._done):
            os.close(end)


def look_in_another_process(location):
    assert Program(OTHER, location).wait() == 0


@pytest.mark.folder_only
def test_what_a_child_writes_after_its_parent_was_killed_is_kept(location):
    """Other processes that close the store leave the child the log that it writes to."""
    with closing(Steps(lambda: _parent_of_a_writer(location))) as parent:
        parent.step()
        child = int((location / "child").read_text())
    for _ in range(3):
        look_in_another_process(location)
        with Store.open(location) as store, store.start("beside", capture=False):
            pass
        _ask(location)

    os.kill(child, 9)
    with Store.open(location) as store:
        run = store.get("orphan#1")
        assert run.tags == {"parent": "1", "child0": "1", "child1": "1", "child2": "1"}
        assert sorted(run.artifacts) == ["file0", "file1", "file2"]
        assert run.metrics["a"].count == 3


@pytest.mark.folder_only
def test_a_child_inherits_no_connection_of_a_thread_that_has_ended(location):
    """It would write to the log that its parent removes, and damage the database."""
    gc.disable()
    try:
        with Store.open(location) as store:
            thread = threading.Thread(target=store.start("thread", capture=False).finish)
            thread.start()
            thread.join()
            log = location / "runstore.db-wal"
            assert log.exists()

            with closing(Steps()):
                assert not log.exists()  # the last connection removes it
    finally:
        gc.enable()


def _parent_of_a_writer(location):
    run = Store.open(location).start("orphan", capture=False)
    run.tags["parent"] = "1"
    os.mkfifo(location / "asked")
    os.mkfifo(location / "done")
    child = os.fork()
    if child == 0:
        for number in range(3):
            (location / "asked").read_bytes()
            run.tags[f"child{number}"] = "1"
            run.save(f"file{number}", b"contents")
            run.log(a=float(number))
            (location / "done").write_bytes(b"+")
        threading.Event().wait(60)
    (location / "child").write_text(str(child))


def _ask(location):
    (location / "asked").write_bytes(b"+")
    assert (location / "done").read_bytes() == b"+"


def test_a_child_that_was_forked_within_a_transaction_keeps_aside_what_it_writes(store):
    """It cannot know what of the database is locked; its parent takes everything in."""
    run = store.start("within", capture=False)
    with store.backend.database.driver.write():
        child = Steps(lambda: run.tags.update(a="1"), lambda: run.log(b=1.0))
        child.step()
        child.step()
        kept = [record.kind for record in store.backend.spool.records()]
    child.close()
    run.finish()

    assert kept == ["tags"]
    take_in(store.backend)
    assert run.record.tags == {"a": "1"}
    assert list(run.record.metric("b").values) == [1.0]


def test_a_child_keeps_no_record_from_being_taken_in(store, monkeypatch):
    """Whoever takes a record in holds a lock, which a child that is forked then would share."""
    run = store.start("claimed", capture=False)
    with store.backend.database.driver.write():
        run.tags["a"] = "1"
        (record,) = store.backend.spool.records()
        monkeypatch.setattr(store.backend.database.driver._own, "waiting", [])
    children = []

    def fork_and_fail(_record):
        children.append(Steps())
        raise StoreLockedError("as if another program kept it locked")

    with monkeypatch.context() as patched:
        patched.setattr(store.backend.part(Deferred), "_take_once", fork_and_fail)
        store.backend.part(Deferred).take_records()

    assert record.path.exists()
    store.backend.part(Deferred).take_records()
    assert not record.path.exists()
    assert run.record.tags == {"a": "1"}
    run.finish()
    for child in children:
        child.close()


def test_forks_wait_while_another_thread_takes_a_record_in(store, monkeypatch):
    """A child of a process that is killed in this moment would hold the claim for its life."""
    run = store.start("claimed", capture=False)
    with store.backend.database.driver.write():
        run.tags["a"] = "1"
        monkeypatch.setattr(store.backend.database.driver._own, "waiting", [])
    taking, goes_on, happened = threading.Event(), threading.Event(), []

    def take(_record):
        taking.set()
        goes_on.wait(60)
        happened.append("taken")
        raise StoreLockedError("as if another program kept it locked")

    monkeypatch.setattr(store.backend.part(Deferred), "_take_once", take)
    thread = threading.Thread(target=store.backend.part(Deferred).take_records)
    thread.start()
    taking.wait(60)
    threading.Timer(0.05, goes_on.set).start()
    child = Steps()
    happened.append("forked")
    child.close()
    thread.join()
    monkeypatch.undo()
    run.finish()

    assert happened == ["taken", "forked"]


def test_a_child_does_not_hold_the_output_of_its_parent(store):
    """What a killed parent printed can be taken in although a child goes on."""
    keeper = OutputKeeper(store.backend.spool, "uid")
    keeper.feed("stdout", b"of the parent\n")
    (path,) = store.backend.spool.output_files()

    with closing(Steps(lambda: keeper.feed("stdout", b"of the child\n"))) as child:
        assert is_being_written(path)
        child.step()
        os.close(keeper._file._file)  # as its end would

        assert not is_being_written(path)
        files = store.backend.spool.output_files()
        assert [file.read_bytes().split(b" ", 2)[2] for file in files] == [
            b"of the parent\n",
            b"of the child\n",
        ]


def test_open_stores_are_listed_while_other_threads_open_more():
    """At each fork, and at each opening, their connections are closed."""

    class Opened:
        pass

    stores, opened = LiveSet(), [Opened() for _ in range(20_000)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=lambda: [stores.add(one) for one in opened])
        thread.start()
        while thread.is_alive():
            list(stores)
    finally:
        sys.setswitchinterval(before)

    assert len(list(stores)) == 20_000


# Points of a child that goes on after the end of its run


def start_with_a_place(run):
    """Return steps that log around a place which another thread of the child fills late."""
    reserved = []

    def reserve():
        run.log(loss=0.0)
        file = run.execution._points.file
        reserved.append((file, next(file.places)))
        run.log(loss=2.0)

    def fill():
        ((file, place),) = reserved
        assert file._store(place, RECORD.pack(1, 0, 1.0, 0, POINT, MARK))

    return reserve, fill


def test_a_point_that_a_child_writes_while_its_run_ends_is_kept(store):
    """A place that a living process has not filled yet is waited for."""
    run = store.start("fit", capture=False)
    with closing(Steps(*start_with_a_place(run))) as child:
        child.step()
        run.log(acc=1.0)
        run.finish()
        assert list(run.record.metric("loss").values) == [0.0, 2.0]
        child.step()

    take_in(store.backend)

    assert list(run.record.metric("loss").values) == [0.0, 1.0, 2.0]
    assert store.backend.spool.point_files() == []


def test_a_point_that_a_child_writes_while_its_points_are_imported_is_kept(store, monkeypatch):
    """Its process was killed after the file was read, and before that was committed."""
    run = store.start("fit", capture=False)
    child = Steps(lambda: run.log(loss=0.0), lambda: run.log(loss=1.0))
    child.step()
    run.finish()
    add_points = table.add_points

    def kill_and_add(*points):
        monkeypatch.undo()
        child.step()
        child.close()
        add_points(*points)

    monkeypatch.setattr(table, "add_points", kill_and_add)
    take_in(store.backend)

    assert list(run.record.metric("loss").values) == [0.0, 1.0]
    take_in(store.backend)
    assert list(run.record.metric("loss").values) == [0.0, 1.0]
    assert store.backend.spool.point_files() == []


def test_points_after_a_place_that_a_killed_child_left_are_kept(store):
    """A search imports what is there, and removes the file of a process that has ended."""
    run = store.start("fit", capture=False)
    reserve, _ = start_with_a_place(run)
    with closing(Steps(reserve)) as child:
        run.finish()
        child.step()

    (found,) = store.find("metrics.loss.last = 2")

    assert list(found.metric("loss").values) == [0.0, 2.0]
    assert store.backend.spool.point_files() == []
