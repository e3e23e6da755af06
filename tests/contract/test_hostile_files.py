"""A store from somebody else: nothing outside of it is read, written or deleted.

What a program cannot know is who made a file in a store that was unpacked or is shared. So each
test plants something in a store and looks at a folder outside, with names, contents and times.
"""

import contextlib
import hashlib
import json
import os
import socket
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from runstore import Store, StoreWarning
from runstore.storage.files.safe_files import (
    UnsafeFileError,
    folder_at,
    make_folder,
    open_file,
    remove_file,
    remove_tree,
)

SECRET = b"-----BEGIN PRIVATE KEY----- not yours"
NUMBER = "00000000000000000001"


@pytest.fixture
def spooled(recorded, given):
    """Return what gives the path of a file in the spool that is about the run."""
    (given / "spool").mkdir(exist_ok=True)
    return lambda kind: given / "spool" / f"{recorded[1]}.{NUMBER}.{kind}"


def contents_in(folder):
    return [path for path in (folder / "objects").rglob("*") if path.is_file()]


def every_byte(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# One folder after the other


def test_a_file_behind_a_link_at_any_level_is_not_opened(tmp_path, outside):
    root = tmp_path / "store"
    (root / "objects" / "ab").mkdir(parents=True)
    (root / "objects" / "ab" / "file").symlink_to(outside / "id_rsa")
    (root / "objects" / "cd").symlink_to(outside)
    (root / "linked").symlink_to(outside.parent)

    for path in ("objects/ab/file", "objects/cd/id_rsa", "linked/home/id_rsa"):
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            with pytest.raises(UnsafeFileError):
                open_file(root / path, flags, levels=2)


@pytest.mark.parametrize("name", ["..", ".", "", "a\0b", "x/y"])
def test_a_name_never_leaves_its_folder(tmp_path, name):
    with folder_at(tmp_path, levels=0) as folder:
        for use in (folder.entry, folder.remove, lambda one: folder.inner(one).__enter__()):
            with pytest.raises(OSError, match="not a file name"):
                use(name)


def test_pipes_sockets_devices_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is short
        server.bind("socket")
        os.chdir(here)

        for name, why in (
            ("pipe", "pipe"), ("folder", "folder"), ("zero", "link"), ("socket", "socket"),
        ):  # fmt: skip
            with pytest.raises(UnsafeFileError, match=f"it is a {why}"):
                open_file(tmp_path / name, levels=0)
    with pytest.raises(UnsafeFileError, match="it is a device"):
        open_file(Path("/dev/zero"), levels=0)


def test_a_second_name_of_a_file_is_read_and_never_written(tmp_path, outside):
    os.link(outside / "id_rsa", tmp_path / "file")

    os.close(open_file(tmp_path / "file", levels=0))
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(UnsafeFileError, match="hard link"):
            open_file(tmp_path / "file", flags, levels=0)


def test_removing_a_tree_removes_links_and_not_what_they_lead_to(tmp_path, outside):
    tree = tmp_path / "runs" / "fit_1"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    (tree / "deep" / "home").symlink_to(outside)
    (tree / "deep" / "er" / "key").symlink_to(outside / "id_rsa")
    os.link(outside / "id_rsa", tree / "key")
    os.mkfifo(tree / "pipe")

    with folder_at(tmp_path / "runs", levels=1) as runs:
        remove_tree(runs, "fit_1")

    assert list((tmp_path / "runs").iterdir()) == []
    (tmp_path / "link").symlink_to(outside)
    with folder_at(tmp_path, levels=0) as folder, pytest.raises(UnsafeFileError):
        remove_tree(folder, "link")


def test_folders_are_not_made_behind_a_link(tmp_path, outside):
    (tmp_path / "runs").symlink_to(outside)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "inner").symlink_to(outside / "missing")

    for path in ("runs/new", "real/inner"):
        with pytest.raises(UnsafeFileError):
            make_folder(tmp_path / path, levels=2)


# The spool


ODD = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a folder": Path.mkdir,
    "64 GiB of nothing": lambda path: path.touch() or os.truncate(path, 64 << 30),
}


@pytest.mark.parametrize("kind", ["end.json", "notes.json", "points", "output", "lines"])
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_in_the_spool_is_ignored_and_said_once(given, kind, odd, spooled):
    path = spooled(kind)
    ODD[odd](path)

    with pytest.warns(StoreWarning) as said:
        store = Store.open(given)

    assert [path.name in str(one.message) for one in said] == [True]
    run = store.get("fit#1")
    assert (run.status, list(run.metric("loss").values), list(run.output)) == (
        "complete",
        [0.5],
        [],
    )
    assert any(path.name in name for found in store.check() for name in found.names)
    assert len(store.find("output contains 'x'")) == 0
    store.close()
    assert os.path.lexists(path)


@pytest.mark.parametrize("how", ["link", "hard link"])
@pytest.mark.parametrize("kind", ["output", "lines", "points", "notes.json"])
def test_a_private_file_is_not_taken_in(given, outside, kind, how, spooled):
    path = spooled(kind)
    if how == "link":
        path.symlink_to(outside / "id_rsa")
    else:
        os.link(outside / "id_rsa", path)

    with pytest.warns(StoreWarning, match="was ignored"):
        store = Store.open(given)
    store.close()

    path.unlink()
    assert SECRET not in every_byte(given)


def test_a_line_that_somebody_else_wrote_saves_no_file(given, outside, spooled):
    path = spooled("lines")
    path.write_text(f"loss=0.25\nsave {outside}/id_rsa key\ntag phase=x\n")

    with pytest.warns(StoreWarning, match="was ignored: its file was not made by runstore"):
        store = Store.open(given)

    run = store.get("fit#1")
    assert list(run.metric("loss").values) == [0.5, 0.25]
    assert (run.tags, list(run.artifacts)) == ({"phase": "x"}, ["model.bin"])
    store.close()
    assert SECRET not in every_byte(given)


def test_a_line_of_an_own_program_that_was_killed_saves_its_file(tmp_path, monkeypatch):
    """The state folder remembers which file this user's program made."""
    from runstore.recording.output.program_lines import LineTaker

    (tmp_path / "key").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        taker = LineTaker(store.backend.spool, run)
        taker._ended.set()  # as if it were killed
        with Path(taker.path).open("a") as file:
            file.write("save key\n")
        taker._file.close()
        run.finish()

    with Store.open(tmp_path / "store") as store:
        assert store.get("fit#1").read_bytes("key") == b"mine"
    vouchers = Path(os.environ["XDG_STATE_HOME"]).rglob("*.made")
    assert list(vouchers) == []


def test_a_line_file_that_was_handed_on_and_back_saves_no_file(tmp_path, outside):
    """It has the name of a file that this user made once, and is another one."""
    from runstore.recording.output.program_lines import LineTaker

    with Store.open(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        taker = LineTaker(store.backend.spool, run)
        taker._ended.set()
        taker._file.close()
        run.finish()
    path = Path(taker.path)
    text = path.read_text()
    other = path.with_name("other")
    other.write_text(f"{text}save {outside}/id_rsa key\n")
    other.replace(path)

    with pytest.warns(StoreWarning, match="was ignored"):
        store = Store.open(tmp_path / "store")
    assert dict(store.get("fit#1").artifacts) == {}
    store.close()


def artifact_record(folder, digest, **more):
    return {
        "path": "stolen",
        "digest": digest,
        "size_bytes": len(SECRET),
        "media_type": "text/plain",
        "saved_at": 1,
        "objects": os.fspath(folder),
        "preview": None,
        **more,
    }


def keep_secret(folder):
    """Keep contents below a folder as objects are kept."""
    digest = hashlib.sha256(SECRET).hexdigest()
    path = folder / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(SECRET)
    return digest, path


def test_a_record_names_no_folder_to_take_contents_from(given, tmp_path, spooled):
    digest, path = keep_secret(tmp_path / "mine" / "objects")
    record = artifact_record(tmp_path / "mine" / "objects", digest)
    spooled("artifact.json").write_text(json.dumps(record))

    with pytest.warns(StoreWarning, match="not the user's own"):
        store = Store.open(given)

    assert list(store.get("fit#1").artifacts) == ["model.bin"]
    store.close()
    assert path.read_bytes() == SECRET


def test_contents_that_this_user_kept_for_another_store_stay_there(given, tmp_path, spooled):
    with Store.open(tmp_path / "mine") as mine:
        own = mine.backend.spool.own_place()
    digest, path = keep_secret(own / "objects")
    record = artifact_record(own / "objects", digest)
    spooled("artifact.json").write_text(json.dumps(record))

    with pytest.warns(StoreWarning, match="not the user's own"):
        Store.open(given).close()

    assert path.read_bytes() == SECRET


def test_contents_that_were_kept_for_a_store_that_moved_come_with_it(tmp_path):
    with Store.open(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        (tmp_path / "store" / "objects").write_text("a file in the way")
        with pytest.warns(StoreWarning):
            run.save("model.bin", b"weights")
        run.finish()
    (tmp_path / "store" / "objects").unlink()
    (tmp_path / "store").rename(tmp_path / "moved")

    with Store.open(tmp_path / "moved") as store:
        assert store.get("fit#1").read_bytes("model.bin") == b"weights"


def test_what_waits_for_another_store_is_not_taken_whatever_uid_is_named(given, tmp_path):
    """A store from somebody else may have a run of the same uid, and say that it was removed."""
    import sqlite3

    mine = tmp_path / "mine"
    with Store.open(mine) as store:
        run = store.start("fit", capture=False)
        own = store.backend.spool.own_place() / f"{run.uid}.{NUMBER}.notes.json"
        own.write_text(json.dumps({"notes": "mine", "author": "a"}))
    change = "UPDATE runs SET uid = ?, deleted_at = ?, purged_at = ?"
    for removed_at in (None, 1):
        with contextlib.closing(sqlite3.connect(given / "runstore.db")) as connection, connection:
            connection.execute(change, (run.uid, removed_at, removed_at))
        with Store.open(given) as store:
            store.collect_garbage()
        assert own.exists()

    mine.rename(tmp_path / "moved")
    with Store.open(mine), Store.open(tmp_path / "moved") as store:
        assert store.get("fit#1").notes == "mine"
    assert not own.exists()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("end", {"status": "running", "ended_at": 1}),
        ("end", {"status": "complete", "ended_at": "x"}),
        ("end", {"status": "complete", "ended_at": 10**30}),
        ("tags", {"changes": {"k": 1}}),
        ("tags", {"changes": {"k": "v"}, "author": ["x"]}),
        ("notes", {"notes": "\ud800"}),
        ("notes", {"notes": float("nan")}),
        ("artifact", {"path": "../../x"}),
        ("artifact", {"path": "a\0b"}),
        ("artifact", {"digest": "../../../etc/passwd"}),
        ("artifact", {"digest": "A" * 64}),
        ("artifact", {"size_bytes": -1}),
        ("artifact", {"saved_at": 10**30}),
        ("artifact", {"preview": ["x"]}),
        ("input", {"location": 3}),
        ("params", {"tree": {}}),
        ("notes", {"more": 1}),
        ("../../notes", {}),
    ],
)
def test_a_record_with_other_values_is_ignored(given, kind, body, spooled):
    whole = {
        "end": {"status": "complete", "ended_at": 1, "error": None, "traceback": None,
                "exit_code": None},
        "artifact": artifact_record("x", "a" * 64, objects=None),
        "notes": {"notes": "n", "author": "a"},
        "tags": {"changes": {}, "author": "a"},
        "input": dict.fromkeys(("digest", "size_bytes", "modified_at", "source_uid")) | {
            "name": "n", "location": "l", "used_at": 1},
        "params": {"name": "", "hash": "0", "tree": None, "set_name": None, "author": "a"},
    }  # fmt: skip
    path = spooled(f"{kind.rpartition('/')[2]}.json")
    path.write_text(json.dumps({**whole.get(kind, {}), **body}))
    if "/" in kind:
        path = path.rename(path.with_name(f"x.y.{path.name}"))

    with pytest.warns(StoreWarning, match="was ignored"):
        store = Store.open(given)

    run = store.get("fit#1")
    assert (run.notes, run.tags, list(run.artifacts)) == (None, {}, ["model.bin"])
    store.close()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, '{"notes": ' + "9" * 10_000])
def test_json_that_has_no_end_is_ignored(given, text, spooled):
    spooled("notes.json").write_text(text)

    with pytest.warns(StoreWarning, match="it is not JSON"):
        Store.open(given).close()


def test_a_record_that_cannot_be_removed_is_taken_in_once(given, monkeypatch, spooled):
    """As in a folder of another user, or on a disk that was made read-only."""
    path = spooled("notes.json")
    path.write_text(json.dumps({"notes": "first", "author": "a"}))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("runstore.inflight.deferred.remove_file", refuse)
    with Store.open(given) as store:
        assert store.get("fit#1").notes == "first"
        store.edit("fit#1", notes="second")
    with Store.open(given) as store:
        assert store.get("fit#1").notes == "second"
    assert path.exists()


def test_a_spool_behind_a_link_takes_nothing_and_gives_nothing(tmp_path, outside):
    with Store.open(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        (tmp_path / "store" / "spool").symlink_to(outside)
        run.log(loss=1.0)
        run.finish()

    with Store.open(tmp_path / "store") as store:
        assert list(store.get("fit#1").metric("loss").values) == [1.0]
        assert ["spool" in name for one in store.check() for name in one.names] == [True]


def test_a_large_record_goes_to_the_users_own_place(tmp_path):
    with Store.open(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        small = store.backend.spool.keep(run.uid, "notes", {"notes": "x", "author": "a"})
        large = store.backend.spool.keep(
            run.uid, "notes", {"notes": "x" * (1 << 24), "author": "a"}
        )
        run.finish()

    assert small.parent == tmp_path / "store" / "spool"
    assert large.is_relative_to(os.environ["XDG_STATE_HOME"])
    with Store.open(tmp_path / "store") as store:
        assert len(store.get("fit#1").notes) == 1 << 24
    assert not large.exists()


@pytest.mark.parametrize("line", ['{"a":' * 50_000, "x=" + "9" * 100_000, "'", "tag \ud800=1"])
def test_a_line_that_makes_no_sense_is_said_and_the_others_count(given, spooled, line):
    spooled("lines").write_text(f"{line}\nloss=0.25\n", errors="surrogatepass")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        store = Store.open(given)

    assert list(store.get("fit#1").metric("loss").values)[-1] == 0.25
    store.close()


# Contents


@pytest.mark.parametrize("place", ["objects", "objects/{}", "objects/incoming"])
def test_cleaning_up_removes_nothing_behind_a_link(given, outside, place, tmp_path):
    with Store.open(given) as store:
        (one,) = store.get("fit#1").artifacts.values()
    elsewhere = tmp_path / "elsewhere"
    digest, kept = keep_secret(elsewhere)
    folder = given / place.format(digest[:2])
    if folder.is_dir():
        folder.rename(given / "before")
    if place != "objects":
        elsewhere = outside if place == "objects/incoming" else kept.parent
    folder.symlink_to(elsewhere)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        for is_dry in (True, False):
            with Store.open(given) as store:
                store.collect_garbage(dry=is_dry)
    assert kept.read_bytes() == SECRET
    assert one.digest != digest


def test_contents_are_not_kept_behind_a_link(tmp_path, outside):
    with Store.open(tmp_path / "store") as store, store.start("fit", capture=False) as run:
        (tmp_path / "store" / "objects").symlink_to(outside)
        with pytest.warns(StoreWarning, match="until the store can be written"):
            run.save("model.bin", b"weights")
        digest = hashlib.sha256(b"other").hexdigest()
        (tmp_path / "store" / "objects").unlink()
        (tmp_path / "store" / "objects").mkdir()
        (tmp_path / "store" / "objects" / digest[:2]).symlink_to(outside)
        run.save("other.bin", b"other")


@pytest.mark.parametrize("odd", [name for name in ODD if name != "64 GiB of nothing"])
def test_contents_that_are_no_file_are_damaged(given, tmp_path, odd):
    (path,) = (path for path in contents_in(given) if path.read_bytes() == b"weights")
    path.unlink()
    ODD[odd](path)

    with Store.open(given) as store:
        for read in (
            lambda: store.get("fit#1").read_bytes("model.bin"),
            lambda: store.get("fit#1").download(to=tmp_path / "to"),
        ):
            with pytest.raises(OSError, match=r"cannot be read: it is a"):
                read()
        assert any("model.bin" in name for one in store.check(deep=True) for name in one.names)
        store.delete("fit#1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)  # a folder is left where it is
            store.collect_garbage(older_than=0)


def test_contents_of_another_size_are_not_read(given):
    (path,) = (path for path in contents_in(given) if path.read_bytes() == b"weights")
    path.chmod(0o600)
    os.truncate(path, 64 << 30)

    with Store.open(given) as store, pytest.raises(OSError, match="changed or damaged"):
        store.get("fit#1").read_bytes("model.bin")


def test_contents_that_are_no_link_are_linked_to(given, tmp_path):
    with Store.open(given) as store:
        (written,) = store.get("fit#1").download(to=tmp_path / "to", link=True)
        (path,) = (path for path in contents_in(given) if path.read_bytes() == b"weights")

    assert written.stat().st_ino == path.stat().st_ino


# Folders of runs


def purged(folder, reference):
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "runstore.db")) as connection, connection:
        connection.execute(
            "UPDATE runs SET reference = ?, purged_at = 1, deleted_at = 1", (reference,)
        )


@pytest.mark.parametrize("reference", ["Documents", "..", ".", "", "../home", "a\0b", "x" * 5000])
def test_folders_of_runs_behind_a_link_stay(given, outside, reference):
    purged(given, reference)
    (given / "runs").symlink_to(outside)

    with Store.open(given) as store:
        store.collect_garbage(dry=True)
        store.collect_garbage()
        assert any("runs (" in name for found in store.check() for name in found.names)


def test_a_folder_of_a_purged_run_goes_without_what_its_links_lead_to(given, outside):
    purged(given, "fit_1")
    folder = given / "runs" / "fit_1"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "artifacts" / "home").symlink_to(outside)
    os.link(outside / "id_rsa", folder / "key")

    with Store.open(given) as store:
        store.collect_garbage()

    assert not folder.exists()


def test_a_folder_that_is_too_deep_to_remove_ends_nothing(given):
    purged(given, "fit_1")
    (given / "runs").mkdir()
    descriptor = os.open(given / "runs", os.O_RDONLY)
    for name in ("fit_1", *["d"] * 300):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)

    with Store.open(given) as store, pytest.warns(StoreWarning, match="100 folders deep"):
        store.collect_garbage()


# Races


def test_a_folder_that_is_open_stays_the_same_folder(tmp_path, outside):
    runs = tmp_path / "runs"
    (runs / "Documents").mkdir(parents=True)
    (runs / "id_rsa").write_bytes(b"")

    with folder_at(runs, levels=1) as folder:
        runs.rename(tmp_path / "aside")
        runs.symlink_to(outside)
        remove_tree(folder, "Documents")
        folder.remove("id_rsa")

    assert list((tmp_path / "aside").iterdir()) == []


def test_a_folder_that_is_swapped_again_and_again_costs_nothing_outside(tmp_path, outside):
    """Whoever can write to a shared store can swap at any moment."""
    real, link = tmp_path / "store" / "runs", tmp_path / "store" / "link"
    real.mkdir(parents=True)
    link.symlink_to(outside)
    is_over = threading.Event()

    def swap():
        there = (("runs", "aside"), ("link", "runs"))
        back = (("runs", "link"), ("aside", "runs"))
        while not is_over.is_set():
            for one, other in (*there, *back):
                (tmp_path / "store" / one).rename(tmp_path / "store" / other)

    def clean_up():
        with folder_at(real, levels=1) as runs, suppress(FileExistsError):
            os.mkdir("Documents", dir_fd=runs.descriptor)
        with folder_at(real, levels=1) as runs:
            remove_tree(runs, "Documents")
        remove_file(real / "id_rsa")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(300):
            with suppress(OSError):
                clean_up()
    finally:
        is_over.set()
        swapping.join()
