"""Records in flight: their names, their places, whose they are, and what is no record."""

import errno
import hashlib
import json
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from open_files import open_below
from other_users import skip_without_root
from runstore.errors import StoreCorruptError
from runstore.storage.files import spool as spool_module
from runstore.storage.files.spool import Record, Spool, uid_of, write_copy
from runstore.storage.files.spool_records import read_record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

UID = "01890000-0000-7000-8000-000000000000"
OTHER = "01890000-0000-7000-8000-000000000001"
NOTES = {"notes": "text", "author": "ada"}
DIGEST = "ab" * 32
BODIES = {
    "end": {
        "status": "complete",
        "ended_at": 7,
        "error": None,
        "traceback": None,
        "exit_code": None,
    },
    "artifact": {
        "path": "model.bin",
        "digest": DIGEST,
        "size_bytes": 7,
        "media_type": "text/plain",
        "saved_at": 7,
        "objects": None,
        "preview": None,
    },
    "input": {
        "name": "a",
        "digest": None,
        "size_bytes": None,
        "modified_at": None,
        "location": None,
        "source_uid": None,
        "used_at": 7,
    },
    "tags": {"changes": {"a": "b", "c": None}, "author": "ada"},
    "notes": NOTES,
    "params": {"name": "default", "hash": "x", "tree": None, "set_name": None, "author": "ada"},
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def spool(folder):
    return Spool(folder)


@pytest.fixture(autouse=True)
def _nothing_is_left_open(tmp_path):
    yield
    assert open_below(tmp_path) == []


@pytest.fixture
def clock(monkeypatch):
    """A function that sets the clock, for names as if this process had given none."""
    monkeypatch.setattr(spool_module._newest, "number", 0)
    return lambda at: monkeypatch.setattr("time.time_ns", lambda: at)


def put(spool, name, data=b"x", place=None):
    path = (place or spool.in_first_place(Path)) / name
    path.write_bytes(data)
    return path


# In


def test_a_record_is_a_file_with_its_run_its_time_and_its_kind(spool, folder, clock):
    clock(1_795_780_800_000_000_000)

    path = spool.keep(UID, "notes", NOTES)

    assert path.parent == folder / "spool"
    assert re.fullmatch(f"{UID}.01795780800000000000-[0-9a-f]{{8}}.notes.json", path.name)
    assert json.loads(path.read_text()) == NOTES
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert list(spool.records()) == [Record(path, UID, "notes", NOTES)]
    assert uid_of(path) == UID


@pytest.mark.parametrize(
    ("mode", "rights"), [(0o755, 0o700), (0o775, 0o770), (0o777, 0o777), (0o700, 0o700)]
)
def test_the_place_is_for_those_who_may_write_to_the_store(spool, folder, mode, rights):
    folder.chmod(mode)

    for before in (None, 0o750, 0o777):
        if before is not None:
            spool.place.chmod(before)
        assert spool.in_first_place(Path) == folder / "spool"
        assert stat.S_IMODE(spool.place.stat().st_mode) == rights


def test_a_store_that_was_moved_away_gets_no_new_folder(spool, folder):
    folder.rmdir()

    place = spool.in_first_place(Path)

    assert not folder.exists()
    assert place == spool.own_place()
    assert str(place).startswith(os.environ["XDG_STATE_HOME"] + "/runstore/spool/")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_something_else_in_the_place_takes_nothing(spool, folder, tmp_path, kind):
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        spool.place.symlink_to(tmp_path / "elsewhere")
    else:
        spool.place.write_text("mine")

    path = spool.keep(UID, "notes", NOTES)

    assert path.parent == spool.own_place()
    assert spool.is_own(path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [one.body for one in spool.records()] == [NOTES]


def test_a_full_disk_leaves_no_half_record(spool, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(OSError, match="No space"):
        spool.keep(UID, "notes", NOTES)

    for place in (spool.place, spool.own_place()):
        assert [one for one in place.iterdir() if one.name != "store"] == []
    assert not spool.has_kept


def test_what_a_crash_left_is_replaced(spool, clock, tmp_path, monkeypatch):
    clock(7)
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "mine").write_text("mine")
    left = spool.in_first_place(Path) / f"{UID}.{7:020d}-00000000.notes.tmp"
    left.symlink_to(tmp_path / "mine")

    spool.keep(UID, "notes", NOTES)

    assert (tmp_path / "mine").read_text() == "mine"
    assert not left.is_symlink()


@pytest.mark.parametrize(("length", "is_own"), [(100, False), (1 << 24, True)])
def test_a_large_record_goes_to_the_own_place(spool, length, is_own):
    path = spool.keep(UID, "notes", {**NOTES, "notes": "x" * length})

    assert spool.is_own(path) is is_own
    assert [len(one.body["notes"]) for one in spool.records()] == [length]


def test_a_record_that_names_a_folder_goes_to_the_own_place(spool, tmp_path):
    own = spool.own_place()
    for objects, names in ((own / "objects", own / "objects"), (tmp_path, None)):
        body = {**BODIES["artifact"], "objects": str(objects)}
        path = spool.keep(UID, "artifact", body)
        assert spool.is_own(path)
        record = Record(path, UID, "artifact", body)
        if names is None:
            with pytest.raises(ValueError, match="not the user's own"):
                spool.objects_of(record)
        else:
            assert spool.objects_of(record) == names
    assert spool.objects_of(Record(path, UID, "artifact", BODIES["artifact"])) is None


def test_what_was_kept_is_known_until_it_is_taken(spool):
    assert not spool.has_kept

    paths = [spool.keep(UID, "notes", NOTES), spool.keep(UID, "tags", BODIES["tags"])]
    paths[0].unlink()
    spool.forget_taken()
    assert spool.has_kept
    paths[1].unlink()
    spool.forget_taken()

    assert not spool.has_kept


# Out


@pytest.mark.parametrize("kind", BODIES)
def test_each_kind_of_record_is_read(spool, kind):
    path = spool.keep(UID, kind, BODIES[kind])

    assert list(spool.records()) == [Record(path, UID, kind, BODIES[kind])]
    assert spool.refused == {}


@pytest.mark.parametrize("times", [(9, 10, 11), (9, 9, 9), (9, 10, 2)])
def test_records_come_in_the_order_in_which_they_were_kept(spool, clock, times):
    """The clock may be set back, or stand still in a test of the program."""
    for number, at in enumerate(times):
        clock(at)
        spool.keep(UID, "notes", {**NOTES, "notes": str(number)})

    assert [one.body["notes"] for one in spool.records()] == ["0", "1", "2"]


def test_records_of_two_processes_at_the_same_moment_are_both_kept(spool, clock):
    clock(7)
    pid = os.fork()
    spool.keep(UID, "notes", NOTES)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

    assert len(list(spool.records())) == 2


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *[("end", {"status": word}) for word in ("queued", "running", "live", "finished", None)],
        ("end", {"ended_at": None}),
        ("end", {"ended_at": 253_402_300_800_000_000}),
        ("end", {"ended_at": -253_402_300_800_000_000}),
        ("end", {"error": 7}),
        ("end", {"traceback": 7}),
        ("end", {"exit_code": "1"}),
        ("end", {"exit_code": 2**63}),
        ("artifact", {"digest": "ab" * 31}),
        ("artifact", {"digest": "ab" * 32 + "0"}),
        ("artifact", {"digest": 7}),
        ("artifact", {"size_bytes": 2**63}),
        ("artifact", {"size_bytes": -1}),
        ("artifact", {"size_bytes": "7"}),
        ("artifact", {"objects": 7}),
        ("artifact", {"preview": ["text/plain"]}),
        ("artifact", {"preview": ["text/plain", "eA==", "eA=="]}),
        ("artifact", {"preview": ["text/plain", 7]}),
        ("artifact", {"preview": "ab"}),
        ("artifact", {"path": ""}),
        ("input", {"name": None}),
        ("input", {"digest": 7}),
        ("input", {"modified_at": "x"}),
        ("input", {"source_uid": 7}),
        ("tags", {"changes": []}),
        ("tags", {"changes": {"a": 7}}),
        ("tags", {"changes": {"a\ud800": "b"}}),
        ("tags", {"author": None}),
        ("notes", {"author": None}),
        ("params", {"hash": None}),
        ("params", {"name": None}),
        ("params", {"set_name": 7}),
        ("params", {"other": 7}),
    ],
)
def test_a_record_with_a_value_that_nobody_writes_is_refused(spool, kind, change):
    path = spool.keep(UID, kind, {**BODIES[kind], **change})

    assert list(spool.records()) == []
    assert list(spool.refused) == [path]
    assert path.exists()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *[("end", {"status": word}) for word in ("pruned", "error", "interrupted", "lost")],
        ("end", {"ended_at": 253_402_300_799_999_999, "exit_code": -9}),
        ("end", {"ended_at": -7, "error": "text", "traceback": "text"}),
        ("artifact", {"size_bytes": 0, "preview": ["text/plain", "eA=="]}),
        ("artifact", {"size_bytes": 2**63 - 1}),
        ("input", {"digest": "x", "size_bytes": 0, "modified_at": 0, "location": "a"}),
        ("tags", {"changes": {}}),
        ("notes", {"notes": None}),
        ("params", {"tree": "{}", "set_name": "a"}),
    ],
)
def test_a_record_with_any_value_that_somebody_writes_is_read(spool, kind, change):
    spool.keep(UID, kind, {**BODIES[kind], **change})

    assert [one.kind for one in spool.records()] == [kind]


@pytest.mark.parametrize(
    "name",
    [
        f"{UID}.1.notes.x.json",
        f"{UID}.notes.json",
        f"{UID}.1.other.json",
        f"{UID[:-1]}.1.notes.json",
        f"{UID}0.1.notes.json",
        f"{UID.upper().replace('8', 'F')}.1.notes.json",
    ],
)
def test_a_file_with_another_name_is_no_record(spool, name):
    path = put(spool, name, json.dumps(NOTES).encode())

    assert list(spool.records()) == []
    assert spool.refused == {path: "its name is not that of a record"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff\xfe\xfd", "it is not JSON"),
        (b"[]", "it has other keys than a record"),
        (b'{"notes": "x"}', "it has other keys than a record"),
        (b'{"notes": 7, "author": "a"}', "its 'notes' has an invalid value"),
    ],
)
def test_a_file_that_holds_something_else_is_no_record(spool, data, why):
    path = put(spool, f"{UID}.1.notes.json", data)

    assert list(spool.records()) == []
    assert spool.refused == {path: why}


@pytest.mark.parametrize(
    "sets",
    [{}, ["wide"], [{"name": "wide"}], [{"file": 1, "name": "wide", "hash": "", "tree": None}]],
)
def test_parameter_sets_of_another_form_are_no_record(spool, sets):
    path = put(spool, f"{UID}.1.sets.json", json.dumps({"sets": sets}).encode())

    assert list(spool.records()) == []
    assert spool.refused == {path: "its 'sets' has an invalid value"}


def test_a_record_that_is_too_large_is_refused(spool):
    path = put(spool, f"{UID}.1.notes.json")
    os.truncate(path, (1 << 24) + 1)

    assert list(spool.records()) == []
    assert spool.refused == {path: "it is larger than 16,777,216 bytes"}
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_record(path, at_most=10)


def test_a_record_that_is_taken_meanwhile_is_no_trouble(spool, monkeypatch):
    paths = [spool.keep(UID, "notes", {**NOTES, "notes": str(at)}) for at in range(3)]
    records = spool.records()
    next(records)
    paths[1].unlink()

    assert [one.path for one in records] == [paths[2]]
    assert spool.refused == {}


def test_a_disk_that_fails_refuses_a_record(spool, monkeypatch):
    path = spool.keep(UID, "notes", NOTES)

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("runstore.storage.files.spool_records.read_file", fail)

    assert list(spool.records()) == []
    assert spool.refused == {path: "Input/output error"}


@pytest.mark.parametrize("suffix", [".points", ".output", ".lines"])
def test_files_are_found_by_run_and_kind(spool, suffix):
    listing = {
        ".points": spool.point_files,
        ".output": spool.output_files,
        ".lines": spool.line_files,
    }
    expected = [put(spool, f"{uid}.{n}{suffix}") for uid in (UID, OTHER) for n in (1, 2)]
    put(spool, f"{UID}.1.else")
    own = put(spool, f"{UID}.3{suffix}", place=spool.own_place())

    assert listing[suffix]() == sorted([*expected, own], key=lambda path: path.name)
    assert listing[suffix](UID) == [*expected[:2], own]
    assert listing[suffix](UID, is_to_take=True) == [*expected[:2], own]
    assert len(spool.every_file()) == 6
    assert spool.files_of_others() == []


@pytest.mark.parametrize("kind", ["folder", "hard link", "large"])
def test_a_file_that_nobody_writes_is_refused(spool, tmp_path, kind):
    path = spool.in_first_place(Path) / f"{UID}.1.points"
    if kind == "folder":
        path.mkdir()
    elif kind == "hard link":
        (tmp_path / "mine").write_text("mine")
        path.hardlink_to(tmp_path / "mine")
    else:
        path.touch()
        os.truncate(path, (1 << 24) + 1)

    assert spool.point_files() == []
    assert spool.every_file() == [path]
    reason = {
        "folder": "it is not a regular file",
        "hard link": "it is a hard link of another file",
        "large": "it is larger than 16,777,216 bytes",
    }
    assert spool.refused == {path: reason[kind]}


def test_printed_lines_may_be_of_any_size_but_have_no_holes(spool):
    path = put(spool, f"{UID}.1.output")
    os.truncate(path, 1 << 25)

    assert spool.output_files() == [path]
    assert spool.look_through() == {path: "it has holes"}


def test_looking_through_reads_every_record(spool):
    put(spool, f"{UID}.1.points", b"12345")
    path = put(spool, f"{UID}.1.notes.json", b"{")

    assert spool.look_through() == {path: "it is not JSON"}


def test_looking_through_goes_on_after_a_file_that_is_taken_meanwhile(spool, monkeypatch):
    paths = [put(spool, f"{UID}.{n}.output") for n in (1, 2)]
    os.truncate(paths[1], 1 << 25)
    listed = spool.output_files()
    paths[0].unlink()
    monkeypatch.setattr(spool, "output_files", lambda: listed)

    assert spool.look_through() == {paths[1]: "it has holes"}


def test_files_of_another_user_are_left_to_that_user(spool):
    skip_without_root()
    mine, others = (spool.keep(uid, "notes", NOTES) for uid in (UID, OTHER))
    os.chown(others, 1234, 1234)

    assert [one.path for one in spool.records()] == [mine, others]
    assert [one.path for one in spool.records(is_to_take=True)] == [mine]
    assert spool.files_of_others() == [others]


@pytest.mark.parametrize("suffix", [".points", ".output", ".lines"])
def test_a_file_of_another_user_is_seen_and_hides_none_of_this_user(spool, suffix):
    skip_without_root()
    paths = [put(spool, f"{UID}.{n}{suffix}") for n in (1, 2, 3)]
    os.chown(paths[1], 1234, 1234)  # folders list their files in the order of making, or back
    found = {
        ".points": spool.point_files,
        ".output": spool.output_files,
        ".lines": spool.line_files,
    }[suffix]

    assert found() == paths
    assert found(is_to_take=True) == [paths[0], paths[2]]


def test_root_takes_what_the_owner_of_the_store_left(spool, folder):
    skip_without_root()
    path = spool.keep(UID, "notes", NOTES)
    for one in (folder, path):
        os.chown(one, 1234, 1234)

    assert [one.path for one in spool.records(is_to_take=True)] == [path]


def test_digests_are_found_in_records_of_any_form(spool):
    put(spool, f"{UID}.1.artifact.json", f'{{"later": "{DIGEST}"'.encode() + b"\xff")
    put(spool, f"{UID}.2.notes.json", b'"' + b"cd" * 32 + b'"')
    spool.keep(OTHER, "artifact", {**BODIES["artifact"], "digest": "ef" * 32})

    assert spool.awaited_digests() == {DIGEST, "ef" * 32}


def test_a_file_that_was_deleted_is_written_again_under_its_name(spool, tmp_path):
    path = put(spool, f"{UID}.1.points")
    path.unlink()

    write_copy(tmp_path, path, b"points")

    assert (tmp_path / path.name).read_bytes() == b"points"
    assert stat.S_IMODE((tmp_path / path.name).stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_copy(tmp_path, path, b"others")


def test_a_missing_state_folder_does_not_hide_the_one_for_temporary_files(
    spool, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "missing"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = put(spool, f"{UID}.1.points", place=spool.own_place(is_temporary=True))

    assert spool.point_files() == [path]


# Something in flight


def test_an_empty_spool_has_nothing(spool, tmp_path):
    assert not spool.has_anything()
    spool.in_first_place(Path)
    assert not spool.has_anything()
    spool.place.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").touch()
    spool.place.symlink_to(tmp_path / "elsewhere")
    assert not spool.has_anything()


def test_what_is_in_the_store_or_of_its_runs_is_something(folder):
    spool, stranger = (
        Spool(folder, knows_any={UID}.issuperset),
        Spool(folder, knows_any=is_strange),
    )
    put(spool, "anything")
    assert stranger.has_anything()
    (spool.place / "anything").unlink()

    put(spool, f"{UID}.1.points", place=spool.own_place())

    assert spool.has_anything()
    assert not stranger.has_anything()


def is_strange(uids):
    assert uids
    return False


def test_files_of_a_store_that_is_gone_are_neither_listed_nor_looked_at(tmp_path, folder):
    """They stay in the user's folder, and would be looked at by each reading of each store."""
    theirs = put(Spool(folder), f"{UID}.1.points", place=Spool(tmp_path / "gone").own_place())
    asked = []
    spool = Spool(folder, knows_any=lambda uids: asked.append(uids) or False)

    assert spool.point_files() == []
    assert spool.output_files() == []
    assert asked == [{UID}]
    assert spool.every_file() == spool.point_files(UID) == [theirs], "they can be asked for"
    assert Spool(folder, knows_any={UID}.issuperset).point_files() == [theirs], "it was moved"


def test_files_are_not_overlooked_if_the_database_cannot_say_whose_they_are(tmp_path, folder):
    def fail(uids):
        raise StoreCorruptError("It is damaged.")

    theirs = put(Spool(folder), f"{UID}.1.points", place=Spool(tmp_path / "gone").own_place())

    assert Spool(folder, knows_any=fail).point_files() == [theirs]


def test_a_store_lists_what_is_in_its_own_place_of_the_user(folder):
    spool = Spool(folder, knows_any=is_strange)
    mine = put(spool, f"{UID}.1.points", place=spool.own_place())

    assert spool.point_files() == [mine]


@pytest.mark.parametrize("is_old", [False, True])
def test_empty_places_cost_no_question_and_are_removed_after_an_hour(
    tmp_path, spool, folder, is_old
):
    """Of each store that was ever used, a place would be looked at by each opening."""
    empty = [Spool(tmp_path / name).own_place() for name in ("gone", "moved")]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "runstore.db").touch()
    empty.append(Spool(tmp_path / "other").own_place())
    assert list(empty[-1].iterdir()) == [empty[-1] / "store"]
    used = put(spool, "objects", place=spool.own_place()).parent
    if is_old:
        for place in (*empty, used):
            os.utime(place, (0, 0))

    asked = []
    assert not Spool(folder, knows_any=asked.append).has_anything()

    assert asked == []
    assert [place.exists() for place in empty] == [not is_old] * 3
    assert used.exists()


def test_a_place_that_was_removed_just_now_is_made_again(spool):
    spool.place.write_text("in the way")
    seen = []

    def work(place):
        seen.append(place)
        if len(seen) == 1:
            place.rmdir()
        (place / "x").touch()

    spool.in_first_place(work)

    assert seen == [spool.own_place()] * 2


def test_places_of_other_stores_that_are_still_there_are_theirs(tmp_path, spool, folder):
    other = tmp_path / "other"
    other.mkdir()
    for place in (folder, other):
        (place / "runstore.db").write_text(place.name)
    theirs = put(spool, f"{UID}.1.points", place=Spool(other).own_place())

    assert spool.point_files() == []
    assert Spool(other).point_files() == [theirs]
    (other / "runstore.db").unlink()
    assert spool.point_files() == [theirs], "it was moved, or its runs are here now"


def test_what_is_in_the_store_is_its_own_whatever_lies_beside_it(tmp_path, spool, folder):
    """A note in the spool of a store from somebody else does not hide its points."""
    other = tmp_path / "other"
    other.mkdir()
    for place in (folder, other):
        (place / "runstore.db").write_text(place.name)
    path = put(spool, f"{UID}.1.points")
    put(spool, "store", f"{(other / 'runstore.db').stat().st_ino}\n{other}".encode())

    assert spool.point_files() == [path]


def test_a_place_of_another_store_does_not_hide_those_after_it(
    tmp_path, spool, folder, monkeypatch
):
    other = tmp_path / "other"
    other.mkdir()
    for place in (folder, other):
        (place / "runstore.db").write_text(place.name)
    mine = put(spool, f"{UID}.1.points", place=spool.own_place())
    put(spool, f"{UID}.1.points", place=Spool(other).own_place())
    listdir = os.listdir

    def with_own_last(place):
        return sorted(listdir(place), key=lambda name: name == mine.parent.name)

    monkeypatch.setattr(os, "listdir", with_own_last)

    assert spool.point_files() == [mine]


# Who made a file


def test_a_file_is_vouched_for_by_whoever_made_it(spool):
    path = put(spool, f"{UID}.1.lines")
    with path.open() as file:
        assert not spool.vouches(path, file.fileno())
        spool.vouch(path, file.fileno())
        assert spool.vouches(path, file.fileno())
        assert spool.vouches(spool.own_place() / path.name, file.fileno())

    other = path.with_name("other")
    other.write_text("put in its place")
    with other.open() as file:
        assert not spool.vouches(path, file.fileno())
    with path.open() as file:
        spool.forget(path)
        assert not spool.vouches(path, file.fileno())


def test_a_second_name_of_a_file_vouches_for_nobody(spool):
    path = put(spool, f"{UID}.1.lines")
    mine = spool.own_place() / "mine"
    mine.write_text(str(path.stat().st_ino))
    mine.with_name(f"{path.name}.made").hardlink_to(mine)

    with path.open() as file:
        assert not spool.vouches(path, file.fileno())


def test_a_longer_number_vouches_for_nobody(spool):
    path = put(spool, f"{UID}.1.lines")
    with path.open() as file:
        spool.vouch(path, file.fileno())
        voucher = spool.own_place() / f"{path.name}.made"
        assert voucher.read_text() == str(path.stat().st_ino)
        voucher.write_text(voucher.read_text() + "0")
        assert not spool.vouches(path, file.fileno())


# The user's own folders


def test_the_state_folder_comes_before_the_one_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/scratch")
    user = os.geteuid()

    assert spool_module._own_folders() == [
        f"{tmp_path}/runstore/spool",
        f"/scratch/runstore-{user}",
    ]
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("TMPDIR")
    assert spool_module._own_folders() == [
        "/home/ada/.local/state/runstore/spool",
        f"/tmp/runstore-{user}",
    ]
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert spool_module._own_folders() == [f"/tmp/runstore-{user}"]


def test_a_place_is_named_after_the_path_of_its_store(spool, folder):
    """What earlier releases left is found by that name."""
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]

    assert spool.own_place().name == name
