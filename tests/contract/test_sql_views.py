"""The views of the database: what other programs read, as its users do."""
# ruff: noqa: S608, S310 - statements and addresses are made of constants of this file

import json
import math
import sqlite3
import subprocess
import sys
from itertools import takewhile

import pytest

from duckdb_home import duckdb_home
from runstore import Store
from runstore.storage.sqlite.paths import DATABASE

# A float with 17 digits.
LONG = 0.1 + 0.2
VIEWS = (
    "runs_flat",
    "params_flat",
    "metrics_flat",
    "tags_flat",
    "artifacts_flat",
    "inputs_flat",
    "events_flat",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with something in every view."""
    folder = tmp_path_factory.mktemp("views")
    data = folder / "data.csv"
    data.write_text("a,b\n1,2\n")
    with Store.open(folder) as store:
        params = {"lr": 0.1, "layers": 64, "bias": True, "model": {"depth": 2, "kind": "tree"}}
        store.start("early", params={"long": LONG}, capture=False).finish()
        assert len(store.find("params.long > 0")) == 1  # writes the rows of parameters
        with store.start("fit", params=params, notes="it's", capture=False) as run:
            run.log(loss=0.5, steep=math.inf)
            run.log(loss=0.25, odd=math.nan, long=LONG)
            run.tags["phase"] = "pilot"
            run.save("data.csv", data)
            run.use(data)
            sets = [{"name": "a", "k": 1}, {"name": "b", "k": 2, "long": LONG}]
            with store.start("eval", params=sets, capture=False) as child:
                child.of_set("b").log(acc=0.75)
        with pytest.raises(ZeroDivisionError), store.start("fit", capture=False):
            raise ZeroDivisionError("by zero")
        store.edit("fit#1", notes="changed")
    return folder


@pytest.fixture
def reader(folder):
    """A connection as another program opens it."""
    connection = sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def one(reader, statement):
    (row,) = reader.execute(statement).fetchall()
    return dict(row)


def test_a_run_is_one_readable_row(folder, reader):
    import pandas as pd

    row = one(reader, "SELECT * FROM runs_flat WHERE experiment = 'fit' AND run_number = 1")

    with Store.open(folder) as store:
        run = store.get("fit#1")
    as_written = run.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert abs(pd.Timestamp(row["started_at"]) - run.started_at) <= pd.Timedelta("1ms")
    assert len(row["started_at"]) == len(as_written)
    assert row["started_at"].endswith("Z")
    assert row["duration_s"] == run.duration.total_seconds()
    same = ("reference", "uid", "notes", "exit_code", "error", "cli", "hostname", "parent_uid")
    assert {name: row[name] for name in same} == {name: getattr(run, name) for name in same}
    assert row["status"] == "complete"
    assert json.loads(row["params"]) == run.params
    assert json.loads(row["tags"]) == {"phase": "pilot"}
    assert json.loads(row["metrics"]) == {
        "loss": 0.25,
        "steep": None,
        "odd": None,
        "long": LONG,
    }


def test_a_run_without_anything_has_empty_objects(reader):
    row = one(reader, "SELECT * FROM runs_flat WHERE experiment = 'fit' AND run_number = 2")

    assert (row["params"], row["metrics"], row["tags"]) == ("{}", "{}", "{}")
    assert (row["status"], row["error"]) == ("error", "ZeroDivisionError: by zero")


def test_a_run_that_goes_on_has_no_end(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("on", capture=False)
        connection = sqlite3.connect(tmp_path / DATABASE)
        found = connection.execute("SELECT status, ended_at, duration_s FROM runs_flat")

        assert found.fetchall() == [("running", None, None)]
        connection.close()


def test_several_sets_stand_under_their_names(reader):
    row = one(reader, "SELECT params, metrics, parent_uid FROM runs_flat WHERE experiment='eval'")

    assert json.loads(row["params"]) == {
        "a": {"k": 1, "name": "a"},
        "b": {"k": 2, "name": "b", "long": LONG},
    }
    assert json.loads(row["metrics"]) == {"b/acc": 0.75}
    parent = one(
        reader, "SELECT uid FROM runs_flat WHERE reference LIKE 'fit\\_1\\_%' ESCAPE '\\'"
    )
    assert row["parent_uid"] == parent["uid"]


def test_parameters_are_rows(reader):
    found = reader.execute(
        "SELECT set_name, key, number, text, value FROM params_flat"
        " WHERE NOT (experiment = 'eval' AND key = 'name') ORDER BY run_id, set_name, key"
    )

    assert [tuple(row) for row in found] == [
        ("default", "long", LONG, None, "0.30000000000000004"),
        ("default", "bias", 1.0, "true", "true"),
        ("default", "layers", 64.0, None, "64"),
        ("default", "lr", 0.1, None, "0.1"),
        ("default", "model.depth", 2.0, None, "2"),
        ("default", "model.kind", None, "tree", "tree"),
        ("a", "k", 1.0, None, "1"),
        ("b", "k", 2.0, None, "2"),
        ("b", "long", LONG, None, "0.30000000000000004"),
    ]


def test_metrics_are_rows_with_their_summary(reader):
    loss = one(reader, "SELECT * FROM metrics_flat WHERE experiment = 'fit' AND key = 'loss'")
    acc = one(reader, "SELECT set_name, mean FROM metrics_flat WHERE key = 'acc'")
    steep = one(reader, "SELECT last, mean FROM metrics_flat WHERE key = 'steep'")

    told = ("set_name", "count", "nan_count", "first", "last", "min", "max", "mean", "last_step")
    assert [loss[name] for name in told] == [None, 2, 0, 0.5, 0.25, 0.25, 0.5, 0.375, 1]
    assert acc == {"set_name": "b", "mean": 0.75}
    assert steep == {"last": math.inf, "mean": math.inf}


def test_products_and_edits_are_rows(folder, reader):
    with Store.open(folder) as store:
        run = store.get("fit#1")
        saved = run.artifacts["data.csv"]
        (used,) = run.inputs

    artifact = one(reader, "SELECT * FROM artifacts_flat")
    read = one(reader, "SELECT * FROM inputs_flat")
    edit = one(reader, "SELECT * FROM events_flat WHERE field = 'notes'")
    assert (artifact["path"], artifact["size_bytes"], artifact["digest"]) == (
        "data.csv",
        saved.size_bytes,
        saved.digest,
    )
    assert (read["name"], read["location"]) == (used.name, used.location)
    assert (edit["reference"], edit["old"], edit["new"]) == (run.reference, "it's", "changed")
    assert one(reader, "SELECT key, value FROM tags_flat") == {"key": "phase", "value": "pilot"}


def test_what_is_in_the_trash_is_in_no_view(folder, tmp_path):
    kept = sqlite3.connect(folder / DATABASE)
    copy = sqlite3.connect(tmp_path / DATABASE)
    kept.backup(copy)
    kept.close()
    before = [copy.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in VIEWS]

    copy.execute("UPDATE runs SET deleted_at = 1")

    after = [copy.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in VIEWS]
    copy.close()
    assert min(before) > 0
    assert set(after) == {0}


@pytest.mark.parametrize("name", ["a'; DROP TABLE runs; --", '50% {x} \\ "quoted"', "日本 ☃"])
def test_any_name_and_value_comes_out_as_it_went_in(tmp_path, name):
    with Store.open(tmp_path) as store:
        run = store.start(name, params={name: name}, notes=name, capture=False)
        run.log({name: 1.5})
        run.tags[name] = name
        run.finish()
    connection = sqlite3.connect(tmp_path / DATABASE)

    row = connection.execute(
        "SELECT notes, params, metrics, tags FROM runs_flat WHERE experiment = ?", (name,)
    ).fetchone()

    connection.close()
    assert [row[0], *(json.loads(text) for text in row[1:])] == [
        name, {name: name}, {name: 1.5}, {name: name},
    ]  # fmt: skip


def test_an_older_database_gets_the_views(tmp_path):
    from runstore.storage.migrations import known_migrations, migrate
    from runstore.storage.sqlite.driver import SQLiteDriver

    driver = SQLiteDriver(tmp_path / DATABASE)
    migrate(driver, list(takewhile(lambda step: step.name != "views", known_migrations())))
    driver.close()
    with Store.open(tmp_path) as store:
        store.start("old", capture=False).finish()

    connection = sqlite3.connect(tmp_path / DATABASE)
    assert connection.execute("SELECT experiment FROM runs_flat").fetchall() == [("old",)]
    connection.close()


# Other programs

WRITER = """
import sys
from runstore import Store
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(60):
        with store.start("busy", params={"lr": 0.1}, capture=False) as run:
            run.log(loss=0.5)
"""


def test_reading_while_runs_are_recorded_disturbs_neither(tmp_path):
    Store.open(tmp_path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()

    counts = []
    while writer.poll() is None:
        reader = sqlite3.connect(f"file:{tmp_path / DATABASE}?mode=ro", uri=True)
        rows = reader.execute("SELECT run_number, params, metrics FROM runs_flat").fetchall()
        reader.close()
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        counts.append(len(rows))

    assert writer.wait() == 0, writer.stderr.read()
    writer.communicate()
    assert counts == sorted(counts)
    with Store.open(tmp_path) as store:
        assert {run.status.value for run in store.find(limit=None)} == {"complete"}


def test_pandas_reads_a_view(folder):
    import pandas as pd

    connection = sqlite3.connect(folder / DATABASE)

    frame = pd.read_sql_query(
        "SELECT reference, started_at, duration_s FROM runs_flat WHERE status = 'complete'",
        connection,
        parse_dates=["started_at"],
    )

    connection.close()
    assert len(frame) == 3
    assert str(frame["started_at"].dtype).startswith("datetime64[")
    assert str(frame["started_at"].dt.tz) == "UTC"


def test_polars_reads_a_view(folder):
    import polars as pl

    connection = sqlite3.connect(folder / DATABASE)

    frame = pl.read_database("SELECT * FROM params_flat", connection)

    connection.close()
    assert frame.filter(pl.col("key") == "lr")["number"].to_list() == [0.1]


DUCK = """
import json, sys, duckdb
database = duckdb.connect()
database.execute(f"ATTACH '{sys.argv[1]}' AS store (TYPE sqlite, READ_ONLY)")
for statement in sys.argv[2:]:
    print(json.dumps(database.execute(statement).fetchall()))
"""


def test_duckdb_reads_every_view(folder, tmp_path, reader):
    """It parses a view's text, and hands SQLite its own wording of it."""
    named = [f"SELECT reference, experiment FROM {view} ORDER BY 1, 2" for view in VIEWS]
    whole = "SELECT reference, params, metrics, tags, started_at FROM runs_flat ORDER BY 1"
    values = "SELECT reference, key, number, text, value FROM params_flat ORDER BY 1, 2"
    waiting = "SELECT reference, key, text, value FROM waiting_params_flat ORDER BY 1, 2"
    asked = [*named, whole, values, waiting]
    assert len(reader.execute(waiting).fetchall()) > 0

    ended = subprocess.run(
        [sys.executable, "-c", DUCK, str(folder / DATABASE)]
        + [statement.replace("FROM ", "FROM store.") for statement in asked],
        env=duckdb_home(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert found == [[list(row) for row in reader.execute(one)] for one in asked]


def test_datasette_serves_the_views(folder):
    import re
    import urllib.request

    command = [sys.executable, "-m", "datasette", "serve", str(folder / DATABASE), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        place = next(filter(None, (re.search(r"http://\S+", line) for line in server.stderr)))
        url = f"{place[0]}/runstore/runs_flat.json?_shape=array&experiment=fit&status=complete"
        with urllib.request.urlopen(url, timeout=30) as answer:
            rows = json.load(answer)
    finally:
        server.terminate()
        server.communicate()

    assert [(row["run_number"], json.loads(row["params"])["lr"]) for row in rows] == [(1, 0.1)]
