"""Folders of unfinished work are removed with their process, even if it is killed."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from runstore.storage.files import unfinished
from runstore.storage.files.unfinished import MARK, UnfinishedFolder

PREFIX, NUMBER = ".work-", "0123456789abcdef"
HOLDS = """
import sys, time
from pathlib import Path
from runstore.storage.files.unfinished import UnfinishedFolder
folder = UnfinishedFolder(Path(sys.argv[1]), sys.argv[2])
(folder.path / "inner").mkdir()
(folder.path / "inner" / "data").write_text("much")
print(folder.path, flush=True)
time.sleep(600)
"""

# Killed by the first call of a function.
BEGINS = """
import fcntl, os, signal, sys
from pathlib import Path
from runstore.storage.files.unfinished import UnfinishedFolder
def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
place, name = sys.argv[2].split(".")
setattr({"fcntl": fcntl, "os": os}[place], name, end)
UnfinishedFolder(Path(sys.argv[1]), sys.argv[3])
"""


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def with_marks(*folders):
    return sorted(name for one in folders for name in (one, f"{one}{MARK}"))


@pytest.fixture
def holder(tmp_path):
    """A process that fills such a folder; the name of the folder."""
    words = [sys.executable, "-c", HOLDS, str(tmp_path), PREFIX]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        yield process, os.path.basename(process.stdout.readline().strip())  # noqa: PTH119
        process.kill()


def test_it_is_removed_at_the_end_of_the_block(tmp_path):
    with UnfinishedFolder(tmp_path, PREFIX) as folder:
        (folder.path / "data").write_text("some")

    assert names(tmp_path) == []


def test_a_finished_one_is_kept_without_the_mark(tmp_path):
    with UnfinishedFolder(tmp_path, PREFIX) as folder:
        (folder.path / "data").write_text("some")
        folder.keep_as(tmp_path / "result")

    assert names(tmp_path) == ["result"]
    assert names(tmp_path / "result") == ["data"]


@pytest.mark.parametrize("call", ["fcntl.flock", "os.fstat", "os.mkdir"])
def test_the_next_one_removes_that_of_a_process_that_was_killed_early(tmp_path, call):
    """At no moment is there a folder that nobody recognizes later."""
    words = [sys.executable, "-c", BEGINS, str(tmp_path), call, PREFIX]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1

    UnfinishedFolder(tmp_path, PREFIX).remove()

    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_next_one_removes_that_of_a_killed_process(tmp_path, holder, number):
    process, name = holder
    process.send_signal(number)
    process.wait()
    assert names(tmp_path) == with_marks(name)

    with UnfinishedFolder(tmp_path, PREFIX) as folder:
        assert names(tmp_path) == with_marks(folder.path.name)


def test_the_next_one_leaves_that_of_a_running_process(tmp_path, holder):
    _, name = holder

    with UnfinishedFolder(tmp_path, PREFIX) as folder:
        assert names(tmp_path) == with_marks(name, folder.path.name)

    assert names(tmp_path) == with_marks(name)
    assert names(tmp_path / name) == ["inner"]


def test_that_of_a_killed_process_is_kept_if_it_has_results(tmp_path, holder):
    process, name = holder
    process.kill()
    process.wait()

    UnfinishedFolder(tmp_path, PREFIX, has_results=lambda folder: folder.name == name).remove()

    assert names(tmp_path) == [name]
    UnfinishedFolder(tmp_path, PREFIX).remove()
    assert names(tmp_path) == [name]


def test_it_is_kept_while_programs_that_it_was_lent_to_are_running(tmp_path):
    folder = UnfinishedFolder(tmp_path, PREFIX)
    folder.keep_locked_by_children()
    words = [sys.executable, "-c", "input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, close_fds=False) as child:
        os.close(folder._lock)  # as at the end of this process
        UnfinishedFolder(tmp_path, PREFIX).remove()
        assert names(tmp_path) == with_marks(folder.path.name)
        child.communicate(b"\n")

    UnfinishedFolder(tmp_path, PREFIX).remove()

    assert names(tmp_path) == []


def test_other_folders_are_left_alone(tmp_path):
    """A folder without the mark is somebody's own, and a link leads elsewhere."""
    for name in ("mine", NUMBER):
        (tmp_path / f"{PREFIX}{name}").mkdir()
    (tmp_path / f"{PREFIX}mine{MARK}").touch()
    (tmp_path / f"{PREFIX}{NUMBER}{MARK}").write_text("a text that was saved")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data").touch()
    link, file = f"{PREFIX}1{NUMBER[1:]}", f"{PREFIX}2{NUMBER[1:]}"
    (tmp_path / link).symlink_to(elsewhere)
    (tmp_path / file).touch()
    for name in (link, file):
        (tmp_path / f"{name}{MARK}").touch()
    before = names(tmp_path)

    UnfinishedFolder(tmp_path, PREFIX).remove()

    assert names(tmp_path) == before
    assert names(elsewhere) == ["data"]


def test_without_locks_nothing_of_others_is_removed(tmp_path, holder, monkeypatch):
    process, name = holder
    process.kill()
    process.wait()
    monkeypatch.setattr(unfinished, "lock_now", lambda _: None)

    with UnfinishedFolder(tmp_path, PREFIX) as folder:
        assert names(tmp_path) == sorted([*with_marks(name), folder.path.name])

    assert names(tmp_path) == with_marks(name)


def test_it_is_made_on_a_disk_that_does_not_count_names(tmp_path, monkeypatch):
    """A file system in a program of its own may not fill in the number of links."""
    attempts, real = iter(range(9)), os.fstat

    def without_links(descriptor):
        next(attempts)
        status = list(real(descriptor))
        status[stat.ST_NLINK] = 0
        return os.stat_result(status)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fstat", without_links)
        folder = UnfinishedFolder(tmp_path, PREFIX)

    assert names(tmp_path) == with_marks(folder.path.name)
    folder.remove()


def test_a_forked_child_leaves_it_to_its_parent(tmp_path):
    folder = UnfinishedFolder(tmp_path, PREFIX)
    child = os.fork()
    if not child:
        folder.remove()
        os._exit(0)
    os.waitpid(child, 0)

    assert names(tmp_path) == with_marks(folder.path.name)
    folder.remove()
    assert names(tmp_path) == []


def test_a_file_that_got_the_number_of_the_mark_is_not_closed(tmp_path):
    """A program may close all descriptors, and open its own files afterwards."""
    number = os.dup(1)
    os.close(number)
    folder = UnfinishedFolder(tmp_path, PREFIX)
    os.close(number)
    with (tmp_path / "own").open("w") as own:
        assert own.fileno() == number
        folder.remove()
        own.write("text")

    assert (tmp_path / "own").read_text() == "text"
