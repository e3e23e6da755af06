"""Databases of every schema there was are opened, brought up to date, and read the same.

See `tests/data/schemas/freeze.py`.
"""

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_server import Program
from runstore import Status, Store
from runstore.errors import StoreUnavailableError
from runstore.storage.integrity.checks import Checks
from runstore.storage.migrations import OLDEST_READ
from runstore.storage.statements import SCHEMA_VERSION

FROZEN = Path(__file__).parents[1] / "data" / "schemas"
VERSIONS = range(1, SCHEMA_VERSION + 1)
# The schemas that brought what the others do not have.
METRICS, PRODUCTS, TRASH, LEVELS = 2, 3, 5, 12
SAVED_QUERIES = 4


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
    return request.param


def thawed(folder, version):
    """Make a store as that schema left it; contents of artifacts are not with it."""
    frozen = (FROZEN / f"{version:04d}.db.gz").read_bytes()
    (folder / "runstore.db").write_bytes(gzip.decompress(frozen))
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, version):
    with Store.open(thawed(tmp_path_factory.mktemp("thawed"), version)) as store:
        yield store


def test_runs_are_what_they_were(store, version):
    names = {run.reference.rpartition("_")[0]: run for run in store.list()}
    first, failed = names["bert_1"], names["gpt_1"]

    assert names.keys() == {"bert_1", "bert_2", "gpt_1", "open_1"} | (
        set() if version >= TRASH else {"gone_1"}
    )
    assert first.params == {"lr": 0.1, "layers": [1, 2], "opt": {"name": "adam"}}
    assert first.notes == "second thoughts"
    assert (first.status, first.exit_code, first.hostname) == (Status.COMPLETE, 0, "node1")
    assert [one.name for one in names["bert_2"].parameter_sets] == ["small", "wide"]
    assert (failed.status, failed.error) == (Status.ERROR, "ValueError: bad luck")
    assert failed.traceback == "ValueError: bad luck"
    assert all(run.damaged == () for run in names.values())


def test_metrics_are_what_they_were(store, version):
    run = store.get("bert#1")
    if version < METRICS:
        assert dict(run.metrics) == {}
        return

    loss = run.metric("loss")

    assert list(loss.values) == [1.0 / (step + 1) for step in range(10)]
    assert list(loss.steps) == list(range(10))
    assert run.metrics["val/acc"].count == 10
    if version >= LEVELS:
        assert list(run.metric("curve").values) == [float(one % 97) for one in range(20_000)]
        assert {(one.min, one.max) for one in run.outline("curve", stretches=5)} == {(0, 96)}


def test_what_was_saved_and_edited_is_what_it_was(store, version):
    run = store.get("bert#1")
    if version < PRODUCTS:
        assert dict(run.tags) == {}
        return

    assert dict(run.tags) == {"phase": "pilot"}
    assert run.artifacts["a.csv"].size_bytes == len(b"x,y\n1,2\n")
    (used,) = run.inputs
    assert used.location == "/data/train.csv"
    notes = [(one.old, one.new, one.author) for one in store.events(run) if one.field == "notes"]
    assert notes == [("first try", "second thoughts", "ada")]


def test_searches_find_what_was_recorded_before(store, version):
    assert [run.run_number for run in store.find("params.lr = 0.1")] == [1]
    assert [run.experiment_name for run in store.find("error contains 'bad luck'")] == ["gpt"]
    if version >= METRICS:
        assert len(store.find("metrics.loss.min <= 0.1")) == 1
    if version >= SAVED_QUERIES:
        assert store.queries == {"good": "status = complete"}


def test_the_trash_is_what_it_was(store, version):
    gone = [run.experiment_name for run in store.trash()]

    assert gone == (["gone"] if version >= TRASH else [])


def test_work_goes_on_and_the_tables_are_those_of_a_new_store(tmp_path, version):
    with Store.open(thawed(tmp_path, version)) as store:
        with store.start("bert", params={"lr": 3}, capture=False) as run:
            run.log(loss=0.5)

        found = store.find("params.lr >= 0.1 and experiment = bert")
        assert run.run_number == 3
        assert [one.run_number for one in found] == [3, 2, 1]
        assert Checks(store.backend.database).schema() == []
        assert store.backend.database.driver.problems(is_deep=True) == []
        assert store.verify().problems == ()


def test_the_database_is_copied_aside_before_it_changes(tmp_path, version):
    folder = thawed(tmp_path, version)
    before = (folder / "runstore.db").read_bytes()

    Store.open(folder).close()

    copies = [path.name for path in folder.glob("runstore.db.before-schema-*")]
    assert copies == (
        [] if version == SCHEMA_VERSION else [f"runstore.db.before-schema-{version + 1:04d}"]
    )
    if version == SCHEMA_VERSION:
        assert (folder / "runstore.db").read_bytes() == before


def test_one_that_cannot_be_brought_up_to_date_is_read_as_it_is(tmp_path):
    """As on a full disk: the copy of it cannot be made."""
    folder = thawed(tmp_path, OLDEST_READ)
    aside = folder / f"runstore.db.before-schema-{OLDEST_READ + 1:04d}"
    aside.mkdir()
    (aside / "in the way").touch()
    before = (folder / "runstore.db").read_bytes()

    with Store.open(folder) as store:
        run = store.get("bert#1")
        assert list(run.outline("loss").last) == list(run.metric("loss").values)
        assert len(store.find("params.lr = 0.1")) == 1
        assert store.verify().problems == ()
        assert "table metric_levels" in {name for one in store.check() for name in one.names}
        with pytest.raises(StoreUnavailableError, match="could not be brought up to date"):
            store.edit(run, notes="third thoughts")

    assert (folder / "runstore.db").read_bytes() == before


KILLED = """
import os, signal, sys
from runstore import Store
from runstore.storage import migrations
migrations.time.time_ns = lambda: os.kill(os.getpid(), signal.SIGKILL)
Store.open(sys.argv[1])
"""


def test_a_process_that_is_killed_halfway_leaves_the_step_to_the_next(tmp_path):
    """Its table was made and the note that it was made was not."""
    folder = thawed(tmp_path, SCHEMA_VERSION - 1)
    assert Program(KILLED, folder).wait() == -signal.SIGKILL

    with Store.open(folder) as store:
        assert list(store.get("bert#1").outline("loss").x) == list(range(10))
        assert Checks(store.backend.database).schema() == []


OPENS = """
import sys
from runstore import Store
sys.stdin.read()
with Store.open(sys.argv[1]) as store:
    store.start("bert", capture=False).finish()
"""


def test_processes_bring_it_up_to_date_at_once(tmp_path):
    folder = thawed(tmp_path, SCHEMA_VERSION - 1)
    command = [sys.executable, "-c", OPENS, folder]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for one in others:
        one.stdin.close()

    assert [one.wait(timeout=60) for one in others] == [0, 0, 0, 0]
    with Store.open(folder) as store:
        assert [run.run_number for run in store.list("bert")] == [6, 5, 4, 3, 2, 1]
        assert Checks(store.backend.database).schema() == []
        assert store.verify().problems == ()


def test_every_schema_is_frozen():
    assert sorted(path.name for path in FROZEN.glob("*.gz")) == [
        f"{version:04d}.db.gz" for version in VERSIONS
    ]
