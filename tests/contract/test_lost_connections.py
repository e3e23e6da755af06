"""Changes on a server take effect once if a connection is lost, at whatever statement."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from runstore import Status, Store
from runstore.errors import ServerUnreachableError, StoreLockedError
from runstore.storage.metrics.rewinding import remove_points
from runstore.storage.postgres.connections import pool
from runstore.storage.postgres.connections.transaction import Transaction, was_committed
from server_proxy import Proxy

pytest.importorskip("psycopg")


@pytest.fixture
def proxy(url):
    found = Proxy(url)
    yield found
    found.close()


@pytest.fixture
def store(proxy):
    with Store.open(proxy.url) as opened:
        yield opened


def events(store, run, field):
    return [one for one in store.events(run) if one.field == field]


def move(store, run):
    def work():
        (moved,) = store.move(run.uid, "other")
        return moved.run_number

    def check(number):
        assert [store.get(run.uid).run_number, len(events(store, run.uid, "reference"))] == [
            number,
            1,
        ]

    return work, check


def rename(store, run):
    name = f"other {run.uid}"

    def check(count):
        assert (count, store.get(run.uid).experiment_name) == (1, name)
        assert len(events(store, run.uid, "reference")) == 1

    return lambda: store.rename_experiment("fit", name), check


def delete(store, run):
    def check(_):
        (back,) = store.restore(run.uid)
        assert [one.new is None for one in events(store, back, "deleted")] == [False, True]

    return lambda: store.delete(run.uid), check


def restore(store, run):
    store.delete(run.uid)

    def check(_):
        assert len(events(store, run.uid, "deleted")) == 2

    return lambda: store.restore(run.uid), check


def purge(store, run):
    store.delete(run.uid)

    def check(_):
        assert store.backend.database.is_purged(run.uid)

    return lambda: store.collect_garbage(older_than=timedelta(0)), check


def undo(store, run):
    store.tag(run.uid, {"a": 1})
    store.tag(run.uid, {"b": 2})

    def check(_):
        assert dict(store.get(run.uid).tags) == {"a": "1"}
        assert sum(one.undoes is not None for one in store.events(run.uid)) == 1

    return store.undo, check


def rewind(store, run):
    def check(removed):
        assert [removed, len(events(store, run.uid, "metrics"))] == [3, 1]
        assert store.get(run.uid).metric("loss").values.tolist() == [0.0, 1.0]

    return lambda: remove_points(store.backend.database, run.uid, 2, "ann"), check


def resume(store, run):
    def check(again):
        assert store.get(run.uid).status is Status.RUNNING
        again.finish()
        assert [one.new for one in events(store, run.uid, "status")] == ["running"]

    return lambda: store.resume(run.uid), check


@pytest.mark.parametrize("is_answered", [False, True], ids=["unheard", "unanswered"])
@pytest.mark.parametrize("change", [move, rename, delete, restore, purge, undo, rewind, resume])
def test_a_change_happens_once(store, proxy, change, is_answered, is_full_campaign):
    for trip in range(1, 100, 1 if is_full_campaign else 5):
        with store.start("fit", capture=False) as run:
            for step in range(5):
                run.log(loss=float(step))
        work, check = change(store, run)
        proxy.is_answered, proxy.cut = is_answered, proxy.trips + trip
        try:
            result = work()
        except ServerUnreachableError:  # before anything was written
            was_cut, proxy.cut = proxy.trips >= proxy.cut, None
            result = work()
        else:
            was_cut, proxy.cut = proxy.trips >= proxy.cut, None
        check(result)
        if not was_cut:
            return
    raise AssertionError


@pytest.mark.parametrize("is_answered", [False, True], ids=["unheard", "unanswered"])
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_transfer_is_complete_after_a_repetition(
    store, proxy, tmp_path, direction, is_answered, is_full_campaign
):
    every = 1 if is_full_campaign else 7
    with Store.open(tmp_path / "folder") as folder:
        source, target = (folder, store) if direction == "push" else (store, folder)
        for trip in range(1, 100, every):
            with source.start("fit", params={"lr": trip}, capture=False) as run:
                run.log(loss=trip)
                run.save("model.bin", b"%d" % trip)
            proxy.is_answered, proxy.cut = is_answered, proxy.trips + trip
            with suppress(ServerUnreachableError):
                getattr(folder, direction)(store)
            was_cut, proxy.cut = proxy.trips >= proxy.cut, None
            done = getattr(folder, direction)(store)
            assert done.skipped == ()
            assert target.get(run.uid).metric("loss").values.tolist() == [trip]
            assert len(target.find()) == len(source.find())
            if not was_cut:
                return
    raise AssertionError


def test_an_unknown_result_is_said(store, proxy, url, monkeypatch):
    """The server commits, and is gone before it can be asked."""
    monkeypatch.setattr(pool, "RETURNS_WITHIN_S", 0)
    run = store.start("fit", capture=False)
    run.finish()
    with store.backend.database.driver.read():  # there are two connections to ask with
        other = threading.Thread(target=store.find)
        other.start()
        other.join()
    commit = Transaction._commit

    def lost(transaction):
        proxy.is_answered, proxy.cut = True, proxy.trips + 1
        proxy.refuses = True
        commit(transaction)

    with monkeypatch.context() as patch, pytest.raises(ServerUnreachableError) as found:
        patch.setattr(Transaction, "_commit", lost)
        store.delete(run.uid)

    assert "unknown whether the change was written" in str(found.value)
    with Store.open(url) as other:
        assert len(other.find()) == 0


@pytest.mark.parametrize("end", ["committed", "aborted"])
def test_the_server_is_asked_what_became_of_a_change(store, end):
    """With a connection that goes back to the others, and whose silence is limited.

    It is asked again if there was none at first.
    """
    driver = store.backend.database.driver
    with suppress(RuntimeError), driver.write() as connection:
        (number,) = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
        if end == "aborted":
            raise RuntimeError
    taken, watched, given = [], [], []
    errors = [StoreLockedError("All connections are in use.")]

    class Asked:
        """The connections, with notes of what they are used for."""

        def __getattr__(self, name):
            return getattr(driver._pool, name)

        def take(self, *given):
            if errors:
                raise errors.pop()
            taken.append(driver._pool.take(*given))
            return taken[-1]

        def watch(self, raw, doing, *limits):
            watched.append((raw, doing))
            driver._pool.watch(raw, doing, *limits)

        def give_back(self, raw):
            given.append(raw)
            driver._pool.give_back(raw)

    assert was_committed(Asked(), number) is (end == "committed")
    assert watched == [(taken[0], "a query")]
    assert given == taken


def test_a_failed_change_is_rolled_back_at_once_on_the_same_connection(store):
    driver = store.backend.database.driver
    servers = []
    for _ in range(3):
        with suppress(RuntimeError), driver.write() as connection:
            connection.execute("INSERT INTO metric_keys (key) VALUES ('of nobody')")
            (server,) = connection.execute("SELECT pg_backend_pid()").fetchone()
            servers.append(server)
            raise RuntimeError
        with driver.read() as connection:
            found = connection.execute(
                "SELECT state FROM pg_stat_activity WHERE pid = ?", (server,)
            ).fetchall()
            kept = connection.execute("SELECT count(*) FROM metric_keys").fetchone()
        assert [row[0] for row in found] in (["idle"], ["active"])  # the latter asks
        assert kept[0] == 0

    assert len(set(servers)) == 1
