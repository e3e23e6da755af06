"""A dataset of Parquet files has what the store has, however often it is updated."""

import random

import pytest

from runstore import Store
from runstore.errors import (
    ConflictError,
    NotFoundError,
    StoreLockedError,
    StoreUnavailableError,
    UsageError,
)
from runstore.exports import dataset
from runstore.exports.columns import TABLES
from runstore.reading.metrics import points
from runstore.storage.files.locks import locked

pytestmark = pytest.mark.usefixtures("unsynced")


def record(store, experiment="mnist", *, points=3, tags=(), **params):
    run = store.start(experiment, params=params or {"lr": 0.1}, capture=False)
    for step in range(points):
        run.log(loss=1 / (step + 1))
    for name in tags:
        run.tags[name] = "1"
    run.finish()
    return run


def contents(folder):
    """Return the rows of each table, in an order of their own."""
    import pyarrow.dataset

    return {
        table: sorted(
            map(
                repr,
                pyarrow.dataset.dataset(sorted(map(str, folder.glob(f"{table}/*/*.parquet"))))
                .to_table()
                .to_pylist(),
            )
        )
        if any(folder.glob(f"{table}/*/*.parquet"))
        else []
        for table in TABLES
    }


def rows(folder, table):
    import pyarrow.parquet

    files = sorted(folder.glob(f"{table}/*/*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def change(store, chance, text):
    """Change the store in one of the ways that its users have."""
    name = chance.choice([run.reference for run in store.list(limit=None)])
    chance.choice(
        (
            lambda: store.edit(name, notes=text),
            lambda: store.tag(name, {"t": text}),
            lambda: store.delete(name),
            lambda: store.move(name, "moved"),
            lambda: record(store, "a", text=text),
            store.undo,
        )
    )()


def test_a_run_is_in_every_table(store, tmp_path):
    run = record(store, lr=0.5, model={"layers": [64, 10]}, tags=["kept"])
    store.add(run, artifacts={"weights.bin": b"abc"})
    kept = store.get(run)

    done = store.export_parquet(tmp_path / "out")

    assert (done.runs, done.written, done.unchanged, done.removed) == (1, 6, 0, 0)
    found = {table: rows(tmp_path / "out", table) for table in TABLES}
    about = {"uid": kept.uid, "run": kept.reference, "experiment": "mnist", "run_number": 1}
    assert all(about.items() <= row.items() for table in found.values() for row in table)
    (one,) = found["runs"]
    assert (one["status"], one["started"], one["ended"]) == (
        "complete", kept.started_at, kept.ended_at,
    )  # fmt: skip
    assert [(row["key"], row["number"], row["set"]) for row in found["params"]] == [
        ("lr", 0.5, "default"), ("model.layers[0]", 64, "default"),
        ("model.layers[1]", 10, "default"),
    ]  # fmt: skip
    assert [(row["step"], row["value"]) for row in found["metrics"]] == [
        (0, 1),
        (1, 0.5),
        (2, 1 / 3),
    ]
    assert [(row["key"], row["count"], row["min"]) for row in found["series"]] == [
        ("loss", 3, 1 / 3)
    ]
    assert [(row["key"], row["value"]) for row in found["tags"]] == [("kept", "1")]
    assert [(row["path"], row["size_bytes"]) for row in found["artifacts"]] == [("weights.bin", 3)]


def test_points_of_parameter_sets_keep_their_set(store, tmp_path):
    run = store.start("sets", params={"lr": 1}, capture=False)
    run.of_set("default").log(acc=0.5)
    run.finish()

    store.export_parquet(tmp_path / "out")

    (point,) = rows(tmp_path / "out", "metrics")
    assert (point["set"], point["key"], point["value"]) == ("default", "acc", 0.5)


def test_an_update_writes_nothing_without_a_change(store, tmp_path):
    record(store)
    store.export_parquet(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}

    done = store.export_parquet(tmp_path / "out")

    assert (done.written, done.unchanged, done.removed) == (0, 6, 0)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_an_edit_does_not_write_the_points_anew(store, tmp_path):
    run = record(store)
    store.export_parquet(tmp_path / "out")
    store.edit(run, notes="edited")

    done = store.export_parquet(tmp_path / "out")

    assert (done.written, done.unchanged) == (5, 1)
    assert rows(tmp_path / "out", "runs")[0]["notes"] == "edited"


def test_points_that_come_after_the_end_are_added(store, tmp_path):
    run = record(store)
    store.export_parquet(tmp_path / "out")
    store.add(run, metrics={"loss": 9.0})

    store.export_parquet(tmp_path / "out")

    assert [row["value"] for row in rows(tmp_path / "out", "metrics")][-1] == 9


def test_an_active_run_is_written_as_it_is_now(store, tmp_path):
    run = store.start("mnist", capture=False)
    run.log(loss=1.0)
    store.export_parquet(tmp_path / "out")
    run.log(loss=2.0)

    store.export_parquet(tmp_path / "out")

    assert [row["value"] for row in rows(tmp_path / "out", "metrics")] == [1, 2]
    assert rows(tmp_path / "out", "runs")[0]["status"] == "running"
    run.finish()


def test_updates_have_what_a_new_dataset_has(store, tmp_path):
    chance = random.Random(7)
    for place in range(12):
        record(store, chance.choice(["a", "b/c", "7"]), points=place % 4, lr=place)
    for turn in range(8):
        change(store, chance, str(turn))
        store.export_parquet(tmp_path / "updated")

    store.export_parquet(tmp_path / "new")

    assert contents(tmp_path / "updated") == contents(tmp_path / "new")


def test_runs_are_divided_by_number(store, tmp_path, monkeypatch):
    monkeypatch.setattr(points, "_POINTS_AT_ONCE", 4)
    for _ in range(101):
        record(store, points=1)

    store.export_parquet(tmp_path / "out")

    names = sorted(path.name for path in (tmp_path / "out" / "metrics" / "mnist").iterdir())
    assert names == ["0000001.parquet", "0000101.parquet"]
    assert len(rows(tmp_path / "out", "metrics")) == 101
    record(store)
    assert store.export_parquet(tmp_path / "out").unchanged == 1  # the first hundred's points


def test_a_filter_limits_the_dataset(store, tmp_path):
    for lr in (1, 2, 3):
        record(store, lr=lr)

    done = store.export_parquet(tmp_path / "out", "params.lr >= 2")

    assert done.runs == 2
    assert {row["run_number"] for row in rows(tmp_path / "out", "metrics")} == {2, 3}


def test_a_folder_with_something_else_is_refused(store, tmp_path):
    record(store)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")

    with pytest.raises(ConflictError, match="not empty"):
        store.export_parquet(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_file_and_a_folder_within_the_store_are_refused(store, tmp_path):
    """Cleaning up would remove the dataset there."""
    record(store)
    (tmp_path / "file").write_text("precious")

    with pytest.raises(ConflictError, match="not a folder"):
        store.export_parquet(tmp_path / "file")
    with pytest.raises(UsageError, match="within the store"):
        store.export_parquet(store.path / "dataset")
    assert not (store.path / "dataset").exists()
    assert (tmp_path / "file").read_text() == "precious"


def test_a_dataset_of_another_store_or_filter_is_refused(store, tmp_path):
    record(store)
    store.export_parquet(tmp_path / "out")
    before = contents(tmp_path / "out")

    with pytest.raises(ConflictError, match=r"another filter \(all runs, not 'status = error'\)"):
        store.export_parquet(tmp_path / "out", "status = error")
    with Store.open(tmp_path / "other") as other:
        with pytest.raises(ConflictError, match=r"another store \('.*', not one without runs\)"):
            other.export_parquet(tmp_path / "out")
        record(other)
        with pytest.raises(ConflictError, match="another store"):
            other.export_parquet(tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_dataset_is_refused_by_a_store_that_received_its_runs(store, tmp_path):
    run = record(store)
    store.export_parquet(tmp_path / "out")
    with Store.open(tmp_path / "team") as team:
        record(team)
        store.push(team.path)

        with pytest.raises(ConflictError, match="another store"):
            team.export_parquet(tmp_path / "out")

    store.export_parquet(tmp_path / "out")
    assert [row["uid"] for row in rows(tmp_path / "out", "runs")] == [run.uid]


def test_a_dataset_of_a_store_without_runs_is_continued(store, tmp_path):
    store.export_parquet(tmp_path / "out")
    run = record(store)

    store.export_parquet(tmp_path / "out")

    assert [row["uid"] for row in rows(tmp_path / "out", "runs")] == [run.uid]


def test_a_dataset_is_continued_after_the_first_run_was_restored(store, tmp_path):
    runs = record(store), record(store)
    store.push(tmp_path / "backup")
    store.export_parquet(tmp_path / "out")
    store.delete(runs[0].uid)
    store.collect_garbage(older_than=0)
    store.pull(tmp_path / "backup", restore=True)

    store.export_parquet(tmp_path / "out")

    assert {row["uid"] for row in rows(tmp_path / "out", "runs")} == {run.uid for run in runs}


def test_an_edit_after_an_older_copy_was_put_back_is_exported(store, tmp_path):
    record(store)
    store.copy(tmp_path / "copy")
    store.edit("mnist#1", notes="lost")
    store.export_parquet(tmp_path / "out")

    with Store.open(tmp_path / "copy") as copy:
        copy.edit("mnist#1", notes="new")
        copy.export_parquet(tmp_path / "out")

    assert [row["notes"] for row in rows(tmp_path / "out", "runs")] == ["new"]


def test_points_logged_anew_at_the_same_times_are_exported(store, tmp_path):
    """Their number and the time of the last one are those of the points that were removed."""
    with store.start("mnist", capture=False) as run:
        run.log_points("loss", [1.0, 2.0], times=[1_700_000_000.0, 1_700_000_001.0])
    store.export_parquet(tmp_path / "out")
    with store.resume(run.reference) as run:
        run.rewind(1)
        run.log_points("loss", [3.0], steps=[1], times=[1_700_000_001.0])

    store.export_parquet(tmp_path / "out")

    assert [row["value"] for row in rows(tmp_path / "out", "metrics")] == [1.0, 3.0]


def test_an_unknown_experiment_is_refused_before_anything_is_written(store, tmp_path):
    record(store)

    with pytest.raises(NotFoundError, match="minst"):
        store.export_parquet(tmp_path / "out", experiment="minst")
    assert not (tmp_path / "out").exists()


def test_another_export_to_the_folder_is_named(store, tmp_path):
    record(store)
    store.export_parquet(tmp_path / "out")

    with (
        locked(tmp_path / "out" / "_runstore.lock", is_shared=False, patience_s=0),
        pytest.raises(StoreLockedError, match=r"^Another program kept .*later\.$"),
    ):
        store.export_parquet(tmp_path / "out")


def test_an_error_of_the_store_is_not_one_of_the_folder(store, tmp_path, monkeypatch):
    record(store)

    def away(*_):
        raise StoreUnavailableError("The server cannot be reached.")

    monkeypatch.setattr(dataset, "_write", away)
    with pytest.raises(StoreUnavailableError, match=r"^The server cannot be reached\.$"):
        store.export_parquet(tmp_path / "out")


def test_an_interrupted_export_continues(store, tmp_path, monkeypatch):
    for name in ("a", "b"):
        record(store, name)
    whole = dataset._write

    def fail_at_the_third(*arguments):
        if (tmp_path / "out" / "metrics" / "a").exists():
            raise OSError(28, "No space left on device")
        whole(*arguments)

    monkeypatch.setattr(dataset, "_write", fail_at_the_third)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        store.export_parquet(tmp_path / "out")
    monkeypatch.undo()
    store.rename_experiment("a", "c")  # what was written before is of no part now

    store.export_parquet(tmp_path / "out")
    store.export_parquet(tmp_path / "new")

    assert contents(tmp_path / "out") == contents(tmp_path / "new")
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_lost_file_is_written_again(store, tmp_path):
    record(store)
    store.export_parquet(tmp_path / "out")
    (lost,) = (tmp_path / "out" / "metrics").rglob("*.parquet")
    lost.unlink()

    assert store.export_parquet(tmp_path / "out").written == 1
    assert lost.exists()


def test_a_damaged_manifest_is_left_alone(store, tmp_path):
    record(store)
    store.export_parquet(tmp_path / "out")
    (tmp_path / "out" / "_runstore.json").write_text("[1")

    with pytest.raises(ConflictError, match="cannot be read"):
        store.export_parquet(tmp_path / "out")
    assert (tmp_path / "out" / "_runstore.json").read_text() == "[1"


def test_a_damaged_metric_is_left_out_and_named(store, tmp_path):
    """Also by the next export, until it can be read again."""
    record(store)
    run = store.start("mnist", params={"lr": 0.1}, capture=False)
    run.log({"good": 1.0, "torn": 2.0})
    run.finish()
    put = (
        "UPDATE metric_chunks SET chunk = ?"
        " WHERE key_id = (SELECT id FROM metric_keys WHERE key = 'torn')"
    )
    with store.backend.database.driver.write() as connection:
        ((chunk,),) = connection.execute(
            "SELECT chunk FROM metric_chunks c JOIN metric_keys k ON k.id = c.key_id"
            " WHERE k.key = 'torn'"
        ).fetchall()
        connection.execute(put, (bytes(chunk)[:5],))

    exports = [store.export_parquet(tmp_path / "out") for _ in range(2)]

    for done in exports:
        ((reference, metric, reason),) = done.left_out
        assert (reference, metric) == (run.reference, "torn")
        assert "truncated" in reason or "cannot be read" in reason
    written = [(row["run_number"], row["key"]) for row in rows(tmp_path / "out", "metrics")]
    assert written == [(1, "loss")] * 3 + [(2, "good")]
    assert {row["key"] for row in rows(tmp_path / "out", "series")} == {"loss", "good", "torn"}

    with store.backend.database.driver.write() as connection:
        connection.execute(put, (chunk,))

    assert store.export_parquet(tmp_path / "out").left_out == ()
    assert len(rows(tmp_path / "out", "metrics")) == 5


def test_a_folder_may_have_any_name(store, tmp_path):
    record(store)
    folder = tmp_path / "file:a b\udcff"  # a byte that is no UTF-8

    assert store.export_parquet(folder).runs == 1

    assert list((folder / "runs").iterdir())
