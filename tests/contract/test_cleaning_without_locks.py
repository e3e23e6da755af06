"""Cleaning up when it cannot be kept apart from saving, or cannot remove what it should."""

import errno
import fcntl
import os
import time
from datetime import timedelta

import pytest

from places import ended
from runstore import Store
from runstore.errors import StoreReadOnlyError, StoreWarning
from runstore.maintenance import gc
from runstore.model.results.deletion import Amount
from runstore.storage.files.objects import is_old

AT_ONCE = timedelta(0)
HOUR_S, DAY_S = 3_600, 86_400


def orphan(store, contents, age_s=0.0):
    """Keep contents that no run refers to yet, as every program does before it says so."""
    path = store.backend.objects.path_of(store.backend.objects.keep_bytes(contents).digest)
    made_old(path, age_s)
    return path


def made_old(path, age_s):
    at = time.time() - age_s
    os.utime(path, (at, at), follow_symlinks=False)


@pytest.fixture(params=["no locks", "something in the lock's place"])
def unlocked(request, store, monkeypatch):
    """A store on a disk where nobody can be kept from saving."""
    if request.param == "no locks":

        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    else:
        lock = store.path / "objects.lock"
        lock.unlink(missing_ok=True)
        lock.mkdir()
    return store


def test_without_locks_what_may_be_wanted_in_a_moment_stays(unlocked):
    young = orphan(unlocked, b"young", DAY_S - HOUR_S)
    old = orphan(unlocked, b"older", DAY_S + HOUR_S)

    freed = unlocked.collect_garbage(older_than=AT_ONCE).freed

    assert freed.contents == Amount(1, 5)
    assert (young.exists(), old.exists()) == (True, False)


def test_without_locks_what_may_be_on_its_way_in_stays(unlocked):
    incoming = unlocked.path / "objects" / "incoming"
    incoming.mkdir(parents=True)
    young, old = incoming / "1-young", incoming / "1-older"
    for path, age_s in ((young, DAY_S - HOUR_S), (old, DAY_S + HOUR_S)):
        path.write_text("half")
        made_old(path, age_s)

    freed = unlocked.collect_garbage(older_than=AT_ONCE).freed

    assert freed.leftovers == Amount(1, 4)
    assert (young.exists(), old.exists()) == (True, False)


def test_with_locks_nothing_has_to_be_old(store):
    young = orphan(store, b"young")
    incoming = store.path / "objects" / "incoming" / "1-young"
    incoming.write_text("half")

    freed = store.collect_garbage(older_than=AT_ONCE).freed

    assert (freed.contents, freed.leftovers) == (Amount(1, 5), Amount(1, 4))
    assert not young.exists()
    assert not incoming.exists()


def test_nobody_saves_while_contents_are_removed(store, monkeypatch):
    orphan(store, b"orphan")
    saving, removed = [], os.unlink

    def look_first(name, **options):
        with os.fdopen(os.open(store.path / "objects.lock", os.O_RDWR)) as other:
            try:
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                saving.append(False)
            else:
                saving.append(True)
        removed(name, **options)

    monkeypatch.setattr(os, "unlink", look_first)

    assert store.collect_garbage(older_than=AT_ONCE).freed.contents == Amount(1, 6)
    assert saving == [False]


def test_contents_that_are_wanted_again_meanwhile_stay(store, monkeypatch):
    path = orphan(store, b"wanted")
    alone = type(store.backend.objects).alone

    def save_first(objects):
        monkeypatch.undo()
        ended(store, b"wanted")
        return alone(objects)

    monkeypatch.setattr(type(store.backend.objects), "alone", save_first)

    assert store.collect_garbage(older_than=AT_ONCE).freed.contents == Amount()
    assert path.exists()


def test_contents_that_somebody_announced_stay(store):
    run = ended(store)
    path = orphan(store, b"announced")
    body = {"path": "a", "digest": path.parent.name + path.name, "objects": None}
    store.backend.spool.keep(run.uid, "artifact", {**body, "size_bytes": "not a number"})

    assert store.collect_garbage(older_than=AT_ONCE, dry=True).freed.contents == Amount()
    with pytest.warns(StoreWarning, match="was ignored"):
        assert store.collect_garbage(older_than=AT_ONCE).freed.contents == Amount()
    assert path.exists()


def test_a_store_that_cannot_be_written_loses_nothing(store):
    path = orphan(store, b"orphan")
    with store.backend.database.driver.write() as connection:
        connection.execute("INSERT INTO metric_keys (key) VALUES ('of nobody')")
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    with pytest.raises(StoreReadOnlyError, match="It is read only"):
        store.collect_garbage(older_than=AT_ONCE)

    assert path.exists()
    counted = store.collect_garbage(older_than=AT_ONCE, dry=True)
    assert (counted.is_dry, counted.rows) == (True, {"metric_keys": 1})
    assert counted.freed.contents == Amount(1, 6)
    assert path.exists()


def test_rows_of_nobody_are_removed_and_counted(store):
    with store.backend.database.driver.write() as connection:
        connection.execute("INSERT INTO metric_keys (key) VALUES ('of nobody')")

    assert store.collect_garbage().rows == {"metric_keys": 1}
    assert store.collect_garbage().rows == {}


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ", and 2 more")])
def test_what_cannot_be_removed_is_said_once_and_the_rest_goes(store, monkeypatch, count, more):
    paths = sorted(orphan(store, b"%d" % n) for n in range(count))
    free = orphan(store, b"free")
    removed, stuck = os.unlink, {path.name for path in paths}

    def refuse(name, **options):
        if name in stuck:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        removed(name, **options)

    monkeypatch.setattr(os, "unlink", refuse)

    with pytest.warns(StoreWarning) as said:
        freed = store.collect_garbage(older_than=AT_ONCE).freed

    # Looked for before and after the runs are removed, and told once.
    (one,) = said
    assert str(one.message) == (
        f"Not removed: {paths[0]} (Operation not permitted){more}."
        " To check the store: runstore doctor."
    )
    assert freed.contents == Amount(1, 4)
    assert (all(path.exists() for path in paths), free.exists()) == (True, False)


def test_what_another_process_removed_is_no_trouble(store, monkeypatch):
    orphan(store, b"orphan")

    def too_late(name, **options):
        raise FileNotFoundError(errno.ENOENT, "No such file", name)

    monkeypatch.setattr(os, "unlink", too_late)

    assert store.collect_garbage(older_than=AT_ONCE).freed.contents == Amount()


def test_contents_behind_a_link_are_not_looked_at(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.path / "objects").symlink_to(elsewhere)
    (elsewhere / "incoming").mkdir()
    (elsewhere / "incoming" / "1-a").write_text("mine")

    with pytest.warns(
        StoreWarning, match=r"Not removed: .*objects \(it is not a folder, or a link"
    ):
        store.collect_garbage(older_than=AT_ONCE)

    assert (elsewhere / "incoming" / "1-a").read_text() == "mine"


def test_many_runs_and_files_go_a_few_at_a_time(store, monkeypatch):
    """No transaction, and no time without saving, grows with what is cleaned up."""
    monkeypatch.setattr(gc, "RUNS_AT_ONCE", 2)
    monkeypatch.setattr(gc, "_FILES_AT_ONCE", 2)
    runs = [ended(store, b"%d" % n) for n in range(5)]
    store.delete(runs)
    orphans = [orphan(store, b"orphan %d" % n) for n in range(3)]
    alone, times = type(store.backend.objects).alone, []

    def counted(objects):
        times.append(objects)
        return alone(objects)

    monkeypatch.setattr(type(store.backend.objects), "alone", counted)

    collected = store.collect_garbage(older_than=AT_ONCE)

    assert collected.runs == tuple(run.reference for run in runs)
    assert collected.freed.contents == Amount(8, 5 + 3 * 8)
    assert len(times) == 2 + 3, "two and one before, three times after"
    assert not any(path.exists() for path in orphans)


def test_the_spool_keeps_what_may_still_be_written(store):
    run = ended(store)
    spool = store.backend.spool.place
    spool.mkdir(exist_ok=True)
    young, old, other = (spool / f"{run.uid}.{name}" for name in ("1.tmp", "2.tmp", "3.part"))
    for path, age_s in ((young, DAY_S - HOUR_S), (old, DAY_S + HOUR_S), (other, DAY_S + HOUR_S)):
        path.write_text("half")
        made_old(path, age_s)

    assert store.collect_garbage(dry=True).freed.leftovers == Amount(1, 4)
    assert store.collect_garbage().freed.leftovers == Amount(1, 4)

    assert [path.exists() for path in (young, old, other)] == [True, False, True]


def test_what_is_in_flight_of_a_removed_run_goes(store):
    gone, kept = ended(store), ended(store)
    spool = store.backend.spool.place
    spool.mkdir(exist_ok=True)
    store.delete(gone)
    paths = [spool / f"{run.uid}.1.part" for run in (gone, kept)]
    for path in paths:
        path.write_text("12345")

    assert store.collect_garbage(older_than=AT_ONCE, dry=True).freed.leftovers == Amount(1, 5)
    assert store.collect_garbage(older_than=AT_ONCE).freed.leftovers == Amount(1, 5)
    assert [path.exists() for path in paths] == [False, True]
    paths[0].write_text("written by a child of it")
    assert store.collect_garbage().freed.leftovers == Amount(1, 24)


def test_a_dry_run_counts_what_goes_and_what_stays_in_the_trash(store):
    gone, kept = ended(store, b"gone"), ended(store, b"kept!")
    for run, minutes in ((gone, 61), (kept, 59)):
        store.delete(run)
        with store.backend.database.driver.write() as connection:
            connection.execute(
                "UPDATE runs SET deleted_at = deleted_at - ? WHERE uid = ?",
                (minutes * 60_000_000, run.uid),
            )

    told = store.collect_garbage(older_than=timedelta(hours=1), dry=True)
    done = store.collect_garbage(older_than=timedelta(hours=1))

    for one in (told, done):
        assert one.runs == (gone.reference,)
        assert one.freed.contents == Amount(1, 4)
        assert (one.trashed, one.trash_frees.contents) == (1, Amount(1, 5))
    assert (told.is_dry, done.is_dry) == (True, False)


def test_a_folder_that_two_runs_share_goes_with_the_last(store):
    """Runs that another tool wrote may have one reference."""
    first, second = ended(store), ended(store)
    with store.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE runs SET reference = ? WHERE uid = ?", (first.reference, second.uid)
        )
    folder = store.folder_of(first.reference)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("12345")
    store.delete(first.uid)

    assert store.collect_garbage(older_than=AT_ONCE).freed.folders == Amount()
    assert folder.exists()
    store.delete(second.uid)
    assert store.collect_garbage(older_than=AT_ONCE, dry=True).freed.folders == Amount(1, 5)
    assert folder.exists()
    assert store.collect_garbage(older_than=AT_ONCE).freed.folders == Amount(1, 5)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "count"), [({}, 0), ({"vacuum": True}, 1), ({"vacuum": True, "dry": True}, 0)]
)
def test_the_database_file_shrinks_only_when_it_is_asked_to(store, monkeypatch, options, count):
    driver, calls = type(store.backend.database.driver), []
    monkeypatch.setattr(driver, "vacuum", lambda _: calls.append("vacuum"))

    store.collect_garbage(**options)

    assert len(calls) == count


def test_a_spool_behind_a_link_is_not_emptied(store, tmp_path):
    gone = ended(store)
    store.delete(gone)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mine = elsewhere / f"{gone.uid}.1.part"
    mine.write_text("mine")
    if store.backend.spool.place.exists():
        store.backend.spool.place.rmdir()
    store.backend.spool.place.symlink_to(elsewhere)

    assert store.collect_garbage(older_than=AT_ONCE).runs == (gone.reference,)
    assert mine.read_text() == "mine"


def test_a_spool_that_becomes_a_link_meanwhile_is_not_emptied(store, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    spool = store.backend.spool.place

    def swapped(*_):
        if spool.exists():
            spool.rmdir()
        spool.symlink_to(elsewhere)
        return [spool / "mine"]

    monkeypatch.setattr(gc, "gone_in_flight", swapped)

    with pytest.warns(StoreWarning, match="Not removed: "):
        store.collect_garbage(older_than=AT_ONCE)

    assert (elsewhere / "mine").read_text() == "mine"


def test_half_files_of_other_stores_stay(store, tmp_path, monkeypatch):
    """The user's state folder has places of stores that were moved, and are not this one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "~"))  # sorted after the store
    place = store.backend.spool.own_place().with_name("another-moved")
    place.mkdir()
    path = place / f"{ended(store).uid}.1.tmp"
    path.write_text("half")
    made_old(path, DAY_S + HOUR_S)
    assert path in store.backend.spool.every_file()

    assert store.collect_garbage(older_than=AT_ONCE).freed.leftovers == Amount()
    assert path.exists()


def test_a_file_that_is_gone_by_now_is_not_old(tmp_path):
    assert is_old(tmp_path / "missing") is False


def test_a_dry_run_counts_the_folder_of_a_run_that_would_go(store):
    run = ended(store)
    folder = store.folder_of(run.reference)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("12345")
    store.delete(run)

    assert store.collect_garbage(older_than=AT_ONCE, dry=True).freed.folders == Amount(1, 5)
    assert folder.exists()


def test_a_store_behind_a_link_of_the_user_is_cleaned_up(store, tmp_path):
    path = orphan(store, b"orphan")
    (tmp_path / "link").symlink_to(store.path)

    with Store.open(tmp_path / "link") as other:
        assert other.collect_garbage(older_than=AT_ONCE).freed.contents == Amount(1, 6)

    assert not path.exists()
