"""Descriptors that are known again: of a file by its status, of a log by the mark it was given."""

import fcntl
import os
import sys
from itertools import count

import pytest

from open_files import OWN, open_below
from runstore.storage.sqlite import descriptors
from runstore.storage.sqlite.descriptors import identity_of, is_whole, marked, new_descriptors

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


def entry(descriptor):
    return descriptor, identity_of(descriptor), marked(descriptor)


@on_linux
def test_a_marked_file_is_known_without_its_status(opened, asked):
    numbers, fstat = asked
    one = entry(opened[0])

    assert one[2] > 0
    assert is_whole((one,), fstat)
    assert numbers == []


def test_a_file_without_a_mark_is_known_by_its_status(opened, asked):
    numbers, fstat = asked

    assert is_whole(((opened[0], identity_of(opened[0]), 0),), fstat)
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
