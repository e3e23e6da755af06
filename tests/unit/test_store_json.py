"""The file `store.json` and its lock: what is read, waited for, refused, remembered."""

import errno
import fcntl
import json
import os
import stat
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from open_files import open_below, open_in_a_child
from other_users import skip_without_root
from runstore.errors import StoreLockedError, StoreReadOnlyError, StoreUnavailableError
from runstore.storage.files.safe_files import UnsafeFileError
from runstore.store_json import file as store_json
from runstore.store_json.file import (
    FileLock,
    Stamp,
    decode,
    read_block_file,
    read_list,
    read_registry,
    set_aside,
    stamp_of,
    write_block_file,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")

BLOCK = {"reference": "mnist_1_2026-11-24-T000000", "experiment_name": "mnist", "run_number": 1}
LIST = json.dumps([BLOCK])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.json"


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


# Which file it is


def test_a_stamp_changes_with_size_time_and_file(path):
    path.write_text(LIST)
    found = path.stat()

    assert stamp_of(path) == Stamp(found.st_size, found.st_mtime_ns, found.st_ino)
    assert stamp_of(path)._asdict() == {
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "inode": found.st_ino,
    }


def test_a_file_that_is_not_there_has_no_stamp(path, tmp_path):
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    path.write_text(LIST)

    assert stamp_of(tmp_path / "missing") is None
    assert stamp_of(path / "below") is None
    assert stamp_of(circle) is None


def test_a_disk_that_does_not_tell_is_an_error(path, monkeypatch):
    monkeypatch.setattr(os, "stat", failing(errno.EIO))
    monkeypatch.setattr(Path, "stat", failing(errno.EIO))

    with pytest.raises(StoreUnavailableError, match=r"status .* cannot be read") as raised:
        stamp_of(path)

    assert raised.value.kept == "Nothing was changed."


# Read


def test_a_file_that_is_not_there_has_no_blocks(path):
    assert read_block_file(path) is None


def test_a_damaged_file_that_nobody_changes_is_read_after_a_moment(path, clock):
    path.write_text(LIST[:-5])

    found = read_block_file(path)

    assert found.problems
    assert clock == [0.05]


def test_an_old_damaged_file_is_not_waited_for(path, clock):
    path.write_text(LIST[:-5])
    os.utime(path, (time.time() - 3,) * 2)

    assert read_block_file(path).problems
    assert clock == []


def test_a_file_from_the_future_is_not_waited_for(path, clock):
    path.write_text(LIST[:-5])
    os.utime(path, (time.time() + 3600,) * 2)

    assert read_block_file(path).problems
    assert clock == []


def test_a_file_that_is_being_rewritten_is_waited_for(path, monkeypatch):
    path.write_text("[")
    monkeypatch.setattr(time, "sleep", lambda _: path.write_text(LIST))

    found = read_block_file(path)

    assert (found.problems, found.blocks) == ([], [BLOCK])


def test_a_file_that_changes_for_ever_is_read_as_it_is(path, monkeypatch):
    path.write_text("[")
    waits = []

    def go_on_writing(wait_s):
        waits.append(wait_s)
        path.write_text("[" + " " * len(waits))

    monkeypatch.setattr(time, "sleep", go_on_writing)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + sum(waits))

    assert read_block_file(path).problems
    assert 10 < sum(waits) < 10.1


def test_a_file_that_vanishes_meanwhile_has_no_blocks(path, monkeypatch):
    path.write_text("[")
    monkeypatch.setattr(time, "sleep", lambda _: path.unlink(missing_ok=True))

    # Gone when it is looked at again: what was read before is what there was.
    assert read_block_file(path) is None


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_file_is_damaged(path, text):
    path.write_text(text)
    os.utime(path, (0, 0))

    assert read_block_file(path).problems == ["The file is empty."]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_of_any_encoding_is_read(path, encoding):
    path.write_bytes(LIST.replace("mnist", "Größe").encode(encoding))

    found = read_block_file(path)

    assert found.problems == []
    assert found.blocks[0]["experiment_name"] == "Größe"


def test_bytes_that_are_no_text_are_said(path):
    text, problem = decode(b'[{"reference": "Gr\xf6sse"}]')

    assert text == '[{"reference": "Gr\ufffdsse"}]'
    assert problem == "The bytes from 18 on are not utf-8 text."


def test_a_file_whose_text_has_other_bytes_is_damaged(path):
    """Though it can be read as JSON: writing it anew would lose the bytes."""
    path.write_bytes(b'[{"reference": "Gr\xf6sse"}]')
    os.utime(path, (0, 0))

    found = read_block_file(path)

    assert found.blocks == [{"reference": "Gr\ufffdsse"}]
    assert found.problems == ["The bytes from 18 on are not utf-8 text."]


def test_zeros_at_the_beginning_are_no_other_encoding():
    text, problem = decode(b"\0\0\0\0" + b"[" * 8)

    assert text.endswith("[" * 8)
    assert problem is None
    assert decode(b"\0\0\0\0\xff" + b"[" * 7)[0].endswith("\ufffd" + "[" * 7)


def test_a_file_with_holes_is_refused(path):
    path.write_text(LIST)
    os.truncate(path, 1 << 22)

    with pytest.raises(UnsafeFileError, match="holes"):
        read_list(path)


# Links


@pytest.mark.parametrize("text", [LIST, "[]", "[ ]\n", "", "\ufeff" + LIST, " [\n {" + LIST[2:]])
@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_a_link_to_a_list_of_runs_is_followed(path, tmp_path, text, kind):
    real = tmp_path / "elsewhere.json"
    real.write_text(text, encoding="utf-8")
    path.symlink_to(real) if kind == "link" else path.hardlink_to(real)

    assert read_list(path) == text.encode()


@pytest.mark.parametrize(
    "text", ["ssh-rsa AAAA", "{}", "[1]", "[] x", '[{"name": "x"}]', 'x[{"reference": 1}]']
)
@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_a_link_to_another_file_is_not_read(path, tmp_path, text, kind):
    real = tmp_path / "id_rsa"
    real.write_text(text)
    path.symlink_to(real) if kind == "link" else path.hardlink_to(real)
    before = open_below(path.parent)

    with pytest.raises(UnsafeFileError, match="is not a list of runs"):
        read_list(path)

    assert open_below(path.parent) == before


def test_a_link_that_leads_nowhere_is_said(path, tmp_path):
    path.symlink_to(tmp_path / "missing")

    with pytest.raises(UnsafeFileError, match="a broken link"):
        read_list(path)


def test_a_link_that_somebody_else_made_is_not_followed(path, tmp_path):
    skip_without_root()
    real = tmp_path / "list.json"
    real.write_text(LIST)
    path.symlink_to(real)
    os.chown(path, 1234, 1234, follow_symlinks=False)

    with pytest.raises(UnsafeFileError, match="a file of another user"):
        read_list(path)


def test_a_link_of_root_is_followed_for_the_user(path, tmp_path):
    skip_without_root()
    real = tmp_path / "list.json"
    real.write_text(LIST)
    path.symlink_to(real)
    os.chown(real, 1234, 1234)

    assert read_list(path) == LIST.encode()


def test_a_folder_behind_a_link_may_hold_a_damaged_list(path, tmp_path):
    path.write_text("damaged")
    (tmp_path / "behind").symlink_to(tmp_path)

    assert read_list(tmp_path / "behind" / path.name) == b"damaged"


def test_a_file_that_is_no_link_may_hold_anything(path):
    path.write_text("whatever")

    assert read_list(path) == b"whatever"


# Written


def test_a_file_is_replaced_whole(path):
    path.write_text("old")
    path.chmod(0o640)
    before = open_below(path.parent)

    stamp = write_block_file(path, [b"new ", memoryview(b"list")])

    assert path.read_text() == "new list"
    assert stamp == stamp_of(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in path.parent.iterdir()] == ["store.json"]
    assert open_below(path.parent) == before


def test_a_new_file_is_for_those_who_share_its_folder(path):
    path.parent.chmod(0o770)

    write_block_file(path, [b"[]"])

    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_link_stays_a_link(path, tmp_path):
    real = tmp_path / "elsewhere" / "list.json"
    real.parent.mkdir()
    real.write_text(LIST)
    path.symlink_to(real)

    stamp = write_block_file(path, [b"[]"])

    assert path.is_symlink()
    assert (real.read_text(), stamp) == ("[]", stamp_of(real))


def test_a_link_in_a_circle_is_replaced(path):
    path.symlink_to(path)

    write_block_file(path, [b"[]"])

    assert not path.is_symlink()
    assert path.read_text() == "[]"


def test_a_link_to_another_file_is_not_written_through(path, tmp_path):
    real = tmp_path / "thesis.txt"
    real.write_text("ten years")
    path.symlink_to(real)

    with pytest.raises(UnsafeFileError):
        write_block_file(path, [b"[]"])

    assert real.read_text() == "ten years"


def test_what_lies_in_the_way_aside_is_not_written_through(path, tmp_path):
    real = tmp_path / "thesis.txt"
    real.write_text("ten years")
    (tmp_path / ".store.json.new").symlink_to(real)

    write_block_file(path, [b"[]"])

    assert (real.read_text(), path.read_text()) == ("ten years", "[]")


def test_a_write_that_fails_leaves_the_old_file(path):
    path.write_text("old")

    def chunks():
        yield b"new"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_block_file(path, chunks())

    assert path.read_text() == "old"
    assert [one.name for one in path.parent.iterdir()] == ["store.json"]


def test_damaged_files_of_one_second_have_names_of_their_own(path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "2026-11-24-T000000")
    path.write_text("damaged")

    names = [set_aside(path).name for _ in range(3)]

    stem = "store.json.damaged-2026-11-24-T000000"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]


# The lock


def test_one_holds_the_lock_at_a_time(path, clock, monkeypatch):
    assert store_json.LOCK_PATIENCE_S == 60
    monkeypatch.setattr(store_json, "LOCK_PATIENCE_S", 2)

    with FileLock(path) as lock:
        assert lock.path == path.with_name(".store.json.lock")
        before = open_below(path.parent)

        with pytest.raises(StoreLockedError, match="locked for 2 s"), FileLock(path):
            pytest.fail("two hold it")

        assert open_below(path.parent) == before
    assert 2 < sum(clock) < 2.01
    with FileLock(path):
        pass


def test_a_lock_is_given_back_by_an_error(path):
    before = open_below(path.parent)

    with pytest.raises(KeyError), FileLock(path):
        raise KeyError

    assert open_below(path.parent) == before
    with FileLock(path):
        pass


def test_a_lock_is_given_back_although_a_child_has_it_open(path, monkeypatch):
    with ExitStack() as child:
        with FileLock(path):
            child.enter_context(open_in_a_child())
        monkeypatch.setattr(store_json, "LOCK_PATIENCE_S", 0)

        with FileLock(path):
            pass


def test_a_disk_without_locks_is_no_locked_store(path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))

    with FileLock(path) as lock:
        lock.remember({"changed": 7})

    assert lock.state() == {"changed": 7}


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (errno.EACCES, StoreReadOnlyError, "cannot be written: Permission denied"),
        (errno.EROFS, StoreReadOnlyError, "cannot be written: Read-only file system"),
        (errno.ENOSPC, StoreUnavailableError, "cannot be created: No space left"),
    ],
)
def test_a_lock_that_cannot_be_made_says_why(path, monkeypatch, number, error, message):
    monkeypatch.setattr(store_json, "open_or_replace", failing(number))

    with pytest.raises(error, match=message) as raised, FileLock(path):
        pytest.fail("nobody gave it")

    assert raised.value.kept.startswith("Nothing was changed")


def test_a_lock_remembers_what_its_holder_wrote(path):
    lock = FileLock(path)
    assert lock.state() == {}

    with lock:
        lock.remember({"changed": 7, "size": 2**40})
        lock.remember({"changed": 8})
        before = open_below(path.parent)
        assert lock.state() == {"changed": 8}
        assert open_below(path.parent) == before

    assert FileLock(path).state() == {"changed": 8}
    assert lock.path.stat().st_size == 512


def test_only_the_holder_says_what_is_remembered(path):
    with pytest.raises(RuntimeError, match="not held"):
        FileLock(path).remember({})


def test_a_full_disk_costs_what_is_remembered_and_nothing_else(path, monkeypatch):
    with FileLock(path) as lock:
        monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
        lock.remember({"changed": 7})
        monkeypatch.undo()

    assert lock.state() == {}


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 2000, '{"changed": "7", "size": null}'])
def test_a_state_that_nobody_wrote_is_none(path, text):
    lock = FileLock(path)
    lock.path.write_text(text)

    assert lock.state() == {}


def test_a_state_is_numbers(path):
    lock = FileLock(path)
    lock.path.write_text('{"changed": 7, "size": 1.5, "inode": 8}')

    assert lock.state() == {"changed": 7, "inode": 8}


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_state_of_elsewhere_is_none(path, tmp_path, kind):
    lock, real = FileLock(path), tmp_path / "elsewhere"
    real.write_text('{"changed": 7}')
    if kind == "link":
        lock.path.symlink_to(real)
    elif kind == "hard link":
        lock.path.hardlink_to(real)
    else:
        os.mkfifo(lock.path)

    assert lock.state() == {}
    with lock:
        lock.remember({"changed": 8})
    assert real.read_text() == '{"changed": 7}'
    assert lock.state() == {"changed": 8}


# The registry of parameters


def test_a_registry_explains_hashes(tmp_path):
    registry = {
        "abc": {"name": "small", "lr": "0.1", "layers": [1, 2], "_created": "x"},
        "def": {"name": 7, "lr": "0.2"},
        "_meta": "text",
    }
    (tmp_path / "params_registry.json").write_text(json.dumps(registry))

    assert read_registry(tmp_path) == {
        "abc": ("small", {"lr": "0.1", "layers": "[1, 2]"}),
        "def": (None, {"lr": "0.2"}),
    }


@pytest.mark.parametrize("text", ["[]", "null", "7", '"x"'])
def test_a_registry_of_another_kind_explains_nothing(tmp_path, text):
    (tmp_path / "params_registry.json").write_text(text)

    assert read_registry(tmp_path) == {}
    assert read_registry(tmp_path / "missing") == {}


def test_a_registry_that_is_nested_without_end_is_given_up_soon(tmp_path, monkeypatch):
    """Each of its levels would be read to the end again."""
    text = '{"abc": {"lr": "1"}, "d": ' + '{"x": ' * 100_000
    (tmp_path / "params_registry.json").write_text(text)
    decode, tries = json.JSONDecoder.raw_decode, []

    def counted(decoder, *arguments, **options):
        tries.append(arguments)
        return decode(decoder, *arguments, **options)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counted)

    assert read_registry(tmp_path) == {"abc": (None, {"lr": "1"})}
    assert len(tries) == 102, "the whole, the one that makes sense, and a hundred that do not"


def test_a_damaged_registry_is_read_as_far_as_it_goes(tmp_path):
    text = '{"abc": {"name": "a", "lr": "1"}, "_x": {"name": "b"}, "d": {"x": "c", "abc": {}}, "g'
    (tmp_path / "params_registry.json").write_text(text)

    assert read_registry(tmp_path) == {
        "abc": ("a", {"lr": "1"}),
        "d": (None, {"x": "c", "abc": "{}"}),
    }
