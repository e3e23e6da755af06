"""Captured facts are indexed by name beside the runs, once for many, and found either way."""

import itertools
import json

from runstore import Store, background
from runstore.errors import StoreReadOnlyError
from runstore.model.facts import Facts
from runstore.recording.recorder import Recorder
from runstore.storage.indexes import facts as fact_index
from runstore.storage.migrations import known_migrations, migrate
from runstore.storage.sqlite.driver import SQLiteDriver
from runstore.storage.sqlite.paths import DATABASE

HERE = {"host.name": "here", "host.cpu_count": 8}


def start_with(store, facts):
    run = store.start("m", capture=False)
    store.backend.database.attach_facts(run.uid, Facts(values=facts))
    run.finish()
    return run.uid


def counts(store):
    """Return how many links, values and sets of facts are kept."""
    return [
        rows_of(store, text)[0][0]
        for text in (
            "SELECT count(*) FROM run_facts",
            "SELECT count(*) FROM fact_values",
            "SELECT count(DISTINCT set_id) FROM run_facts",
        )
    ]


def rows_of(store, text):
    with store.backend.database.driver.read() as connection:
        return connection.execute(text).fetchall()


def found(store, text):
    return {run.uid for run in store.find(text, limit=None)}


def test_equal_facts_of_many_runs_are_filed_once(store):
    for number in range(5):
        start_with(store, {**HERE, "git.commit": str(number // 3)})

    assert counts(store) == [10, 4, 3]


def test_facts_that_come_later_are_filed_with_those_before(store):
    uid = start_with(store, {"git.branch": "main"})
    store.backend.database.attach_facts(
        uid, Facts(values={"git.branch": "topic", "gpu.names": ("A", "B")})
    )

    assert found(store, "git.branch = topic and gpu.names = B") == {uid}
    assert found(store, "git.branch = main") == set()
    assert counts(store) == [2, 3, 2]


def test_facts_are_found_before_they_are_filed(store, monkeypatch):
    """The row of a run has them at its start; the background indexes them a little later."""
    monkeypatch.setattr(background, "do_later", lambda _: None)
    run = store.start("m", argv=["train", "--fast"])
    run.finish()

    assert rows_of(store, "SELECT count(*) FROM run_facts") == [(0,)]
    assert found(store, "command.argv = '--fast'") == {run.uid}


def older_store(folder, runs):
    """Make a store of the schema before facts were indexed."""
    steps = itertools.takewhile(lambda step: step.name != "filters", known_migrations())
    driver = SQLiteDriver(folder / DATABASE)
    migrate(driver, list(steps))
    with driver.write() as connection:
        connection.execute("INSERT INTO experiments VALUES (1, 'm', ?, 0)", (runs,))
        connection.executemany(
            "INSERT INTO runs (id, uid, experiment_id, run_number, reference, timestamp, status,"
            " started_at, changed, facts) VALUES (?, ?, 1, ?, ?, '', 'complete', ?, ?, ?)",
            [
                (n, f"u{n}", n, f"m_{n}", n, n, json.dumps({"values": facts, "unknown": {}}))
                for n in range(1, runs + 1)
                for facts in [{**HERE, "git.branch": f"b{n % 3}"}]
            ],
        )
    driver.close()
    return [f"u{n}" for n in range(1, runs + 1)]


def test_facts_of_an_older_store_are_found_and_then_filed(tmp_path, monkeypatch):
    uids = older_store(tmp_path, runs=9)
    monkeypatch.setattr(fact_index, "BATCH", 2)

    with Store.open(tmp_path) as store:
        few = found(store, "git.branch = b1")
        filed_at_first = rows_of(store, "SELECT count(*) FROM run_facts")
        monkeypatch.setattr(fact_index, "UNINDEXED_AT_MOST", 3)
        many = found(store, "git.branch = b1")
        indexed = rows_of(store, "SELECT count(DISTINCT run_id) FROM run_facts")

    assert few == many == set(uids[::3])
    assert filed_at_first == [(0,)]
    assert indexed == [(9,)]


def test_a_store_that_cannot_be_written_finds_facts_as_well(tmp_path, monkeypatch):
    uids = older_store(tmp_path, runs=4)
    monkeypatch.setattr(fact_index, "UNINDEXED_AT_MOST", 0)

    with Store.open(tmp_path) as store:
        store.backend.database.driver.refuse_writes(StoreReadOnlyError("The disk is read-only."))

        assert found(store, "git.branch = b1") == {uids[0], uids[3]}
        assert rows_of(store, "SELECT count(*) FROM run_facts") == [(0,)]


def test_facts_that_make_no_sense_end_no_search(store):
    kept = start_with(store, {"git.branch": "main"})
    broken = start_with(store, {"git.branch": "main"})
    with store.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE runs SET facts = '[1]', facts_filed = NULL WHERE uid = ?", (broken,)
        )

    assert found(store, "git.branch = main") >= {kept}


def test_a_withdrawn_start_leaves_no_facts(store):
    run = store.start("m", capture=False)
    store.backend.database.attach_facts(run.uid, Facts(values=HERE))
    store.backend.part(Recorder).withdraw(run.uid)

    assert counts(store) == [0, 0, 0]


def test_facts_that_other_runs_share_stay_when_one_is_withdrawn(store):
    kept = start_with(store, HERE)
    run = store.start("m", capture=False)
    store.backend.database.attach_facts(run.uid, Facts(values=HERE))
    store.backend.part(Recorder).withdraw(run.uid)

    owners = "SELECT r.uid FROM run_facts f LEFT JOIN runs r ON r.id = f.run_id"
    assert set(rows_of(store, owners)) == {(kept,)}
    assert found(store, "host.cpu_count = 8") == {kept}
