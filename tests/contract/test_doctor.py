"""Looking a store over: each kind of damage is found and named."""

from datetime import timedelta

import pytest

from runstore import Store
from runstore.errors import StoreCorruptError
from runstore.inflight.deferred import Deferred
from runstore.recording.output.keeper import OutputKeeper
from runstore.storage.files.objects import NotSentError
from searching import change_contents, take_away


@pytest.fixture
def run(store):
    with store.start("fit", params={"lr": 0.1}, capture=False, full_store=True) as started:
        started.log(loss=0.5)
        started.save("model.bin", b"weights")
        started.tags["a"] = "b"
        store.folder_of(started.reference).mkdir(parents=True)
    return store.get(started.uid)


def found(store, **options):
    return [(one.kind, one.what.partition(":")[0]) for one in store.check(**options)]


def digest_of(run):
    return run.artifacts["model.bin"].digest


def change(store, statement, *values):
    with store.backend.database.driver.write() as connection:
        connection.execute(statement, values)


def test_a_healthy_store_has_nothing_to_tell(store, run):
    assert store.check(deep=True) == ()


def test_missing_contents_are_named(store, run):
    take_away(store, digest_of(run))

    (one,) = store.check()

    assert (one.kind, one.is_trouble) == ("dangling", True)
    assert run.reference in one.names[0]
    assert "model.bin" in one.names[0]


def test_contents_of_another_size_are_damage(store, run):
    change_contents(store, digest_of(run), lambda _: b"longer than it was")

    assert found(store) == [("damaged", "contents were changed or cannot be read")]


def test_other_contents_of_the_same_size_are_found_by_a_deep_look(store, run):
    change_contents(store, digest_of(run), lambda _: b"weighty")

    assert found(store) == []
    assert found(store, deep=True) == [("damaged", "contents were changed or cannot be read")]


@pytest.mark.parametrize("digest", ["", "../../secret", "b" * 63, "ß"])
def test_a_reference_that_is_no_digest_is_damage_and_in_nobodys_way(store, run, digest):
    with store.start("fit", capture=False) as printing:
        keeper = OutputKeeper(store.backend.spool, printing.uid)
        keeper.feed("stdout", b"epoch 1\n")
        keeper.close()
        printing.execution.has_output = True
    change(store, "UPDATE artifacts SET digest = ?", digest)
    change(store, "UPDATE outputs SET digest = ?", digest)

    assert ("damaged", "contents were changed or cannot be read") in found(store)
    with pytest.raises(StoreCorruptError, match="not a SHA-256"):
        run.read_bytes("model.bin")
    assert len(store.grep("epoch")) == 0
    store.delete(store.list())
    store.collect_garbage(older_than=timedelta(0))
    assert store.check() == ()


def test_what_only_takes_room_is_no_trouble(store, run):
    store.backend.objects.keep_bytes(b"nobody needs this")
    (store.path / "objects" / "incoming" / "1-x").write_bytes(b"half")

    findings = store.check()

    assert {one.kind for one in findings} == {"unused"}
    assert not any(one.is_trouble for one in findings)
    store.collect_garbage()
    assert store.check() == ()


@pytest.mark.parametrize(
    ("statement", "kind", "what"),
    [
        ("DELETE FROM documents", None, ""),
        ("DELETE FROM param_values", "dangling", "the values of a parameter set are missing"),
        (
            "INSERT INTO params (run_id, set_index, key) VALUES (1, 7, 'lr')",
            "dangling",
            "parameters belong to no parameter set",
        ),
        (
            "DELETE FROM metric_chunks",
            "dangling",
            "the summary of a metric does not match its points",
        ),
        ("DELETE FROM metric_summaries", "dangling", "points belong to no metric"),
        (
            "UPDATE runs SET deleted_at = 1, purged_at = 1",
            "dangling",
            "rows of tags are left of a permanently deleted run",
        ),
    ],
)
def test_rows_that_refer_to_nothing_are_found(store, run, statement, kind, what):
    change(store, statement)

    assert kind is None or (kind, what) in found(store)


# A server enforces references between rows, and looks at the runs beside a counter.
@pytest.mark.folder_only
@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (
            "UPDATE experiments SET last_run_number = 0",
            "a run number is higher than the counter of its experiment",
        ),
        ("UPDATE tags SET run_id = 99", "rows of tags belong to no run"),
        ("DELETE FROM experiments", "runs belong to no experiment"),
    ],
)
def test_rows_of_no_run_are_found(store, run, statement, what):
    change(store, statement)

    assert ("dangling", what) in found(store)


def test_an_input_whose_source_is_unknown_is_found(store, run):
    with store.start("use", capture=False):
        run.read_bytes("model.bin")
    change(store, "UPDATE inputs SET source_uid = 'nobody'")

    assert found(store) == [("dangling", "the run that saved an input is unknown")]


def test_a_source_that_is_gone_for_good_still_has_its_name(store, run):
    with store.start("use", capture=False):
        run.read_bytes("model.bin")

    store.delete(run)
    store.collect_garbage(older_than=timedelta(0))

    assert store.check() == ()


def test_run_folders_are_compared_with_runs(store, run):
    store.folder_of(run.reference).rmdir()
    (store.path / "runs" / "mine").mkdir()
    (store.path / "objects" / "mine").touch()

    assert found(store) == [
        ("orphaned", "foreign files among the contents"),
        ("dangling", "the folder of plain files is missing"),
        ("orphaned", "foreign files in runs/"),
    ]


def test_files_in_flight_of_no_run_are_found(store, run):
    place = store.backend.spool.place
    place.mkdir(exist_ok=True)
    (place / f"{'0' * 36}.1.points").write_bytes(b"x")

    assert found(store) == [("orphaned", "in flight, but not of a run of this store")]


@pytest.mark.folder_only  # a server checks its own files
@pytest.mark.parametrize("table", ["events", "metric_summaries", "documents"])
def test_a_damaged_database_is_told(store, run, table):
    with store.backend.database.driver.read() as connection:
        page = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    store.close()
    with (store.path / "runstore.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    with Store.open(store.path) as opened:
        assert "damaged" in {one.kind for one in opened.check()}


@pytest.mark.folder_only  # a server checks types itself
def test_values_of_another_type_than_their_columns_are_named(store, run):
    change(store, "UPDATE events SET at = 'late', author = x'00'")
    change(store, "UPDATE experiments SET last_run_number = 'many'")

    (one,) = store.check()

    assert (one.kind, one.what) == ("damaged", "a value has another type than its column")
    assert set(one.names) == {
        f"{run.reference}: events.at",
        f"{run.reference}: events.author",
        "the store: experiments.last_run_number",
    }


def test_paths_that_lead_out_of_a_run_are_found(store, run):
    """Another program may write any path; ours do not follow it."""
    change(store, "UPDATE artifacts SET path = '../../model.bin'")

    (one,) = store.check()

    assert (one.kind, one.what) == ("damaged", "invalid paths of artifacts")
    assert one.names == (f"{run.reference}: ../../model.bin leads out of the run's folder",)


def test_data_that_waits_for_the_store_is_listed(store, run):
    saved = run.artifacts["model.bin"]
    with pytest.warns(match="until the store can be written again"):
        Deferred(store.backend).artifact(saved, None, None, NotSentError("No bucket.", kept=""))

    (one,) = store.check()

    assert (one.kind, one.is_trouble) == ("waiting", False)
    assert one.names == (f"{run.reference}: artifact model.bin",)
    assert "runstore push" in one.hint
