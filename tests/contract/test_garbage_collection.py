"""Cleaning up: what is predicted is what is freed, and nothing that a run needs ever goes."""

import json
import os
import random
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from command_server import Program
from places import ended
from runstore import Store, background
from runstore.errors import StoreReadOnlyError, StoreWarning
from runstore.model.results.deletion import Amount
from runstore.storage.files.objects import Objects
from runstore.storage.files.spool import Spool

AT_ONCE = timedelta(0)


def on_disk(store):
    """Return how many bytes there are in contents and run folders."""
    places = (store.path / "objects", store.path / "runs")
    return sum(
        one.lstat().st_size for place in places for one in place.rglob("*") if not one.is_dir()
    )


def test_what_is_predicted_is_what_is_freed(store):
    runs = [ended(store, bytes([n]) * 1000 * n) for n in range(1, 5)]
    ended(store, bytes([2]) * 2000)
    told = store.delete(runs[:3]).frees
    before = on_disk(store)

    predicted = store.collect_garbage(older_than=AT_ONCE, dry=True).freed
    assert on_disk(store) == before
    freed = store.collect_garbage(older_than=AT_ONCE).freed

    assert told.contents == predicted.contents == freed.contents == Amount(2, 4000)
    assert before - on_disk(store) == freed.total.size_bytes == predicted.total.size_bytes
    assert store.get("fit#4").read_bytes("model.bin") == bytes([4]) * 4000
    assert store.get("fit#5").read_bytes("model.bin") == bytes([2]) * 2000


def test_doing_it_twice_frees_nothing_more(store):
    store.delete(ended(store, b"x" * 10))

    first, second = (store.collect_garbage(older_than=AT_ONCE) for _ in range(2))

    assert first.freed.total.files == 1
    assert not second.freed.total
    assert second.runs == ()


@pytest.mark.folder_only
def test_files_that_are_gone_already_are_fine(store):
    run = ended(store, b"x" * 10)
    store.backend.objects.path_of(run.artifacts["model.bin"].digest).unlink()
    store.delete(run)

    collected = store.collect_garbage(older_than=AT_ONCE)

    assert collected.runs == (run.reference,)
    assert not collected.freed.total
    assert store.check() == ()


def test_a_run_stays_in_the_trash_for_its_time(store):
    run = ended(store, b"x" * 10)
    store.delete(run)

    kept = store.collect_garbage(older_than=timedelta(days=30))

    assert (kept.runs, kept.trashed, kept.trash_frees.total) == ((), 1, Amount(1, 10))
    assert store.restore(run.uid)[0].read_bytes("model.bin") == b"x" * 10


def test_replaced_contents_are_freed(store):
    with store.start("fit", capture=False) as run:
        run.save("model.bin", b"old")
        run.save("model.bin", b"newer")

    assert store.collect_garbage().freed.contents == Amount(1, 3)
    assert store.get(run.uid).read_bytes("model.bin") == b"newer"


@pytest.mark.folder_only
def test_nothing_of_a_run_is_left_in_the_database(store):
    with store.start("fit", params={"lr": 1.5}) as run:
        run.log(loss=0.5)
        run.tags["a"] = "b"
        run.use("https://example.org/data", digest=False)
        run.save("picture.txt", b"text with a preview")
    background.wait_until_done(60)
    assert len(store.find("python.version is not missing")) == 1
    store.delete(run.uid)
    store.collect_garbage(older_than=AT_ONCE)

    with store.backend.database.driver.read() as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - its own names
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table'"
            ).fetchall()
        }
    left = {table for table, count in counts.items() if count}
    assert left <= {"experiments", "runs", "schema_migrations", "store_state"}


def test_the_folder_of_a_full_store_goes_with_its_run(store):
    run = store.start("fit", capture=False, full_store=True)
    folder = store.folder_of(run.reference)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("12345")
    run.finish()
    store.move(run.uid, "train")
    assert store.folder_of(store.get("train#1").reference) == folder

    told = store.delete("train#1")
    freed = store.collect_garbage(older_than=AT_ONCE).freed

    assert told.frees.folders == freed.folders == Amount(1, 5)
    assert not folder.exists()


def test_folders_of_other_people_stay(store):
    store.delete(ended(store))
    strange = store.path / "runs" / "mine"
    strange.mkdir(parents=True)

    store.collect_garbage(older_than=AT_ONCE)

    assert strange.is_dir()


def test_what_a_crash_left_on_its_way_in_goes(store):
    ended(store, b"x")
    left = store.path / "objects" / "incoming" / "1-abc"
    left.write_bytes(b"half")

    assert store.collect_garbage(dry=True).freed.leftovers == Amount(1, 4)
    assert store.collect_garbage().freed.leftovers == Amount(1, 4)
    assert not left.exists()


def test_what_a_crash_left_beside_the_store_goes_after_a_day(store):
    """In the user's private folder, where data goes that the store cannot take."""
    uid = ended(store).uid
    place = store.backend.spool.own_place()
    aside = Objects(place / "objects")
    waiting, lost, fresh = (aside.keep_bytes(one) for one in (b"waiting", b"lost", b"fresh"))
    body = {"path": "a", "digest": waiting.digest, "size_bytes": "no number"}
    record = place / f"{uid}.1.artifact.json"
    record.write_text(json.dumps({**body, "objects": str(aside.folder)}))
    half = [place / f"{uid}.1.notes.tmp", place / "objects" / "incoming" / "1-abc"]
    for path in half:
        path.write_bytes(b"half")
    (place / f"{uid}.2.notes.tmp").write_bytes(b"half")
    for path in (*half, aside.path_of(waiting.digest), aside.path_of(lost.digest)):
        os.utime(path, (1, 1))

    with pytest.warns(StoreWarning, match="was ignored"):
        found = store.collect_garbage(dry=True), store.collect_garbage()

    assert [one.freed.leftovers for one in found] == [Amount(3, 12)] * 2
    assert not any(path.exists() for path in (*half, aside.path_of(lost.digest)))
    assert aside.path_of(waiting.digest).exists()
    assert aside.path_of(fresh.digest).exists()
    assert (place / f"{uid}.2.notes.tmp").exists()


def test_contents_beside_the_store_that_are_saved_again_meanwhile_stay(store, monkeypatch):
    aside = Objects(store.backend.spool.own_place() / "objects")
    kept = aside.keep_bytes(b"saved twice")
    os.utime(aside.path_of(kept.digest), (1, 1))
    read, calls = Spool.awaited_digests, []

    def saved_after_reading(spool):
        found = read(spool)
        calls.append(found)
        if len(calls) == 1:  # the later call is about the trash
            aside.keep_bytes(b"saved twice")  # its record will follow
        return found

    monkeypatch.setattr(Spool, "awaited_digests", saved_after_reading)

    store.collect_garbage()

    assert calls == [set(), set()]
    assert aside.path_of(kept.digest).exists()


def test_contents_that_the_database_did_not_take_yet_are_needed(store):
    """An artifact whose row waits in the spool keeps its contents."""
    run = ended(store)
    saved = store.backend.objects.keep_bytes(b"waiting")
    body = {"path": "a", "digest": saved.digest, "objects": None}
    store.backend.spool.keep(run.uid, "artifact", {**body, "size_bytes": "not a number"})

    with pytest.warns(StoreWarning, match="was ignored"):
        store.collect_garbage()

    assert store.backend.objects.path_of(saved.digest).exists()


def test_a_store_that_cannot_be_written_is_left_alone(store, monkeypatch):
    run = ended(store, b"x")
    store.delete(run)
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    with pytest.raises(StoreReadOnlyError, match="It is read only"):
        store.collect_garbage(older_than=AT_ONCE)

    assert store.collect_garbage(older_than=AT_ONCE, dry=True).freed.total == Amount(1, 1)


@pytest.mark.folder_only
def test_the_database_file_shrinks_on_request(store):
    run = store.start("fit", capture=False)
    chance = random.Random(1)
    run.log_points("loss", [chance.random() for _ in range(200_000)])  # which do not compress
    run.finish()
    store.delete(run.uid)
    reusable = store.collect_garbage(older_than=AT_ONCE).reusable_bytes
    path = store.path / "runstore.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size

    after = store.collect_garbage(vacuum=True)

    assert reusable > 500_000
    assert after.reusable_bytes == 0
    assert size - path.stat().st_size >= reusable


# At the same time


SAVING = """
import sys, time
from runstore import Store
with Store.open(sys.argv[1]) as store:
    count = 0
    while time.monotonic() < float(sys.argv[2]) or count < 15:
        run = store.start("busy", capture=False)
        # The same contents as others, so that they are released and wanted all the time.
        run.save("model.bin", b"contents %d" % (count % 3))
        run.finish()
        if count % 2:
            store.delete(run.uid)
        count += 1
"""
CLEANING = """
import sys, time
from datetime import timedelta
from runstore import Store
with Store.open(sys.argv[1]) as store:
    while time.monotonic() < float(sys.argv[2]):
        store.collect_garbage(older_than=timedelta(0))
"""


def test_saving_and_cleaning_up_at_once_lose_nothing(location, campaign_rounds):
    until = time.monotonic() + campaign_rounds / 16
    work = [SAVING] * 3 + [CLEANING] * 2
    processes = [Program(one, location, until) for one in work]

    assert [one.communicate() for one in processes] == [("", "")] * len(work)
    assert [one.returncode for one in processes] == [0] * len(work)
    with Store.open(location) as store:
        store.collect_garbage(older_than=AT_ONCE)
        for run in store.find(limit=None):
            assert run.read_bytes("model.bin").startswith(b"contents ")
        assert store.check(deep=True) == ()


@pytest.mark.folder_only
def test_a_save_during_a_long_clean_up_is_kept_aside_and_taken_in_later(store, monkeypatch):
    """Contents saved without the lock could be collected before they are referenced."""
    monkeypatch.setattr("runstore.storage.files.objects._SAVING_PATIENCE_S", 0.0)
    run = store.start("fit", capture=False)

    with store.backend.objects.alone() as is_alone:
        assert is_alone
        with pytest.warns(StoreWarning, match="artifact 'model.bin'"):
            run.save("model.bin", b"kept")
        assert list(store.backend.objects.files()) == []
    run.finish()

    with Store.open(store.path) as again:
        assert again.get(run.uid).read_bytes("model.bin") == b"kept"


KILLED = """
import sys
from datetime import timedelta
from runstore import Store
with Store.open(sys.argv[1]) as store:
    print("go", flush=True)
    store.collect_garbage(older_than=timedelta(0))
"""


@pytest.mark.folder_only
def test_whatever_ends_it_in_the_middle_the_next_one_goes_on(location, campaign_rounds):
    with Store.open(location) as store:
        for n in range(campaign_rounds):
            kept = ended(store, b"kept %d" % n)
            store.delete([ended(store, b"%d %d" % (n, k) * 100) for k in range(15)])
            process = Program(KILLED, location)
            process.stdout.readline()
            time.sleep(0.002 * (n % 10))
            process.kill()
            process.wait()

            assert kept.read_bytes("model.bin") == b"kept %d" % n
            troubles = [one for one in store.check() if one.is_trouble]
            assert [one.kind for one in troubles if one.kind != "orphaned"] == []
            store.collect_garbage(older_than=AT_ONCE)
            assert store.check(deep=True) == ()
            assert Path(location).is_dir()
