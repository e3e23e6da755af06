"""Locks on files: who holds one keeps others away, and where there are none we are told so."""

import errno
import fcntl
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from open_files import open_below, open_in_a_child
from runstore.errors import StoreLockedError
from runstore.storage.files import locks
from runstore.storage.files.locks import (
    has_no_locks,
    lock_now,
    locked,
    pause,
    unlock,
    wait_for_lock,
)
from runstore.storage.fulltext.index_file import SearchFile, UnusableIndexError
from runstore.store_json import file as store_json
from runstore.store_json.file import FileLock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")


@pytest.fixture
def two(tmp_path):
    """Return one file, opened twice: for locks, as two programs have it open."""
    path = tmp_path / "lock"
    descriptors = [os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2)]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("mine", "others", "is_granted"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
    ids=["both shared", "other alone", "mine alone", "both alone"],
)
def test_only_shared_locks_are_held_by_two(two, mine, others, is_granted):
    assert lock_now(two[0], is_shared=mine) is True

    assert lock_now(two[1], is_shared=others) is is_granted


def test_a_lock_is_for_one_holder_unless_it_is_shared(two):
    assert lock_now(two[0]) is True

    assert lock_now(two[1]) is False
    unlock(two[0])
    assert lock_now(two[1]) is True


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.ENOTSUP])
def test_a_disk_without_locks_is_told_from_a_held_lock(two, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert lock_now(two[0]) is None
    unlock(two[0])  # nothing to give back


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES, errno.EDEADLK])
def test_a_held_lock_is_told_from_a_disk_without_locks(two, monkeypatch, number):
    """A network disk answers as fcntl(2) does, for which each of these means: somebody has it."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert lock_now(two[0]) is False


def test_a_system_without_locks_is_told_from_a_held_lock(two, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)

    assert lock_now(two[0]) is None
    unlock(two[0])


def test_a_lock_is_given_back_although_a_child_has_the_file_open(two):
    lock_now(two[0])

    with open_in_a_child():
        unlock(two[0])

        assert lock_now(two[1]) is True


@pytest.mark.parametrize(
    ("number", "expected"), [(None, False), (errno.ENOLCK, True), (errno.EAGAIN, False)]
)
def test_a_disk_is_asked_for_locks_with_a_file_of_its_own(tmp_path, monkeypatch, number, expected):
    names = []

    def answer(file, _kind):
        names.append(str(Path(f"/proc/self/fd/{file.fileno()}").readlink()))
        if number is not None:
            raise OSError(number, os.strerror(number))

    (tmp_path / "runstore.db").touch()
    monkeypatch.setattr(fcntl, "lockf", answer)

    assert has_no_locks(str(tmp_path)) is expected
    (name,) = names
    assert name.startswith(f"{tmp_path}/")
    assert name.endswith(" (deleted)")
    assert not has_no_locks(str(tmp_path / "missing"))


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_block_holds_the_lock_and_gives_it_back(tmp_path, is_shared):
    path = tmp_path / "lock"

    with locked(path, is_shared=is_shared, patience_s=0) as held:
        assert held is True
        other = os.open(path, os.O_RDWR)
        assert lock_now(other) is False
        assert lock_now(other, is_shared=True) is is_shared
        unlock(other)

    assert lock_now(other) is True
    os.close(other)


def test_a_block_gives_the_lock_back_although_a_child_has_the_file_open(tmp_path):
    with ExitStack() as child:
        with locked(tmp_path / "lock", is_shared=False, patience_s=0):
            child.enter_context(open_in_a_child())

        with locked(tmp_path / "lock", is_shared=False, patience_s=0) as held:
            assert held is True


def test_a_lock_that_is_waited_for_is_for_one_unless_it_is_shared(two):
    assert wait_for_lock(two[0], patience_s=0) is True
    assert wait_for_lock(two[1], is_shared=True, patience_s=0) is False

    unlock(two[0])

    assert wait_for_lock(two[0], is_shared=True, patience_s=0) is True
    assert wait_for_lock(two[1], is_shared=True, patience_s=0) is True


def test_a_block_that_fails_gives_the_lock_back(tmp_path):
    path = tmp_path / "lock"

    with pytest.raises(KeyError), locked(path, is_shared=False, patience_s=0):
        raise KeyError

    with locked(path, is_shared=False, patience_s=0) as held:
        assert held is True


def test_a_block_without_locks_runs_and_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: os.fstat(-1))

    with locked(tmp_path / "lock", is_shared=False, patience_s=0) as held:
        assert held is False


def test_a_lock_that_others_keep_is_waited_for_as_long_as_agreed(tmp_path, clock):
    path = tmp_path / "lock"
    with locked(path, is_shared=False, patience_s=0):
        before = open_below(tmp_path)

        with (
            pytest.raises(StoreLockedError, match=r"lock locked for 2\.5 s") as caught,
            locked(path, is_shared=True, patience_s=2.5),
        ):
            pytest.fail("two hold it")

        assert caught.value.kept == "Nothing was changed."
        assert open_below(tmp_path) == before
    assert 2.5 < sum(clock) <= 2.5 + locks._PAUSE_S
    assert max(clock) <= locks._PAUSE_S < 0.05


def test_a_lock_that_is_given_back_meanwhile_is_ours(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    other = os.open(path, os.O_RDWR | os.O_CREAT)
    lock_now(other)
    monkeypatch.setattr(time, "sleep", lambda _: unlock(other))

    with locked(path, is_shared=False, patience_s=60) as held:
        assert held is True
        assert lock_now(other) is False
    os.close(other)


def test_a_block_leaves_no_descriptor_open(tmp_path):
    before = open_below(tmp_path)

    for _ in range(3):
        with locked(tmp_path / "lock", is_shared=True, patience_s=0):
            pass

    assert open_below(tmp_path) == before


@pytest.mark.parametrize(("byte", "part"), [(0, 1 / 256), (127, 0.5), (255, 1.0)])
def test_a_pause_is_a_part_of_the_longest(clock, monkeypatch, byte, part):
    monkeypatch.setattr(os, "urandom", lambda count: bytes([byte]) * count)

    pause(0.3)

    assert clock == [pytest.approx(0.3 * part)]


# Who waits for one


def test_store_json_waits_for_another_writer_and_names_its_lock(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(store_json, "LOCK_PATIENCE_S", 2.5)
    with FileLock(tmp_path / "store.json") as holder:
        holder.remember({"a": 1})
        before = open_below(tmp_path)

        with pytest.raises(StoreLockedError, match=r"\.store\.json\.lock locked for 2\.5 s"):
            FileLock(tmp_path / "store.json").__enter__()

        assert open_below(tmp_path) == before
        assert sum(clock) > 2.5
    assert FileLock(tmp_path / "store.json").state() == {"a": 1}


def test_store_json_is_written_on_a_disk_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: os.fstat(-1))

    with FileLock(tmp_path / "store.json") as lock, FileLock(tmp_path / "store.json"):
        lock.remember({"a": 1})

    assert lock.state() == {"a": 1}


def test_a_search_index_in_use_is_not_removed(tmp_path, clock):
    (tmp_path / "runstore.db").touch()
    index = SearchFile(tmp_path / "runstore.db")
    with index.opened():
        with pytest.raises(UnusableIndexError, match="another process is using it"):
            index.remove()
        with index.opened():
            pass  # searches go on beside each other

    assert index.remove() == ""
    assert not index.path.exists()


def test_a_search_does_not_begin_while_the_index_is_mended(tmp_path, clock):
    (tmp_path / "runstore.db").touch()
    folder = os.open(tmp_path, os.O_RDONLY)
    lock_now(folder)

    with (
        pytest.raises(UnusableIndexError, match="repairing"),
        SearchFile(tmp_path / "runstore.db").opened(),
    ):
        pytest.fail("it is being removed")

    os.close(folder)
