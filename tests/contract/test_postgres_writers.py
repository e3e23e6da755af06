"""Many programs write to one store on a server: locks, numbers of changes, repetition."""

import contextlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import Status, Store
from runstore.errors import RunNotFoundError, StoreLockedError
from runstore.model.values import clean_text
from runstore.reading.grid.order import run_order
from runstore.reading.grid.watching import Watcher, changes_since
from runstore.storage.database import Edit, add_event
from runstore.storage.postgres.connections.transaction import Transaction
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.postgres.functions import LOCKS_AT_MOST
from runstore.storage.query.changes import Changes
from runstore.storage.trash import Trash
from server_proxy import Proxy

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


@contextlib.contextmanager
def unfinished(url, *statements):
    """Run statements in a transaction of another program that is open inside the block."""
    with psycopg.connect(url) as other:
        for statement in statements:
            other.execute(statement)
        yield other


def driver_of(store) -> PostgresDriver:
    return store.backend.database.driver


# Locks


def locks(uid):
    return f"SELECT lock_runs('1s', ARRAY['{uid}'])"


def test_runs_are_changed_while_another_run_is(store, url):
    one, other = (store.start("fit", capture=False) for _ in range(2))

    with unfinished(url, locks(one.uid)), driver_of(store).hurried(0.1):
        other.tags["phase"] = "final"
        other.log(loss=1.0)
        other.finish()
        later = store.start("fit", capture=False)
        later.finish()
        with pytest.raises(StoreLockedError):
            store.backend.edits.change([one.uid], {}, "ann", notes=["late"])
        Trash(store.backend.database).put([other.uid], "ann")
        with pytest.raises(StoreLockedError):  # perhaps of all runs
            store.backend.moves.move([later.uid], "elsewhere", "ann")
        Trash(store.backend.database).take_out([other.uid], "ann")

    assert store.get(other.uid).status is Status.COMPLETE
    assert store.get(other.uid).tags == {"phase": "final"}
    one.finish()


def test_a_change_of_the_whole_store_waits_for_all_runs_and_keeps_them_waiting(store, url, run):
    with driver_of(store).write(), Store.open(url) as other, driver_of(other).hurried(0.1):
        for change in (
            lambda: other.backend.edits.change([run.uid], {}, "ann", notes=["x"]),
            lambda: other.backend.database.finish_run(run.uid, Status.COMPLETE, ended_at=1),
        ):
            with pytest.raises(StoreLockedError):
                change()
    run.finish()


def test_an_edit_of_many_runs_locks_the_store(store, url):
    uids = [store.start("fit", capture=False).uid, *map(str, range(LOCKS_AT_MOST))]

    with (
        unfinished(url, "SELECT lock_runs('1s', ARRAY['another'])"),
        driver_of(store).hurried(0.1),
    ):
        store.backend.edits.change(uids[:1], {"a": "b"}, "ann")
        with pytest.raises(StoreLockedError):
            store.backend.edits.change(uids, {"a": "c"}, "ann")
    with pytest.raises(RunNotFoundError, match="no run 0 in"):
        store.backend.edits.change(uids, {"a": "c"}, "ann")

    assert [run.tags for run in store.list()] == [{"a": "b"}]


# Numbers of runs


def test_starts_of_an_experiment_do_not_wait_for_each_other(store, url):
    store.start("fit", capture=False).finish()
    with Store.open(url) as other:
        calls = []
        driver_of(other).call = lambda *parts: calls.append(parts) or (2, "fit_2")
        other.start("fit", capture=False)
        slow = driver_of(other)._pool._connected(1)
        slow.execute("BEGIN")
        number = slow.execute(*calls[0]).fetchone()[0]
        with driver_of(store).hurried(0.1):
            later = store.start("fit", capture=False)
        later.finish()
        slow.execute("COMMIT")
        slow.close()

    assert (number, later.run_number) == (2, 3)
    assert store.start("fit", capture=False).run_number == 4


def test_a_number_is_not_assigned_again_although_the_counter_is_behind(store, url):
    store.start("fit", capture=False).finish()
    with unfinished(url, "SELECT 1 FROM experiments FOR NO KEY UPDATE"):
        run = store.start("fit", capture=False)
        run.finish()

    assert store.backend.database.last_run_numbers() == {"fit": 2}
    assert [one.last_run_number for one in store.backend.database.experiments()] == [2]
    assert not [one for one in store.check() if one.is_trouble]
    store.move(run.uid, "elsewhere")
    assert store.start("fit", capture=False).run_number == 3


# Numbers of changes

CHANGE = "UPDATE runs SET changed = next_change() WHERE uid = '{}'"


def test_a_reader_skips_no_change_that_is_committed_late(store, url):
    changes = Changes(store.backend.database)
    one, other = (store.start("fit", capture=False) for _ in range(2))
    before = changes.last()
    watcher = Watcher(store.backend)

    with unfinished(url, CHANGE.format(one.uid)) as slow:
        other.tags["a"] = "b"
        early = changes_since(store.backend, before)
        looks = [watcher.look(), watcher.look()]
        slow.commit()
    late = changes_since(store.backend, early.changed)

    rows = {run.uid: row for row, run in changes_rows(store)}
    assert (early.ids, early.changed) == ([rows[other.uid]], before)
    assert [look.ids for look in looks] == [[rows[other.uid]], []]  # not twice
    assert set(late.ids) == {rows[one.uid], rows[other.uid]}
    assert watcher.look().ids == [rows[one.uid]]
    assert changes_since(store.backend, late.changed).ids == []
    assert changes.latest() == (late.changed, True)
    one.finish()
    other.finish()


def changes_rows(store):
    found = store.backend.database.newest_runs(None, limit=10, before=(2**62, 2**62))
    return [(key[1], run) for key, run in found]


def test_an_order_has_new_runs_while_an_older_change_is_open(store, url, run):
    orders = [run_order(store.backend).ids]
    with unfinished(url, CHANGE.format(run.uid)):
        for _ in range(2):
            store.start("fit", capture=False).finish()
            orders.append(run_order(store.backend).ids)

    assert [len(ids) for ids in orders] == [1, 2, 3]
    run.finish()


def test_changes_of_one_transaction_have_their_own_numbers(store):
    uids = [store.start("fit", capture=False).uid for _ in range(5)]
    changes = Changes(store.backend.database)
    before = changes.last()

    store.backend.edits.change(uids, {"a": "b"}, "ann")

    assert len({one.change for one in changes.since(before, 10)}) == 5


def test_changes_count_on_after_the_tables_moved_to_another_server(store, url, run):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE runs SET changed = changed + (1::bigint << 45)")
    moved = Changes(store.backend.database).latest()

    with Store.open(url) as other:
        changes = Changes(other.backend.database)
        last = changes.last()
        other.edit(run.uid, notes="there")

        assert not moved.is_certain
        assert [one.is_certain for one in changes.since(last, 10)] == [True]
    run.finish()


# Lost connections


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_transaction_whose_connection_is_lost_is_repeated_once(
    store, monkeypatch, is_committed, run
):
    run.log(loss=1.0)
    commit, lost = Transaction._commit, []

    def losing(self):
        if len(lost) % 2 == 0:
            if is_committed:
                commit(self)
            self.raw.close()
            lost.append(self)
            raise psycopg.OperationalError("the connection is lost")
        lost.append(self)
        commit(self)

    monkeypatch.setattr(Transaction, "_commit", losing)
    run.tags["phase"] = "final"
    run.notes = "kept"
    run.save("model.bin", b"weights")
    run.finish()
    monkeypatch.undo()

    kept = store.get(run.uid)
    assert len(lost) >= 8
    assert (kept.status, kept.notes, kept.tags) == (Status.COMPLETE, "kept", {"phase": "final"})
    assert kept.metrics["loss"].count == 1
    assert [event.field for event in store.backend.edits.events(run.uid)] == [
        "tags.phase",
        "notes",
    ]
    assert not [one for one in store.check(deep=True) if one.is_trouble]


def test_a_deadlock_is_repeated(store, url):
    """Another program takes locks in another order than we do."""
    first, last = (store.start("fit", capture=False).uid for _ in range(2))
    row = "SELECT 1 FROM runs WHERE uid = '{}' FOR UPDATE"

    def wait_for_the_first():
        slow.execute(row.format(first))
        slow.commit()

    with unfinished(url, "SET deadlock_timeout = '60s'", row.format(last)) as slow:
        waits = threading.Thread(target=wait_for_the_first)
        edit = threading.Thread(
            target=store.backend.edits.change, args=([first, last], {"a": "b"}, "ann")
        )
        edit.start()
        is_waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with psycopg.connect(url, autocommit=True) as looking:
            while looking.execute(is_waiting).fetchone()[0] == 0:
                assert edit.is_alive()
                time.sleep(0.01)
        waits.start()
        waits.join()
        edit.join()

    assert [run.tags for run in store.list()] == [{"a": "b"}] * 2


# Round trips


@pytest.fixture
def proxy(url):
    found = Proxy(url)
    yield found
    found.close()


def test_a_store_is_opened_in_four_round_trips(proxy):
    """One of them is the connection."""
    opened = []

    assert proxy.count(lambda: opened.append(Store.open(proxy.url))) == 4

    opened.pop().close()


def test_starts_ends_and_edits_take_one_round_trip(proxy):
    with Store.open(proxy.url) as store:
        runs, edits = store.backend.database, store.backend.edits
        store.start("fit", capture=False).finish()  # connects
        begun = []
        params = {"lr": 0.1}
        assert (
            proxy.count(lambda: begun.append(store.start("fit", params=params, capture=False)))
            == 1
        )
        (run,) = begun
        assert run.tags == {}  # read once
        trips = {
            "tag": lambda: run.tags.update(phase="final"),
            "note": lambda: setattr(run, "notes", "good"),
            "tags of others": lambda: edits.change([run.uid], {"a": "b", "c": "d"}, "ann"),
            "alive": lambda: runs.mark_seen([run.uid]),
            "end": lambda: runs.finish_run(run.uid, Status.COMPLETE, ended_at=1),
        }
        assert {name: proxy.count(work) for name, work in trips.items()} == dict.fromkeys(trips, 1)

        with pytest.warns(UserWarning, match="has already ended"):
            run.finish()


def test_points_of_many_metrics_take_few_round_trips(proxy):
    with Store.open(proxy.url) as store:
        run = store.start("fit", capture=False)
        run.log({f"loss{number}": number for number in range(30)})
        (path,) = store.backend.spool.point_files(run.uid)

        # Four, unless the server answers a part of a pipeline before the rest is sent.
        assert proxy.count(lambda: store.backend.metrics.absorb(path)) in range(4, 8)
        run.finish()
    with Store.open(proxy.url) as store:
        assert len(store.get("fit#1").metrics) == 30


# Chains of edits


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.text(max_size=6)), max_size=6))
def test_edits_by_the_server_have_links_that_are_verified(edited, edits):
    store, run = edited
    for place, (key, value) in enumerate(edits):
        text = None if value is None else clean_text(value)
        if place % 2:
            store.backend.edits.change([run.uid], {}, "ann", notes=[text])
        else:
            store.backend.edits.change([run.uid], {key: text}, text or "bob")

    assert store.verify().problems == ()
    events = store.backend.edits.events(run.uid)
    assert [one.at for one in events] == sorted({one.at for one in events})


@pytest.fixture(scope="module")
def edited():
    from postgres_server import database

    with database() as url, Store.open(url) as store:
        run = store.start("fit", capture=False)
        yield store, run
        run.finish()


def test_an_edit_that_was_altered_later_is_found(store, url, run):
    for text in ("one", "two"):
        run.notes = text
    store.backend.database.driver.transact(
        lambda one: add_event(one, row_of(store, run), Edit("x", None, "y", "ann", None)),
        of=[run.uid],
    )
    assert store.verify().problems == ()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE events SET author = 'eve' WHERE new = 'one'")

    (problem,) = store.verify().problems
    assert "event 1" in problem
    assert "was altered" in problem
    run.finish()


def row_of(store, run):
    return next(row for row, one in changes_rows(store) if one.uid == run.uid)
