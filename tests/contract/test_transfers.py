"""Runs are transferred between stores: the same everywhere, in any order, however often."""

import math
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings

import hostile_rows
from command_server import Program
from equal_stores import assert_sound, everything, everything_of, exchange
from other_users import ALICE, BOB
from runstore import Store
from runstore.errors import (
    AmbiguousReferenceError,
    ConflictError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
    StoreWarning,
    UsageError,
)
from runstore.maintenance import transfer
from runstore.maintenance.scrub import scrub, wanted
from runstore.model import reference
from runstore.model.display.short_names import short_names
from runstore.reading.grid.order import run_order, uids_of
from runstore.storage.files import unfinished
from runstore.storage.transfer import staging, transaction

EXPERIMENTS = ("fit", "train", "naïve über#2")
WORDS = ("first", "second", "", "naïve\nüber 日本語")


@pytest.fixture
def stores(tmp_path, empty, unsynced):
    with ExitStack() as opened:
        places = [shutil.copytree(empty, tmp_path / name) for name in "abc"]
        yield [opened.enter_context(Store.open(one)) for one in places]


@pytest.fixture
def a(stores):
    return stores[0]


@pytest.fixture
def b(stores):
    return stores[1]


@pytest.fixture
def run(a):
    return record(a)


@pytest.fixture
def staged(monkeypatch):
    """Write series in parts before their run, though they are short."""
    monkeypatch.setattr(staging, "LONG_SERIES", 4)


@pytest.fixture
def one_second(monkeypatch):
    """Let all runs start in one second, so that runs of one number share their reference."""
    monkeypatch.setattr(reference, "local_timestamp", lambda _: "2026-11-27-T101500")


def record(store, experiment="fit", *, points=3, notes=None, **params):
    with store.start(experiment, params=params or {"lr": 0.1}, notes=notes, capture=False) as run:
        if points:
            run.log_points("loss", [float(one) for one in range(points)])
        run.save("model.bin", f"weights of {run.uid}".encode())
        run.tags["phase"] = "pilot"
    return store.get(run.uid)


class Walk:
    """Random histories on several stores."""

    def __init__(self, stores, chance):
        self.stores = stores
        self.chance = chance

    def step(self):
        store = self.chance.choice(self.stores)
        work = self.chance.choice(
            (
                *(self.start, self.start, self.tag, self.note, self.rm, self.restore, self.mv),
                *(self.rename, self.undo, self.resume, self.rewind, self.save),
                *(self.push, self.pull, self.grow, self.purge, self.redo, self.extend),
            )
        )
        with suppress(ConflictError, NotFoundError):
            work(store)

    def some(self, runs):
        runs = list(runs)
        return self.chance.sample(runs, min(len(runs), self.chance.randint(1, 2)))

    def author(self):
        return self.chance.choice(("ada", "bob"))

    def start(self, store):
        record(store, self.chance.choice(EXPERIMENTS), points=self.chance.choice((0, 5)))

    def tag(self, store):
        value = self.chance.choice((None, "x", "y"))
        key = self.chance.choice(("phase", "keep"))
        store.tag(self.some(store.list()), {key: value}, author=self.author())

    def note(self, store):
        for run in self.some(store.list()):
            store.edit(run, notes=self.chance.choice(WORDS), author=self.author())

    def rm(self, store):
        store.delete(self.some(store.list()), author=self.author())

    def restore(self, store):
        store.restore(self.some(store.trash()), author=self.author())

    def mv(self, store):
        target = self.chance.choice(EXPERIMENTS)
        store.move(self.some(store.list()), target, author=self.author())

    def rename(self, store):
        old, new = self.chance.sample(EXPERIMENTS, 2)
        store.rename_experiment(old, new, merge=True, author=self.author())

    def undo(self, store):
        store.undo(author=self.author())

    def resume(self, store):
        for run in self.some(store.list()):
            with store.resume(run) as again:
                again.log(loss=self.chance.random())

    def rewind(self, store):
        for run in self.some(store.list()):
            with store.resume(run) as again:
                again.rewind(self.chance.randint(0, 5))

    def grow(self, store):
        for run in self.some(store.list()):
            with store.resume(run) as again:
                for _ in range(3):
                    again.log(loss=self.chance.random(), acc=self.chance.random())
                again.save("model.bin", str(self.chance.random()).encode())
                again.params.replace({self.chance.choice(("lr", "seed")): self.chance.random()})

    def extend(self, store):
        for run in self.some(store.list()):
            with store.start("again", parent=run, capture=False):
                store.add(run, metrics={"acc": [self.chance.random()]})

    def purge(self, store):
        store.collect_garbage(older_than=timedelta(0))

    def redo(self, store):
        store.redo(author=self.author())

    def save(self, store):
        for run in self.some(store.list()):
            store.add(run, artifacts={"late.txt": str(self.chance.random()).encode()})

    def push(self, store):
        store.push(self.chance.choice([one for one in self.stores if one is not store]))

    def pull(self, store):
        store.pull(self.chance.choice([one for one in self.stores if one is not store]))


def end_in_equal_stores(folder, third, seed, *, steps=25):
    """Walk on two stores in a folder and a third one, and compare them after an exchange."""
    folder.mkdir()
    with ExitStack() as opened:
        places = (folder / "a", folder / "b", third)
        stores = [opened.enter_context(Store.open(place)) for place in places]
        walk = Walk(stores, random.Random(seed))
        for _ in range(steps):
            walk.step()

        exchange(stores, restore=True)

        known = [everything(store) for store in stores]
        assert known[0] == known[1] == known[2], seed
        for store in stores:
            assert_sound(store)
            for other in stores:
                if other is not store:
                    again = store.push(other)
                    assert (again.added, again.changed, again.skipped) == (0, 0, ())


@pytest.mark.timeout(3600)
def test_random_histories_end_in_equal_stores(
    tmp_path, unsynced, one_second, staged, is_full_campaign
):
    for seed in range(300 if is_full_campaign else 3):
        end_in_equal_stores(tmp_path / str(seed), tmp_path / f"{seed}c", seed)


@pytest.mark.timeout(3600)
def test_random_histories_with_a_server_end_in_equal_stores(
    tmp_path, unsynced, one_second, staged, is_full_campaign
):
    pytest.importorskip("psycopg")
    database = pytest.importorskip("postgres_server").database
    for seed in range(1000, 1100 if is_full_campaign else 1001):
        steps = 25 if is_full_campaign else 12
        with database() as url:
            end_in_equal_stores(tmp_path / str(seed), url, seed, steps=steps)


# Names


def test_runs_with_one_number_have_the_same_names_in_every_store(stores, one_second):
    a, b, c = stores
    runs = [record(store) for store in stores]

    a.push(b)
    b.push(c)
    c.push(a)
    a.push(b)

    for store in stores:
        names = {run.uid: run.reference for run in store.list("fit")}
        assert names == {run.uid: f"{run.reference}~{run.uid[-4:]}" for run in runs}
        for run in runs:
            assert store.get(names[run.uid]).uid == run.uid
            assert store.get(f"fit#1~{run.uid[-4:]}").uid == run.uid
        for shared in ("fit#1", runs[0].reference):
            with pytest.raises(AmbiguousReferenceError) as error:
                store.get(shared)
            assert set(error.value.candidates) == set(names.values())
        assert record(store).run_number == 2


def test_a_reference_is_kept_if_only_the_number_is_shared(a, b, monkeypatch):
    first = record(a)
    monkeypatch.setattr(reference, "local_timestamp", lambda _: "2026-11-27-T101600")
    second = record(b)

    b.pull(a)

    assert [b.get(run.reference).uid for run in (first, second)] == [first.uid, second.uid]
    assert b.get(f"fit#1~{second.uid[-4:]}").uid == second.uid
    assert short_names(b.list("fit")) == tuple(f"fit#1~{run.uid[-4:]}" for run in b.list("fit"))


def test_the_newest_of_an_experiment_is_the_same_in_every_store(stores, a, b, one_second):
    record(a)
    record(b)

    exchange(stores)

    assert len({store.get("fit#-1").uid for store in stores}) == 1


@pytest.mark.parametrize("by", ["status", "params.lr", "params.lr desc, notes", "params.none"])
def test_equal_values_have_one_order_in_every_store(a, b, by):
    uids = [record(store, lr=0.1).uid for store in (a, b, a, b)][::-1]

    a.push(b)
    a.pull(b)

    for store in (a, b):
        order = run_order(store.backend, f"order by {by}").ids  # as on the page
        assert [one.uid for one in store.find(f"order by {by}")] == uids
        assert list(uids_of(store.backend, order).values()) == uids


def test_a_number_is_not_used_again_after_its_run_was_removed_elsewhere(a, b):
    record(a)
    record(a)
    a.delete("fit#2")
    a.collect_garbage(older_than=timedelta(0))

    a.push(b)

    assert record(b).run_number == 3


def test_runs_of_a_shared_reference_keep_their_folders(a, b, one_second, run):
    folder = a.folder_of(run.reference)
    folder.mkdir(parents=True)
    record(b)

    a.pull(b)

    assert a.folder_of(a.get(run.uid).reference) == folder


# Edits


def test_the_last_edit_of_each_field_counts(stores, a, b):
    run = record(a, notes="first")
    a.push(b)
    a.edit(run, notes="of a")
    a.tag(run, {"phase": "final"})
    b.edit(run.uid, notes="of b")
    b.tag(run.uid, {"keep": True})

    exchange(stores)

    for store in stores:
        found = store.get(run.uid)
        assert found.notes == "of b"
        assert found.tags == {"phase": "final", "keep": "true"}
        assert [event.new for event in store.events(found) if event.field == "notes"] == [
            "of a",
            "of b",
        ]


def test_an_edit_from_another_store_can_be_undone(a, b, run):
    other = record(a)
    a.tag(run, {"phase": "final"}, author="ada")
    a.push(b)
    b.tag(other.uid, {"keep": True}, author="ada")
    a.edit(run, notes="news", author="bob")
    a.push(b)

    undone = [b.undo(author="ada")[0].event.field for _ in range(2)]

    assert undone == ["tags.keep", "tags.phase"]
    b.push(a)
    assert dict(a.get(run.uid).tags) == {"phase": "pilot"}
    assert [one.event.field for one in a.redo(author="ada")] == ["tags.phase"]
    assert_sound(a)


def test_a_deleted_run_stays_deleted_with_later_edits(stores, a, b, run):
    a.push(b)
    a.delete(run)
    b.edit(run.uid, notes="still in use")

    exchange(stores)

    for store in stores:
        assert list(store.list()) == []
        assert store.restore(run.uid)[0].notes == "still in use"


def test_a_permanently_deleted_run_does_not_return(a, b, run):
    a.push(b)
    b.delete(run.uid)
    b.collect_garbage(older_than=timedelta(0))

    again = a.push(b)

    assert [(one.uid, one.why) for one in again.skipped] == [(run.uid, "deleted")]
    assert [*b.list(), *b.trash()] == []
    assert b.push(a).skipped == ()
    assert a.get(run.uid)


def test_a_permanently_deleted_run_is_restored_on_request(stores, one_second):
    a, b, c = stores
    run, other = record(a), record(b, notes="same number")
    a.tag(run, {"keep": True}, author="ada")
    a.push(b)
    a.push(c)
    before = everything_of(b, b.get(run.uid))
    b.delete(run.uid)
    b.collect_garbage(older_than=timedelta(0))
    assert b.pull(a, dry=True, restore=True).added == 1
    assert b.pull(a).skipped[0].why == "deleted"

    restored = a.push(b, restore=True)

    assert (restored.added, restored.points, restored.skipped) == (1, 3, ())
    assert everything_of(b, b.get(run.uid)) == before
    assert {one.uid for one in b.list("fit")} == {run.uid, other.uid}
    assert b.pull(a, restore=True).unchanged == 1
    assert b.undo(author="ada")[0].event.field == "tags.keep"
    assert_sound(b)
    exchange(stores)
    assert everything(a) == everything(b) == everything(c)


def test_several_removed_runs_are_restored_together(a, b):
    runs = [record(a) for _ in range(3)]
    a.push(b)
    b.delete([run.uid for run in runs[:2]])
    b.collect_garbage(older_than=timedelta(0))
    a.tag(runs[2], {"keep": True})

    restored = a.push(b, restore=True)

    assert (restored.added, restored.changed) == (2, 1)
    assert sorted(one.uid for one in b.list()) == sorted(run.uid for run in runs)
    assert_sound(b)


def test_restoring_a_run_renames_no_other_run(a, b, one_second):
    run, other = record(a), record(b)
    exchange([a, b])
    name, former = b.get(other.uid).reference, b.backend.moves.former_references(other.uid)
    b.delete(run.uid)
    b.collect_garbage(older_than=timedelta(0))

    a.push(b, restore=True)

    assert b.get(other.uid).reference == name
    assert b.backend.moves.former_references(other.uid) == former
    assert everything(a) == everything(b)


def test_a_run_that_went_on_replaces_its_older_copy(a, b):
    run = record(a, points=3)
    a.push(b)
    with a.resume(run) as again:
        again.log(loss=9.0)

    result = b.pull(a)

    assert (result.changed, result.points) == (1, 4)
    assert list(b.get(run.uid).metric("loss").values) == [0.0, 1.0, 2.0, 9.0]
    assert a.pull(b).changed == 0


def test_a_reported_end_replaces_one_that_was_presumed(stores, a, b, run):
    with a.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE runs SET status = 'running', ended_at = NULL, last_seen_at = 1,"
            " hostname = 'elsewhere', boot_id = 'm/b/1'"
        )
    a.push(b)
    (lost,) = b.settle(presume_lost=True).lost
    a.finish(run.uid, "complete")

    exchange(stores)

    assert lost.status.value == "lost"
    assert [store.get(run.uid).status.value for store in stores] == ["complete"] * 3


# What is transferred


def test_a_run_is_transferred_with_everything(a, b, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("x\n1\n")
    sets = [{"name": "small", "lr": 1}, {"name": "wide", "lr": 2}]
    with suppress(ValueError), a.start("fit", params=sets, argv=["x"]) as run:
        run.of_set("wide").log_points("loss", [1.0, math.nan, math.inf])
        run.log_points("long", [float(one % 97) for one in range(20_000)])
        run.save("plots/one.txt", b"contents")
        run.use(data, "data.csv")
        raise ValueError("bad luck")
    a.edit(run.uid, notes="naïve\n日本語 🚀")
    a.move(run.uid, "train")
    a.close()

    with Store.open(a.path) as again:
        result = again.push(b)

        assert (result.added, result.points, result.skipped) == (1, 20_003, ())
        mine, theirs = (everything_of(store, store.get(run.uid)) for store in (again, b))
        assert repr(mine) == repr(theirs)
        assert b.get("fit#1").uid == run.uid
        assert len(b.find("params.lr = 2 and metrics.long.max = 96")) == 1
        outlines = [store.get(run.uid).outline("long", stretches=50) for store in (again, b)]
        assert repr(outlines[0]) == repr(outlines[1])
        assert_sound(b)


def test_nothing_is_transferred_twice(a, b, run):
    a.push(b)
    before = files_of(b.path)

    again = a.push(b)

    assert (again.added, again.changed, again.unchanged) == (0, 0, 1)
    assert files_of(b.path) == before
    assert b.pull(a, runs=[run]).unchanged == 1


def test_equal_runs_are_not_read_again(a, b, monkeypatch):
    for _ in range(3):
        record(a)
    a.push(b)
    a.tag("fit#2", {"keep": True})
    read = []
    read_records = transaction.read_records

    def counted(connection, uids):
        read.extend(uids)
        return read_records(connection, uids)

    monkeypatch.setattr(transaction, "read_records", counted)

    result = a.push(b)

    assert (result.changed, result.unchanged) == (1, 2)
    assert set(read) == {a.get("fit#2").uid}


def add_late(store, run):
    with store.resume(run) as again:
        again.add_params(seed=7)


CHANGES = {
    "a tag": lambda store, run: store.tag(run, {"keep": True}),
    "notes": lambda store, run: store.edit(run, notes="new"),
    "the trash": lambda store, run: store.delete(run),
    "a name": lambda store, run: store.move(run, "train"),
    "points": lambda store, run: store.add(run, metrics={"loss": [1.0]}),
    "a file": lambda store, run: store.add(run, artifacts={"model.bin": b"other"}),
    "an end": lambda store, run: store.resume(run).finish(),
    "a parameter": add_late,
    "a secret": lambda store, _: scrub(store.backend, wanted(("pilot",)), is_dry=False),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_any_kind_is_noticed(a, b, kind, run):
    a.push(b)

    CHANGES[kind](a, a.get(run.uid))

    assert a.push(b).changed == 1
    assert everything(a) == everything(b)
    assert a.push(b).changed == b.push(a).changed == 0


def files_of(folder):
    """Return the contents of all files below a folder, and when they were changed."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")  # of readers of the database
    }


def test_contents_of_several_runs_are_copied_once(a, b):
    for _ in range(3):
        with a.start("fit", capture=False) as run:
            run.save("data.bin", b"x" * 1000)

    result = a.push(b)

    assert (result.contents.files, result.contents.size_bytes) == (1, 1000)


def test_many_files_are_copied_at_once_and_damaged_ones_are_named(a, b):
    runs = []
    for place in range(30):
        with a.start("fit", capture=False) as run:
            run.save("one.bin", f"one of {place}".encode())
            run.save("shared.bin", b"shared")
        runs.append(a.get(run.uid))
    for run in runs[:3]:
        a.backend.objects.path_of(run.artifacts["one.bin"].digest).unlink()
    reported = []

    result = a.push(b, progress=lambda *now: reported.append(now))

    assert [(one.uid, one.why) for one in result.skipped] == [
        (run.uid, "damaged") for run in runs[:3]
    ]
    kept = [f"one of {place}" for place in range(3, 30)] + ["shared"]
    assert (result.contents.files, result.contents.size_bytes) == (28, len("".join(kept)))
    assert reported[-1] == (30, 30, len("".join(kept)))
    assert {b.get(run.uid).read_bytes("one.bin").decode() for run in runs[3:]} == {*kept[:-1]}


def test_a_filter_or_names_select_runs(a, b):
    for lr in (1, 2, 3):
        record(a, lr=lr)

    a.push(b, "params.lr >= 2")
    a.push(b, runs=["fit#1"], dry=True)

    assert {run.params["lr"] for run in b.list()} == {2, 3}
    with pytest.raises(UsageError, match="Both a filter and runs"):
        a.push(b, "params.lr = 1", runs=["fit#1"])
    with pytest.raises(NotFoundError):
        b.pull(a, runs=["fit#9"])
    assert b.pull(a, runs=["fit#1"]).added == 1


def test_a_dry_run_counts_and_changes_nothing(a, b, tmp_path):
    record(a)
    before = files_of(b.path)

    dry = a.push(b, dry=True)

    assert (dry.added, dry.points, dry.contents.files, dry.is_dry) == (1, 3, 1, True)
    assert files_of(b.path) == before
    done = a.push(b)
    assert (done.added, done.points, done.contents) == (dry.added, dry.points, dry.contents)
    with pytest.raises(StoreError):
        a.push(tmp_path / "new", dry=True)
    assert not (tmp_path / "new").exists()


def test_an_active_run_is_transferred_after_its_end(a, b):
    with a.start("fit", capture=False) as run:
        run.log(loss=1.0)

        early = a.push(b)

        assert [(one.uid, one.why) for one in early.skipped] == [(run.uid, "active")]
        assert list(b.list()) == []
    assert a.push(b).added == 1
    assert list(b.get(run.uid).metric("loss").values) == [1.0]


def test_a_silent_run_of_another_machine_is_transferred_as_it_is(a, b, run):
    with a.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE runs SET status = 'running', ended_at = NULL, last_seen_at = 1,"
            " hostname = 'elsewhere', boot_id = 'm/b/1'"
        )

    assert a.push(b).added == 1
    assert b.get(run.uid).status.value == "running"


def test_a_store_is_not_transferred_to_itself(stores, tmp_path):
    a, _, _ = stores
    (tmp_path / "link").symlink_to(a.path)

    for same in (a, a.path, tmp_path / "link"):
        with pytest.raises(UsageError, match="same store"):
            a.push(same)


@pytest.mark.parametrize("inner", ["inner", "objects/inner", "objects"])
def test_no_store_is_made_within_the_store(stores, tmp_path, inner):
    a, _, _ = stores
    record(a)
    before = files_of(a.path)

    for place in (a.path / inner, tmp_path / "b" / ".." / "a" / inner):
        with pytest.raises(UsageError, match="is within the store"):
            a.push(place)

    assert files_of(a.path) == before


# Damage


def test_a_damaged_run_is_skipped_and_the_others_are_transferred(a, b):
    runs = [record(a) for _ in range(5)]
    damage = [
        "UPDATE metric_chunks SET chunk = zeroblob(40) WHERE run_id = 1",
        "UPDATE events SET new = 'forged' WHERE run_id = 2",
        "UPDATE runs SET uid = '../../x' WHERE id = 3",
    ]
    with a.backend.database.driver.write() as connection:
        for statement in damage:
            connection.execute(statement)
    path = a.backend.objects.path_of(runs[3].artifacts["model.bin"].digest)
    path.chmod(0o644)
    path.write_bytes(b"y" * path.stat().st_size)

    result = a.push(b)

    assert [run.uid for run in b.list()] == [runs[4].uid]
    assert {(one.uid, one.why) for one in result.skipped} == {
        (uid, "damaged") for uid in (runs[0].uid, runs[1].uid, "../../x", runs[3].uid)
    }
    assert_sound(b)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "runs"
    hostile_rows.make(folder)
    with closing(sqlite3.connect(folder / "runstore.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("reference = '../../../x'", "an invalid reference"),
        ("reference = '/etc/passwd'", "an invalid reference"),
        ("reference = 'a' || char(27) || '[2J'", "an invalid reference"),
        ("parent_uid = '../settings'", "an invalid parent"),
    ],
)
def test_a_run_named_like_a_path_is_skipped_and_the_others_are_transferred(a, b, cells, why):
    odd, good = record(a), record(a)
    with closing(sqlite3.connect(a.path / "runstore.db")) as database, database:
        database.execute(f"UPDATE runs SET {cells} WHERE uid = ?", (odd.uid,))  # noqa: S608

    done = b.pull(a)

    assert [(one.uid, one.why, one.detail) for one in done.skipped] == [(odd.uid, "damaged", why)]
    assert [run.uid for run in b.list()] == [good.uid]


def test_experiments_with_slashes_are_transferred(a, b):
    with a.start("vision/../mnist", capture=False) as run:
        pass

    assert b.pull(a).added == 1
    assert b.get(run.uid).reference == run.reference


@pytest.mark.timeout(3600)
def test_a_store_with_anything_in_any_cell_does_no_harm(hostile, tmp_path_factory, unsynced):
    contents = (hostile / "runstore.db").read_bytes()

    @settings(max_examples=10 if settings().max_examples < 100 else 400)
    @given(hostile_rows.changes_of(hostile / "runstore.db", min_size=1))
    def pull(changes):
        folder = tmp_path_factory.mktemp("pull")
        path = folder / "theirs" / "runstore.db"
        path.parent.mkdir()
        path.write_bytes(contents)
        hostile_rows.damage(path, changes)
        with Store.open(folder / "mine") as mine:
            record(mine, "exp")
            with suppress(StoreError, NotFoundError):
                mine.pull(path.parent)
            assert_sound_and_readable(mine)
        assert {one.name for one in folder.iterdir()} == {"mine", "theirs"}

    pull()


def assert_sound_and_readable(store):
    with closing(sqlite3.connect(store.path / "runstore.db")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    for run in (*store.list(), *store.trash()):
        assert run.damaged == ()
        everything_of(store, run)
    assert store.verify().problems == ()
    assert record(store, "exp").run_number > 1


# Interruptions

PUSHES = """
import sys, runstore
with runstore.Store.open(sys.argv[1]) as store:
    print("begins", flush=True)
    store.push(sys.argv[2])
"""


def test_a_killed_transfer_leaves_whole_runs_and_goes_on(stores, campaign_rounds, tmp_path):
    a, _, _ = stores
    for place in range(30):
        with a.start("fit", capture=False) as run:
            run.log_points("loss", [float(place)] * 3_000)
            run.save("model.bin", os.urandom(30_000))
    chance = random.Random(1)
    target = tmp_path / "target"
    for _ in range(campaign_rounds // 3):
        program = Program(PUSHES, a.path, target)
        program.stdout.readline()
        select.select([program.stdout], [], [], chance.random() * 0.2)  # or until it ends
        program.kill()
        program.wait()

        with Store.open(target) as half:
            assert all(everything_of(half, run)["metrics"]["loss"] for run in half.list())
            assert_sound(half)

    a.push(target)

    with Store.open(target) as whole:
        assert len(whole.list()) == 30
        assert_sound(whole)


LIMITED = """
import resource, signal, sys, runstore, runstore.errors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with runstore.Store.open(sys.argv[1]) as store, runstore.Store.open(sys.argv[2]) as other:
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    try:
        store.push(other)
    except runstore.errors.StoreError as error:
        print(error)
"""


def test_a_full_disk_ends_a_transfer_that_goes_on_later(stores, tmp_path):
    a, _, _ = stores
    record(a)
    with a.start("fit", capture=False) as run:
        run.save("large.bin", os.urandom(1_000_000))
    target = tmp_path / "target"

    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, a.path, target],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    assert "could not be copied" in ended.stdout
    with Store.open(target) as half:
        assert len(half.list()) <= 1
        assert_sound(half)
        assert half.pull(a).unchanged + len(half.list()) >= 2
        assert_sound(half)


@pytest.mark.parametrize(
    ("count", "hint", "kept", "told"),
    [
        (0, "", "Nothing.", ""),
        (2, "", "2 runs were transferred before, completely.", "Repeat the transfer to continue."),
        (1, "Mount it.", "1 run was transferred before, completely.", "Mount it."),
    ],
)
def test_a_transfer_that_fails_tells_what_is_complete(a, b, monkeypatch, count, hint, kept, told):
    for _ in range(3):
        record(a)
    for name in ("_RUNS_AT_ONCE", "_FIRST_AT_ONCE"):
        monkeypatch.setattr(transfer, name, 1)
    write, calls = transfer.write_runs, []

    def fail_later(*given):
        if len(calls) == count:
            raise StoreUnavailableError("The disk is gone.", kept="Nothing.", hint=hint)
        calls.append(1)
        return write(*given)

    monkeypatch.setattr(transfer, "write_runs", fail_later)

    with pytest.raises(StoreUnavailableError) as raised:
        a.push(b)

    assert (raised.value.kept, raised.value.hint) == (kept, told)
    assert len(b.list()) == count


RECORDS = """
import itertools, sys, runstore
store = runstore.Store.open(sys.argv[1])
print("begins", flush=True)
for number in itertools.count():
    with store.start("busy", params={"number": number}, capture=False) as run:
        run.log_points("loss", [float(number)] * 50)
        run.save("number.txt", str(number).encode())
"""


def test_programs_record_into_both_stores_meanwhile(stores, a, b, is_full_campaign):
    writers = [Program(RECORDS, store.path) for store in (a, b) * (8 if is_full_campaign else 1)]
    try:
        for writer in writers:
            writer.stdout.readline()
        for _ in range(500):
            a.push(b)
            a.pull(b)
            if len(a.list()) > 10 * len(writers):
                break
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()

    exchange(stores)

    uids = {run.uid for run in a.list()}
    assert uids == {run.uid for run in b.list()}
    assert len(uids) > len(writers)
    numbers = {run.uid: run.run_number for run in a.list()}
    assert numbers == {run.uid: run.run_number for run in b.list()}
    for store in (a, b):
        assert_sound(store)


# Stores of other users


RECORDED_BY_BOB = """
import runstore
with runstore.Store.open(".") as store:
    with store.start("fit", capture=False) as run:
        run.save("a.txt", b"1")
    store.start("fit", capture=False).finish()
"""
PULLED_BY_ALICE = """
import runstore, sys
store = runstore.Store.open(".")
print(store.pull("{theirs}").added)
store.edit("fit#1", notes="mine")
print(store.pull("{theirs}").unchanged)
"""
EDITED_BY_BOB = "import runstore; runstore.Store.open('.').edit('fit#1', notes='forged')"
PULLED_AGAIN = """
import runstore, sys
store = runstore.Store.open(".")
print([one.why for one in store.pull("{theirs}").skipped], store.get("fit#1").notes)
"""


def test_a_store_of_another_user_is_not_written_and_changes_no_run(users):
    theirs = users.folder("theirs", BOB, 0o777)
    home = users.home(ALICE)
    users.said_by(BOB, RECORDED_BY_BOB, cwd=theirs)
    before = files_of(theirs)

    pulled = users.said_by(ALICE, PULLED_BY_ALICE.format(theirs=theirs), cwd=home)

    assert pulled.split() == ["2", "2"]
    assert files_of(theirs) == before
    users.said_by(BOB, EDITED_BY_BOB, cwd=theirs)
    assert users.said_by(ALICE, PULLED_AGAIN.format(theirs=theirs), cwd=home) == "['foreign'] mine"
    users.run(ALICE, "print()", cwd=home)
    trusting = {"RUNSTORE_TRUST": str(theirs)}
    merged = users.said_by(ALICE, PULLED_AGAIN.format(theirs=theirs), cwd=home, **trusting)
    assert merged == "[] forged"


# Secrets


def test_a_secret_that_was_scrubbed_does_not_return(a, b):
    leaked = "hunter2-correct-horse"
    with a.start("fit", params={"key": leaked}, notes=leaked, capture=False, cli=leaked) as run:
        run.save("log.txt", f"password {leaked}\n".encode())
        run.tags["key"] = leaked
    a.edit(run.uid, notes=f"uses {leaked}")
    a.push(b)
    scrub(a.backend, wanted((leaked,)), is_dry=False)

    a.pull(b)
    a.push(b)
    a.pull(b)

    for path in (a.path / "runstore.db", *(a.path / "objects").rglob("*")):
        assert path.is_dir() or leaked.encode() not in path.read_bytes()
    assert b.get(run.uid).notes == "uses ***"
    assert b.get(run.uid).params["key"] == "***"
    assert_sound(a)
    assert_sound(b)


# Plain files


def test_the_folder_of_a_full_store_is_copied_once(a, b, tmp_path):
    with a.start("fit", capture=False, full_store=True) as run:
        folder = a.folder_of(run.reference)
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "report.txt").write_text("report")
        (folder / "program").write_text("#!/bin/sh")
        (folder / "program").chmod(0o4755)

    assert a.push(b).contents.files == 2
    again = a.push(b)

    copied = b.folder_of(run.reference)
    assert (copied / "inner" / "report.txt").read_text() == "report"
    assert (copied / "program").stat().st_mode & 0o7777 == 0o755
    assert again.contents.files == 0
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


KILLED = """
import os, signal, sys, runstore
from runstore.maintenance import run_folders
copy_tree = run_folders.copy_tree
def copied_and_killed(*arguments):
    copy_tree(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
run_folders.copy_tree = copied_and_killed
runstore.Store.open(sys.argv[1]).push(sys.argv[2])
"""


def test_the_folder_of_a_killed_transfer_is_replaced_by_the_next_one(a, b):
    with a.start("fit", capture=False, full_store=True) as run:
        folder = a.folder_of(run.reference)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("12345")
    words = [sys.executable, "-c", KILLED, str(a.path), str(b.path)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL

    done = a.push(b)

    copied = b.folder_of(run.reference)
    assert (copied / "log.txt").read_text() == "12345"
    assert list(copied.parent.iterdir()) == [copied]
    assert (done.unchanged, done.contents.files) == (1, 1)


def test_the_folders_of_a_store_are_listed_once_in_a_transfer(a, b, monkeypatch):
    """Otherwise, the time grows with the square of their number."""
    for _ in range(3):
        with a.start("fit", capture=False, full_store=True) as run:
            folder = a.folder_of(run.reference)
            folder.mkdir(parents=True)
            (folder / "log.txt").write_text("12345")
    listed = []
    remove_abandoned = unfinished.remove_abandoned

    def counted(above, *arguments):
        listed.append(above.name)
        remove_abandoned(above, *arguments)

    monkeypatch.setattr(unfinished, "remove_abandoned", counted)

    assert a.push(b).contents.files == 3
    assert listed.count("runs") == 1


KILLED_BY_SAVING = """
import os, signal, sys, runstore
from runstore.storage.files.objects import Objects
Objects._name = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runstore.Store.open(sys.argv[1]).push(sys.argv[2])
"""


def test_a_file_that_a_killed_transfer_left_is_removed_by_the_next_one(a, b):
    with a.start("fit", capture=False) as run:
        run.save("model.bin", b"weights")
    incoming = b.backend.objects.folder / "incoming"
    words = [sys.executable, "-c", KILLED_BY_SAVING, str(a.path), str(b.path)]

    with b.backend.objects.in_use():  # while another program saves, they could be its files
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
        (left,) = incoming.iterdir()
        with Store.open(b.path) as other, other.backend.objects.in_use():
            assert left.read_bytes() == b"weights"
    with Store.open(b.path) as again:
        a.push(again)

        assert list(incoming.iterdir()) == []
        assert again.get(run.reference).read_bytes("model.bin") == b"weights"


def test_plain_files_are_not_added_to_runs_from_a_store_of_somebody_else(a, b):
    """Runs that are here already are not changed by a store that is not trusted."""
    with a.start("fit", capture=False, full_store=True) as run:
        pass
    a.push(b)
    folder = a.folder_of(run.reference)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("12345")

    transfer.transfer(a.backend, b.backend, may_change=False)

    assert not b.folder_of(run.reference).exists()


def test_links_in_the_folder_of_a_full_store_are_not_followed(a, b, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("secret")
    with a.start("fit", capture=False, full_store=True) as run:
        folder = a.folder_of(run.reference)
        folder.mkdir(parents=True)
        (folder / "key").symlink_to(tmp_path / "private" / "key")
        (folder / "more").symlink_to(tmp_path / "private")

    with pytest.warns(StoreWarning, match="was not copied"):
        a.push(b)

    assert list(b.folder_of(run.reference).iterdir()) == []
