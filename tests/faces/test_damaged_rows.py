"""A row that another program or a broken disk left costs its own run, and no other."""
# ruff: noqa: S608 - statements of this file

import contextlib
import json
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstore.cli.main as cli
from hostile_rows import CHANGING, READING, changes_of, damage, make
from managers import Manager
from memory import forget_peak, peak_bytes
from runstore import ManagerStore, Store
from runstore.errors import RunstoreError, StoreCorruptError
from runstore.storage import stored_runs
from runstore.storage.sqlite import driver as sqlite
from runstore.store import open_shared
from web_client import client_of, served_at

pytestmark = pytest.mark.folder_only("SQLite alone lets other programs put any value anywhere")

_HANG_S = 10
_DEEP = "[" * 100_000
SECOND = "WHERE run_number = 2"
# What is changed of the second run, and the name by which it is told.
DAMAGES = {
    "facts": (f"UPDATE runs SET facts = '{{' {SECOND}", "facts"),
    "facts of another shape": (f"UPDATE runs SET facts = '[1]' {SECOND}", "facts"),
    "deep facts": (f"UPDATE runs SET facts = '{_DEEP}' {SECOND}", "facts"),
    "status": (f"UPDATE runs SET status = 'odd' {SECOND}", "status"),
    "no process id": (f"UPDATE runs SET pid = 'x', status = 'running' {SECOND}", "pid"),
    "large process id": (f"UPDATE runs SET pid = 1 << 40, status = 'running' {SECOND}", "pid"),
    "time": (f"UPDATE runs SET started_at = 'noon' {SECOND}", "started_at"),
    "time without a date": (f"UPDATE runs SET ended_at = 1 << 62 {SECOND}", "ended_at"),
    "notes": (f"UPDATE runs SET notes = x'ff00' {SECOND}", "notes"),
    "no UTF-8": (f"UPDATE runs SET notes = CAST(x'ff41' AS TEXT) {SECOND}", "notes"),
    "number": (f"UPDATE runs SET run_number = 'two' {SECOND}", "run_number"),
    "reference": (f"UPDATE runs SET reference = x'41' {SECOND}", "reference"),
    "values": ("UPDATE param_values SET tree = '[' WHERE tree LIKE '%0.1%'", "parameters small"),
    "deep values": (
        f"UPDATE param_values SET tree = '{_DEEP}' WHERE tree LIKE '%0.1%'",
        "parameters small",
    ),
    "values of an odd tag": (
        """UPDATE param_values SET tree = '{"lr":{"$fraction":[1,0]}}'
        WHERE tree LIKE '%0.1%'""",
        "parameters small",
    ),
    "tags": ("UPDATE tags SET value = x'00' WHERE run_id = 2", "tags"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make(folder / "store")
    return folder / "store"


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made, tmp_path / "store")


def change(store, statement):
    with contextlib.closing(sqlite3.connect(store / "runstore.db")) as changed, changed:
        changed.execute(statement)


def run_here(capfd, store, *words):
    """Run a command in this process; return its exit status and what it printed."""
    status = cli._exit_code(["--store", str(store), *words])
    printed = capfd.readouterr()
    return status, printed.out, printed.err


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_other_runs_are_listed_and_the_damaged_one_is_named(store, kind, capfd):
    statement, field = DAMAGES[kind]
    change(store, statement)

    listed = run_here(capfd, store, "ls")
    as_json = json.loads(run_here(capfd, store, "ls", "--json")[1])["runs"]
    checked = run_here(capfd, store, "doctor")

    words = [line.split("\t")[1] for line in listed[1].splitlines()[1:]]
    assert sorted(words) == ["complete", "complete", "damaged", "error"]
    assert [field in one["damaged"] for one in as_json].count(True) == 1
    assert checked[0] == 1
    assert field in checked[1]
    with Store.open(store) as opened:
        (found,) = [run for run in opened.list() if run.damaged]
        assert found.damaged == (field,)
        assert found.status_text == "damaged"
        assert opened.get("exp#1").params["lr"] == 0


@pytest.mark.parametrize("kind", ["facts", "values", "status", "notes"])
def test_analyses_go_on_beside_a_damaged_run(store, kind, capfd):
    change(store, DAMAGES[kind][0])

    for words in (
        ("best", "exp", "-m", "loss"),
        ("compare", "exp#1", "exp#2", "exp#3"),
        ("plot", "exp#1", "exp#2", "exp#3"),
        ("ls", "metrics.loss < 5"),
        ("show", "exp#2"),
    ):
        status, _, errors = run_here(capfd, store, *words)
        assert status == 0, (words, errors)


@pytest.mark.parametrize(
    "words",
    [
        "ls", "ls --json", "ls --format csv", "show exp#2", "show exp#2 --json",
        "compare exp#1 exp#2", "compare exp#1 exp#2 --json", "diff exp#1 exp#2",
        "best exp -m loss",
        "experiments", "experiments --json", "grep second --json", "similar exp#1 --json",
    ],
)  # fmt: skip
def test_no_command_shows_a_status_or_a_start_that_cannot_be_read(store, words, capfd):
    """Their placeholders, lost and 1970, are not those of a sound run."""
    both = "status = 'odd', started_at = 'noon', notes = 'the second'"
    change(store, f"UPDATE runs SET {both} {SECOND}")

    _, shown, errors = run_here(capfd, store, *words.split())

    assert "damaged" in shown + errors or "null" in shown
    assert "lost" not in shown + errors
    assert "last known alive" not in shown
    assert "1970-01" not in shown  # not a fraction of a second


def test_the_page_shows_no_status_or_start_that_cannot_be_read(store):
    change(store, f"UPDATE runs SET status = 'odd', started_at = 'noon' {SECOND}")

    with Store.open(store) as opened, client_of(served_at(opened)) as client:
        (run,) = [one for one in opened.list() if one.damaged]
        asked = {"uids": run.uid, "columns": "status,started"}
        (row,) = client.get("/api/v1/runs/rows", params=asked).json()["rows"]
        record = client.get(f"/api/v1/runs/{run.uid}").json()

    assert (row["status"], row["started_at"], row["duration_s"]) == ("damaged", None, None)
    assert row["cells"] == ["damaged", None]
    assert (record["status"], record["started_at"]) == ("damaged", None)


@pytest.mark.parametrize(
    "where", ["facts.host.name = 'x'", "facts.host.name is missing", "host.name ~ x"]
)
def test_filters_by_facts_go_on_beside_damaged_facts(store, where):
    change(store, f"UPDATE runs SET facts = '{{broken', facts_filed = NULL {SECOND}")

    with Store.open(store) as opened:
        found = {run.run_number for run in opened.find(where)}
        assert found == (set(range(1, 5)) if "missing" in where else set())


def test_a_metric_of_no_set_is_left_out_of_points(store, tmp_path):
    change(store, "UPDATE metric_summaries SET set_index = 'x' WHERE run_id = 2")

    with Store.open(store) as opened:
        assert opened.points(["exp#1", "exp#2"]).to_pandas()["run"].nunique() == 1
        assert opened.export_parquet(tmp_path / "runs").runs == 4


def test_a_chunk_that_cannot_be_read_is_an_error_of_its_series_alone(store):
    change(store, "UPDATE metric_chunks SET chunk = zeroblob(8) WHERE run_id = 2")

    with Store.open(store) as opened:
        with pytest.raises(StoreCorruptError, match="'loss' of exp_2"):
            opened.get("exp#2").metric("loss")
        with pytest.raises(StoreCorruptError, match="of exp_2"):
            opened.points(["exp#1", "exp#2"])
        assert len(opened.get("exp#1").metric("loss")) == 2
        assert opened.get("exp#2").metrics["loss"].count == 2


@pytest.mark.parametrize(
    "chunk",
    [
        struct.pack("<BBBxIqqqId", 1, 0, 0, 1, 0, 1, 2**62, 0, 1.0),
        struct.pack("<BBBxIqqqId", 1, 0, 0, 1, 2**62, 2**62, 0, 0, 1.0),
        struct.pack("<BBBxIqqqId", 1, 0, 0, 1, 0, 0, 0, 0, 1.0),
        struct.pack("<BBBxIqqq", 1, 0, 0, 0, 0, 1, 0),
        struct.pack("<BBBxI", 1, 0, 0, 2**32 - 1),
        b"",
    ],
    ids=["no time", "endless steps", "steps that stand", "no points", "cut off", "empty"],
)
def test_a_plot_leaves_out_points_that_cannot_be_read(store, chunk, capfd):
    with contextlib.closing(sqlite3.connect(store / "runstore.db")) as changed, changed:
        changed.execute("UPDATE metric_chunks SET chunk = ? WHERE run_id = 2", (chunk,))

    for x in ("step", "time", "relative"):
        words = ("plot", "exp#1", "exp#2", "exp#3", "-m", "loss", "-x", x)
        status, drawn, errors = run_here(capfd, store, *words)
        assert status == 0, errors
        assert "exp#3" in drawn

    assert run_here(capfd, store, "plot", "exp#2", "-m", "loss")[0] in {0, 5}


def test_a_text_too_long_for_the_memory_is_left_out(store, capfd, monkeypatch):
    if sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, no limit can be set")
    for module in (sqlite, stored_runs):
        monkeypatch.setattr(module, "LONGEST_READ", 1 << 20)
    change(store, f"UPDATE runs SET error = printf('%.*c', 2000000, 'x') {SECOND}")

    with Store.open(store) as opened:
        (found,) = [run for run in opened.list() if run.damaged]

    assert found.damaged == ("error",)
    assert found.notes == "first try"
    assert "exp_2" in run_here(capfd, store, "doctor")[1]


def test_of_many_long_texts_only_as_much_is_read_as_there_is_memory_for(store, monkeypatch):
    if sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, no limit can be set")
    for module in (sqlite, stored_runs):
        monkeypatch.setattr(module, "LONGEST_READ", 4 << 20)
    change(store, "UPDATE runs SET error = printf('%.*c', 2500000, 'x')")

    with Store.open(store) as opened:
        tracemalloc.start()
        counts = [len(run.damaged) for run in opened.list()]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        whole = opened.get("exp#1").error

    assert counts == [1] * 4
    assert peak < 8_000_000  # all of them are 10 million bytes
    assert whole == "x" * 2_500_000


# What somebody else put into the database


def test_a_trigger_changes_no_run(store, capfd):
    change(
        store,
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN UPDATE runs SET notes = 'forged'; END",
    )

    noted = run_here(capfd, store, "note", "exp#1", "mine")
    listed = run_here(capfd, store, "ls")
    checked = run_here(capfd, store, "doctor")

    assert noted[0] != 0
    assert "DROP TRIGGER" in noted[2]
    assert listed[0] == 0
    assert "forged" not in listed[1]
    assert checked[0] == 1
    assert "trigger t" in checked[1]


def test_nothing_is_recorded_beside_a_trigger(store):
    change(store, "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END")

    with Store.open(store) as opened, pytest.raises(StoreCorruptError, match="trigger t"):
        opened.start("exp", capture=False)

    change(store, "DROP TRIGGER t")
    with Store.open(store) as opened:
        opened.start("exp", capture=False).finish()
        assert opened.get("exp#5").status_text == "complete"


ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"


@pytest.mark.parametrize(
    "statements",
    [
        [
            "ALTER TABLE schema_migrations RENAME TO old",
            f"CREATE VIEW schema_migrations AS {ENDLESS} x AS version FROM n",
        ],
        [
            "ALTER TABLE tags RENAME TO old",
            f"CREATE VIEW tags AS {ENDLESS} x AS run_id, '' AS key, '' AS value FROM n",
        ],
        [f"CREATE VIEW anything AS {ENDLESS} x FROM n"],
        ["CREATE VIRTUAL TABLE pages USING fts5(x)"],
    ],
    ids=["of the schema", "of tags", "beside it", "virtual"],
)
def test_views_and_virtual_tables_of_others_are_refused(store, statements):
    for statement in statements:
        change(store, statement)

    with pytest.raises(StoreCorruptError, match="foreign objects"):
        Store.open(store)


def test_the_tables_of_a_new_store_are_those_that_doctor_expects(store, capfd):
    assert run_here(capfd, store, "doctor")[0] == 0

    change(store, "CREATE INDEX mine ON runs (notes)")

    checked = run_here(capfd, store, "doctor")
    assert checked[0] == 1
    assert "index mine" in checked[1]


# Anything anywhere


class _HangError(BaseException):
    pass


@contextlib.contextmanager
def ended_after(seconds):
    """Raise an error in the block if it has not ended by then."""

    def hang(*_):
        raise _HangError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_no_cell_is_a_bug_or_a_hang_of_any_command(
    made, tmp_path, capfd, monkeypatch, is_full_campaign
):
    """Each command is run on many stores, with anything in any cell of theirs."""
    errors = []

    def bug(error):
        errors.append(error)
        return 70

    monkeypatch.setattr(cli, "_bug", bug)
    monkeypatch.chdir(tmp_path)
    some = (
        st.just(READING)
        if is_full_campaign
        else st.permutations(READING).map(lambda all_: all_[:12])
    )

    @settings(
        max_examples=400 if is_full_campaign else 4,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes_of(made / "runstore.db", min_size=1), some)
    def check(changes, commands):
        with tempfile.TemporaryDirectory(dir=tmp_path) as here:
            place = shutil.copytree(made, Path(here) / "store")
            damage(place / "runstore.db", changes)
            for words in (*commands, *CHANGING):
                # The suite may run beside other things.
                with ended_after(_HANG_S if is_full_campaign else 6 * _HANG_S):
                    run_here(capfd, place, *words)
                assert not errors, (words, errors)

    had = forget_peak()
    check()
    assert peak_bytes() - had < 500_000_000


@pytest.mark.parametrize("counter", ["'running'", "0", "-7", "x'00'", "1e300"])
def test_a_damaged_counter_keeps_no_run_from_starting(store, counter):
    change(store, f"UPDATE experiments SET last_run_number = {counter} WHERE name = 'exp'")

    with Store.open(store) as opened:
        started = [opened.start("exp", capture=False) for _ in range(2)]
        numbers = [run.run_number for run in started]
        for run in started:
            run.finish()

    assert numbers == [5, 6]


def test_a_damaged_number_keeps_no_run_from_starting(store):
    change(store, f"UPDATE runs SET run_number = 'two' {SECOND}")

    with Store.open(store) as opened:
        for expected in (5, 6):
            run = opened.start("exp", capture=False)
            run.finish()
            assert run.run_number == expected


def test_a_manager_store_goes_on_beside_any_cell(made, tmp_path, is_full_campaign):
    """Each method of Curifactory's class works, or says what is wrong with the store."""

    @settings(
        max_examples=300 if is_full_campaign else 6,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes_of(made / "runstore.db", min_size=1))
    def check(changes):
        with tempfile.TemporaryDirectory(dir=tmp_path) as here, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            place = shutil.copytree(made, Path(here) / "store")
            damage(place / "runstore.db", changes)
            with ended_after(6 * _HANG_S), contextlib.suppress(RunstoreError):
                use_as_manager_store(place)

    check()


def use_as_manager_store(place):
    manager = Manager("exp")
    store = ManagerStore(place)

    def edit():
        store.runs[0]["notes"] = "new"
        store.save()

    def end():
        manager.status = "complete"
        store.update_run(manager)

    for step in (
        lambda: list(store.runs),
        lambda: store.get_run("exp_1"),
        lambda: store.get_experiment_runs("exp"),
        store.load,
        lambda: store.add_run(manager),
        end,
        store.save,
        edit,
    ):
        with contextlib.suppress(RunstoreError):
            step()
    open_shared(place).close()
