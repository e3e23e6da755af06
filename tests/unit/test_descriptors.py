"""Descriptors that are known again: of a file by its status, of a log by the mark it was given."""

import errno
import fcntl
import gc
import os
import sys
import weakref
from itertools import count

import pytest

from open_files import OWN, open_below
from runstore.storage.sqlite import descriptors
from runstore.storage.sqlite.database_file import DatabaseFile
from runstore.storage.sqlite.descriptors import (
    HeldFile,
    identity_of,
    is_log_removed,
    is_whole,
    keep_for_ever,
    keep_reserve,
    marked,
    new_descriptors,
    none_left,
    with_room,
)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such marks")


@pytest.fixture
def opened(tmp_path):
    """Descriptors of two new files; a test may close them."""
    files = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("log", "other")]
    yield files
    for one in files:
        if identity_of(one) is not None:
            os.close(one)


@pytest.fixture
def asked():
    """The numbers of the descriptors whose status was asked for."""
    numbers = []

    def fstat(number):
        numbers.append(number)
        return os.fstat(number)

    return numbers, fstat


def test_new_descriptors_are_told_from_those_before_and_after(opened, tmp_path):
    os.close(opened[0])  # the first of the new ones fills the gap
    new = []
    with new_descriptors() as found:
        new += [os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "other", os.O_RDONLY)]
        assert found() == {one: identity_of(one) for one in new}
        with new_descriptors():
            pass
        assert found() == {}
    for one in new:
        os.close(one)


class LateError(Exception):
    """What a signal handler raises."""


class RaisedBefore:
    """Raises before the nth step in a file of ours, as Python calls handlers between any two."""

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, _argument):
        if frame.f_code.co_filename != descriptors.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise LateError
        return self


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of a file that nobody could close
@pytest.mark.skipif(not OWN.exists(), reason="needs a list of open descriptors")
def test_a_handler_that_raises_while_they_are_sought_leaves_nothing_open():
    before, moments = open_below("/dev"), count(1)
    tracer = sys.gettrace()
    for late in map(RaisedBefore, moments):
        sys.settrace(late)
        try:
            with new_descriptors():
                pass
        except LateError:
            continue
        finally:
            sys.settrace(tracer)
        break

    assert next(moments) > 50
    assert open_below("/dev") == before
    with new_descriptors() as found:
        one = os.open(os.devnull, os.O_RDONLY)
        assert found() == {one: identity_of(one)}
    os.close(one)


def entry(descriptor, *, is_log=False):
    return HeldFile(descriptor, identity_of(descriptor), marked(descriptor), is_log)


@on_linux
def test_a_marked_file_is_known_without_its_status(opened, asked):
    numbers, fstat = asked
    one = entry(opened[0])

    assert one.mark > 0
    assert is_whole((one,), fstat)
    assert numbers == []


def test_a_file_without_a_mark_is_known_by_its_status(opened, asked):
    numbers, fstat = asked

    assert is_whole((entry(opened[0])._replace(mark=0),), fstat)
    assert numbers == opened[:1]


def test_a_closed_descriptor_is_not_whole(opened):
    one = entry(opened[0])

    os.close(opened[0])

    assert not is_whole((one,))


def test_another_file_of_the_same_number_is_not_whole(opened):
    one = entry(opened[0])

    os.dup2(opened[1], opened[0])

    assert not is_whole((one,))


def test_another_marked_file_of_the_same_number_is_not_whole(opened):
    """Such as the log of another store."""
    one = entry(opened[0])
    marked(opened[1])

    os.dup2(opened[1], opened[0])

    assert not is_whole((one,))


@on_linux
def test_a_file_that_lost_its_mark_is_known_by_its_status(opened):
    one = entry(opened[0])

    fcntl.fcntl(opened[0], fcntl.F_SETSIG, 0)

    assert is_whole((one,))


def test_a_removed_file_is_whole(opened, tmp_path):
    one = entry(opened[0])

    (tmp_path / "log").unlink()

    assert is_whole((one,))


@on_linux
@pytest.mark.parametrize(
    ("removed", "expected"),
    [([], False), (["log"], True), (["other"], False), (["log", "other"], False)],
)
def test_a_log_that_was_removed_from_its_database_is_noticed(opened, tmp_path, removed, expected):
    """If the database was removed as well, the store was: that is another case."""
    files = (entry(opened[0], is_log=True), entry(opened[1]))
    for name in removed:
        (tmp_path / name).unlink()

    assert is_log_removed(files) is expected
    assert not is_log_removed(files[1:])


def test_closed_descriptors_have_no_removed_log(opened):
    files = (entry(opened[0], is_log=True), entry(opened[1]))
    for one in opened:
        os.close(one)

    assert not is_log_removed(files)


@on_linux
def test_marks_are_told_apart(opened):
    assert len({marked(opened[0]) for _ in range(60)}) == 60


@on_linux
def test_a_mark_sends_no_signal(opened):
    """Not even of a pipe, of which the system could tell input."""
    reading, writing = os.pipe()
    try:
        marked(reading)
        os.write(writing, b"x")
        assert os.read(reading, 1) == b"x"
    finally:
        os.close(reading)
        os.close(writing)


# A reserve for when none is left


@pytest.fixture
def reserve(monkeypatch):
    """The numbers that are kept in reserve, at first none."""
    kept = []
    monkeypatch.setattr(descriptors, "_reserve", kept)
    yield lambda: [one.number for one in kept]
    for number, identity, *_ in kept:
        if identity_of(number) == identity:
            os.close(number)


@pytest.mark.skipif(not OWN.exists(), reason="needs a list of open descriptors")
def test_a_reserve_is_six_descriptors_and_no_more(reserve):
    before = len(os.listdir(OWN))  # noqa: PTH208 - of a moment

    keep_reserve()
    first = reserve()
    keep_reserve()

    assert reserve() == first
    assert len(os.listdir(OWN)) - before == len(first) == 6  # noqa: PTH208


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        OSError(errno.ENFILE, os.strerror(errno.ENFILE)),
        ImportError(f"libx.so: {os.strerror(errno.EMFILE)}"),
    ],
)
def test_a_call_without_a_descriptor_left_gets_the_reserve(reserve, error):
    keep_reserve()
    numbers, rooms = reserve(), []

    def work():
        rooms.append(sum(identity_of(one) is None for one in numbers))
        if len(rooms) == 1:
            raise error
        return "done"

    assert with_room(work) == "done"
    assert rooms == [0, 6]
    assert len(reserve()) == 6
    assert all(map(identity_of, reserve()))


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ImportError("no module")])
def test_another_error_is_not_tried_again(reserve, error):
    calls = []

    def work():
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        with_room(work)
    assert calls == [1]


@pytest.mark.parametrize("is_reused", [False, True])
def test_a_program_that_closed_the_reserve_keeps_its_own_files(reserve, opened, is_reused):
    keep_reserve()
    numbers = reserve()
    for one in numbers:
        if is_reused:
            os.dup2(opened[0], one)
        else:
            os.close(one)

    with pytest.raises(OSError, match="Too many"):
        with_room(_fail)

    if is_reused:
        assert {identity_of(one) for one in numbers} == {identity_of(opened[0])}
        for one in numbers:
            os.close(one)
    assert len(reserve()) == 6


def _fail():
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_reserve_that_the_program_closed_is_made_again(reserve, opened):
    keep_reserve()
    numbers = reserve()
    for one in numbers:
        os.dup2(opened[0], one)

    keep_reserve()

    assert not set(reserve()) & set(numbers)
    assert {identity_of(one) for one in numbers} == {identity_of(opened[0])}
    for one in numbers:
        os.close(one)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.EACCES, False)]
)
def test_whether_any_is_left_is_found_by_opening_one(monkeypatch, number, expected):
    assert not none_left()

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)

    assert none_left() is expected


def test_what_is_kept_for_ever_outlives_the_interpreter():
    class Thing:
        """An object that closes descriptors when it is deleted."""

    thing = Thing()
    known, before = weakref.ref(thing), sys.getrefcount(thing)

    keep_for_ever(thing)

    assert sys.getrefcount(thing) == before + 2, "one is for the end of the interpreter"
    del thing
    gc.collect()
    assert known() is not None


def test_a_database_that_was_created_is_not_left_open(tmp_path):
    """Closing it later would release the locks of its connections."""
    file = DatabaseFile(str(tmp_path / "runstore.db"))

    file.make()

    assert (tmp_path / "runstore.db").read_bytes() == b""
    assert open_below(tmp_path) == []
