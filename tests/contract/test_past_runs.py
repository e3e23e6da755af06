"""Recording runs after the fact: all of a run or nothing, and true wherever runs are read."""

import json
import os
import random
import subprocess
import time
from datetime import datetime, timedelta, timezone, tzinfo

import pytest

import runstore
from command_server import Program
from commands import git
from runstore import ManagerStore, Status, Store, StoreWarning
from runstore.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    RunActiveError,
    RunstoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UsageError,
)
from runstore.model.status import FINAL
from threads import at_once

UTC = timezone.utc
MARCH = datetime(2025, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def is_empty(store):
    return not store.list().items and not store.experiments()


# What is kept


def test_everything_that_is_known_is_kept(store, tmp_path):
    (tmp_path / "curves.csv").write_text("step,loss\n")
    parent = store.record("sweep", started_at=MARCH)

    run = store.record(
        "mnist",
        started_at=MARCH,
        ended_at=MARCH + HOUR,
        status="error",
        params={"lr": 0.1, "layers": [64, 10]},
        metrics={"loss": [0.5, 0.4, 0.3], "acc": 0.9},
        tags={"phase": "pilot", "seed": 3, "draft": None},
        notes="from the old log",
        artifacts={"curves.csv": tmp_path / "curves.csv", "config.json": {"lr": 0.1}},
        error="out of memory",
        traceback="Traceback …",
        exit_code=137,
        parent=parent,
        cli="train.py --api-key=sk-abcdefghijklmnopqrstuv",
        commit="3F2A8C1",
        hostname="gpu-3",
        author="ada",
    )

    assert store.get(run.uid) == run
    assert (run.status, run.exit_code, run.error) == (Status.ERROR, 137, "out of memory")
    assert (run.started_at, run.ended_at, run.duration) == (MARCH, MARCH + HOUR, HOUR)
    assert (run.params, run.notes) == ({"lr": 0.1, "layers": [64, 10]}, "from the old log")
    assert run.tags == {"phase": "pilot", "seed": "3"}
    assert list(run.metric("loss")) == [
        (step, (MARCH + HOUR).timestamp(), value) for step, value in enumerate((0.5, 0.4, 0.3))
    ]
    assert run.metrics["acc"].last == 0.9
    assert json.loads(run.read_bytes("config.json")) == {"lr": 0.1}
    assert run.read_bytes("curves.csv") == b"step,loss\n"
    assert [child.uid for child in store.children(parent)] == [run.uid]
    assert (run.commit, run.hostname, run.traceback) == ("3f2a8c1", "gpu-3", "Traceback …")
    assert run.cli.startswith("train.py")
    assert "sk-abc" not in run.cli
    assert [(one.field, one.author) for one in store.events(run)] == [("recorded", "ada")]
    assert store.check() == ()


def test_what_is_not_known_is_not_made_up(store):
    run = store.record("mnist", started_at=MARCH)

    assert (run.status, run.ended_at, run.duration) == (Status.COMPLETE, None, None)
    assert (run.exit_code, run.cli, run.commit, run.hostname) == (None, None, None, None)
    assert (run.params, dict(run.metrics), dict(run.artifacts)) == ({}, {}, {})


def test_it_gets_the_next_number_and_the_local_time_of_its_start(store):
    store.start("mnist", capture=False).finish()

    run = store.record("mnist", started_at=MARCH)

    local = MARCH.astimezone().strftime("%Y-%m-%d-T%H%M%S")
    assert (run.run_number, run.timestamp) == (2, local)
    assert run.reference == f"mnist_2_{local}"
    assert store.start("mnist", capture=False).run_number == 3


def test_nothing_of_this_process_is_recorded(store):
    with runstore.start_run("around", store=store, capture=False) as around:
        run = store.record("mnist", started_at=MARCH, hostname="gpu-3")

        assert runstore.current_run() is around
        assert run.parent_uid is None
        for name in (around, around.record, around.reference):
            child = store.record("mnist", started_at=MARCH, parent=name)
            assert child.parent_uid == around.uid
    assert (run.facts.values, store.documents(run)) == ({}, ())
    assert (run.process.pid, run.process.boot_id) == (None, None)
    assert store.backend.spool.point_files(run.uid) == []


@pytest.mark.parametrize("status", sorted(FINAL))
def test_every_end_can_be_recorded(store, status):
    store.record("mnist", started_at=MARCH, status=status)
    store.record("mnist", started_at=MARCH, ended_at=MARCH, status=status.value)

    found = store.find(f"status = {status} and exit_code is none")
    assert [run.status for run in found] == [status, status]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"error": "no memory"}, "error"),
        ({"error": KeyboardInterrupt()}, "interrupted"),
        ({"exit_code": 2}, "error"),
        ({"exit_code": 0}, "complete"),
    ],
)
def test_a_run_without_a_status_ended_as_the_rest_says(store, options, status):
    assert store.record("mnist", started_at=MARCH, **options).status.value == status

    begun = store.start("mnist", capture=False)
    assert store.finish(begun, **options).status.value == status


@pytest.mark.parametrize("status", [*sorted(frozenset(Status) - FINAL), "done", "", 3])
def test_what_is_no_end_is_refused(store, status):
    with pytest.raises(UsageError, match="cannot end as"):
        store.record("mnist", started_at=MARCH, status=status)

    assert is_empty(store)


def test_an_exception_is_recorded_with_its_traceback(store):
    try:
        store.get("mnist#1")
    except NotFoundError as error:
        run = store.record("mnist", started_at=MARCH, status="error", error=error)
        other = store.record("mnist", started_at=MARCH, status="error")

    assert run.error.startswith("runstore.errors.RunNotFoundError: There is no run")
    assert run.traceback.startswith("Traceback")
    assert (other.error, other.traceback) == (None, None)


# Moments


class AutumnZone(tzinfo):
    """A night in which the clocks go back by an hour."""

    def utcoffset(self, at):
        return timedelta(hours=1 if at.fold else 2)


class NoZone(tzinfo):
    def utcoffset(self, _at):
        return None


class BrokenZone(tzinfo):
    def utcoffset(self, _at):
        raise RuntimeError("no such zone")


@pytest.mark.parametrize(
    ("given", "at"),
    [
        (MARCH.astimezone(timezone(timedelta(hours=9))), MARCH),
        (datetime(2025, 10, 26, 2, 30, tzinfo=AutumnZone()),
         datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
        (datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=AutumnZone()),
         datetime(2025, 10, 26, 1, 30, tzinfo=UTC)),
        (MARCH.timestamp(), MARCH),
        (int(MARCH.timestamp()), MARCH),
        ("2025-03-01T10:00:00Z", MARCH),
        ("2025-03-01 19:00+09:00", MARCH),
        ("20250301T050000.000-0500", MARCH),
        (MARCH.replace(microsecond=1), MARCH.replace(microsecond=1)),
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_moments_of_every_zone(store, given, at):
    run = store.record("mnist", started_at=given, ended_at=given)

    assert (run.started_at, run.ended_at, run.duration) == (at, at, timedelta(0))


def test_moments_of_numpy_and_pandas(store):
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")

    for given in (
        numpy.datetime64("2025-03-01T10:00:00"),
        numpy.float64(MARCH.timestamp()),
        pandas.Timestamp("2025-03-01T11:00:00+01:00"),
    ):
        assert store.record("mnist", started_at=given).started_at == MARCH
    for given in (pandas.Timestamp("2025-03-01"), pandas.NaT, numpy.datetime64("NaT", "s")):
        with pytest.raises(InvalidValueError, match="started_at"):
            store.record("other", started_at=given)
    assert not store.has_experiment("other")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (datetime(2025, 3, 1), "has no time zone: 2025-03-01"),  # noqa: DTZ001 - what is refused
        (datetime(2025, 3, 1, tzinfo=NoZone()), "has no time zone"),
        (datetime(2025, 3, 1, tzinfo=BrokenZone()), "is not a valid time"),
        (MARCH.date(), "is not a valid time"),
        ("2025-03-01", "has no time zone: '2025-03-01'"),
        ("2025-03-01T10:30:00", "has no time zone"),
        ("3 days ago", "has no time zone"),
        ("2025-13-01T10:00:00Z", "is not a valid time"),
        ("2999-01-01T00:00:00Z", "is in the future"),
        ("", "is not a valid time"),
        (12.5, "is not a valid time"),  # what it took, rather
        (True, "is not a valid time"),
        (float("nan"), "is not a valid time"),
        (MARCH.timestamp() * 1000, "is not a valid time"),
        (datetime(1969, 12, 31, tzinfo=UTC), "is before 1970"),
        (datetime.min.replace(tzinfo=UTC), "is before 1970"),
        (datetime.max.replace(tzinfo=UTC), "is in the future"),
        (datetime.now(UTC) + timedelta(days=2), "is in the future"),
    ],
)
@pytest.mark.parametrize("name", ["started_at", "ended_at"])
def test_a_moment_that_is_none_is_refused_by_name(store, name, given, said):
    with pytest.raises(InvalidValueError, match=f"^{name} {said}.*Nothing was recorded"):
        store.record("mnist", **{"started_at": MARCH, name: given})

    assert is_empty(store)


def test_an_end_before_the_start_is_refused(store):
    with pytest.raises(InvalidValueError, match="ended before it started"):
        store.record("mnist", started_at=MARCH, ended_at=MARCH - timedelta(microseconds=1))

    assert is_empty(store)


# Metrics


def test_points_have_their_steps_and_times(store):
    minute = timedelta(minutes=1)
    run = store.record(
        "mnist",
        started_at=MARCH,
        metrics={
            "loss": {
                "values": [3, 2.5],
                "steps": (10, 20),
                "times": [MARCH, (MARCH + minute).timestamp()],
            },
            "flag": {"values": iter([True])},
            "empty": [],
            "odd": [float("nan"), float("inf")],
        },
    )

    at = MARCH.timestamp()
    assert list(run.metric("loss")) == [(10, at, 3.0), (20, at + 60, 2.5)]
    assert list(run.metric("flag")) == [(0, at, 1.0)]
    assert sorted(run.metrics) == ["flag", "loss", "odd"]
    assert run.metrics["odd"].max == float("inf")
    assert [one.uid for one in store.find("metrics.loss = 2.5 and metrics.odd.count = 2")] == [
        run.uid
    ]


def test_columns_of_numpy_and_pandas_and_series_of_other_runs(store):
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    first = store.record(
        "mnist",
        started_at=MARCH,
        metrics={
            "column": numpy.arange(9000.0),
            "rows": pandas.Series([1, 2]),
            "scalar": numpy.float32(0.5),
            "array": numpy.array(2),
        },
    )

    copy = store.record(
        "copy", started_at=MARCH, metrics={key: first.metric(key) for key in first.metrics}
    )

    assert {key: (one.count, one.last) for key, one in copy.metrics.items()} == {
        "array": (1, 2.0), "column": (9000, 8999.0), "rows": (2, 2.0), "scalar": (1, 0.5),
    }  # fmt: skip
    assert list(copy.metric("column").values) == list(range(9000))


def test_metrics_of_parameter_sets(store):
    sets = [{"name": "baseline", "lr": 1}, {"name": "wide", "lr": 2}]

    run = store.record(
        "mnist", started_at=MARCH, params=sets,
        metrics={("baseline", "loss"): [1, 2], ("wide", "loss"): 3, "loss": 9},
    )  # fmt: skip

    assert {key: one.last for key, one in run.metrics.items()} == {
        "loss": 9.0, "baseline/loss": 2.0, "wide/loss": 3.0,
    }  # fmt: skip
    assert list(run.metric("loss", "baseline").values) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"loss": None}, "got None, which is not a number"),
        ({"loss": "0.5"}, r"got '0.5', which is not a number.*with float\('0.5'\)\."),
        ({"loss": [0.5, ""]}, "got '', which is not a number"),
        ({"loss": [[0, 0.5]]}, "which is not a number"),
        ({"loss": {"train": 0.5}}, "got a mapping with 'train'.* write 'loss/train'"),
        ({"loss": {"values": [1], "step": [1]}}, "got a mapping with"),
        ({"loss": {"values": 0.5}}, "the values of 'loss'"),
        ({"loss": {"values": [1], "steps": [1, 2]}}, "1 value, 2 steps and 1 time"),
        ({"loss": {"values": [1], "times": []}}, "1 value, 1 step and 0 times"),
        ({"loss": {"values": [1], "steps": [0.5]}}, "0.5 is not a step"),
        ({"loss": {"values": [1], "steps": [2**63]}}, "is not a step"),
        ({"loss": {"values": [1], "times": ["now"]}}, "'now' is not a time"),
        ({"loss": {"values": [1, 2], "times": [0, 1]}}, "are in 1970"),
        ({"": 1}, "key of a metric"),
        ({3: 1}, "key of a metric"),
        ({("wide", "loss"): 1}, "no parameter set for"),
        ({("wide", "loss", "last"): 1}, "no parameter set for"),
        ([("loss", 1)], "Expected metrics as a mapping"),
    ],
)
def test_metrics_that_are_none_are_refused_and_nothing_is_recorded(store, metrics, said):
    with pytest.raises(UsageError, match=said):
        store.record("mnist", started_at=MARCH, metrics=metrics)

    assert is_empty(store)


# What else is refused


@pytest.mark.parametrize(
    "options",
    [
        {"experiment_name": ""},
        {"experiment_name": 3},
        {"params": 3},
        {"params": {"net": object()}},
        {"tags": ["keep"]},
        {"tags": {"a=b": 1}},
        {"tags": {"size": [1]}},
        {"notes": 3},
        {"cli": ["train.py"]},
        {"commit": "main"},
        {"commit": "3f"},
        {"hostname": 3},
        {"exit_code": "1"},
        {"exit_code": 2**40},
        {"parent": "mnist#7"},
        {"author": 3},
        {"artifacts": ["model.pt"]},
        {"artifacts": {"model.pt": "no such file"}},
        {"artifacts": {"../model.pt": b"1"}},
        {"artifacts": {"a": b"1", "a/b": b"2"}},
        {"artifacts": {"net": object()}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_recorded(store, options):
    with pytest.raises(RunstoreError) as refused:
        store.record(**{"experiment_name": "mnist", "started_at": MARCH, **options})

    assert isinstance(refused.value, (UsageError, NotFoundError, ConflictError))
    assert is_empty(store)
    assert store.record("mnist", started_at=MARCH).run_number == 1


def test_a_folder_is_kept_as_artifacts(store, tmp_path):
    folder = tmp_path / "out"
    (folder / "plots").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"1")
    (folder / "plots" / "loss.txt").write_text("2")
    (folder / "gone").symlink_to(tmp_path / "nowhere")

    with pytest.warns(StoreWarning, match="gone.*2 files were saved"):
        run = store.record("mnist", started_at=MARCH, artifacts={"out": folder})

    assert sorted(run.artifacts) == ["out/model.bin", "out/plots/loss.txt"]
    assert store.check() == ()


# Where runs are read


def test_runs_are_listed_by_their_start(store):
    now = store.start("mnist", capture=False)
    now.finish()
    for days in (3, 1, 2):
        store.record("mnist", started_at=MARCH + timedelta(days=days), notes=f"day {days}")

    assert [run.notes for run in store.list()] == [None, "day 3", "day 2", "day 1"]
    assert store.get("latest").uid == now.uid
    assert [run.notes for run in store.find("started < '2026-01-01' order by started")] == [
        "day 1", "day 2", "day 3",
    ]  # fmt: skip
    assert store.experiments()[0].last_started_at == now.started_at


def test_filters_groups_and_search_know_it(store):
    run = store.record(
        "mnist", started_at=MARCH, ended_at=MARCH + HOUR, params={"lr": 0.1}, tags={"a": 1},
        notes="warmup failed", commit="3f2a8c1", hostname="gpu-3",
    )  # fmt: skip
    open_end = store.record("mnist", started_at=MARCH, params={"lr": 0.2})

    for where in (
        "duration = 1h", "ended = '2025-03-01 11:00Z'", "params.lr = 0.1 and tags.a = 1",
        "commit = '3f2a8c1'", "git.commit = '3f2a8c1'", "hostname = 'gpu-3'",
        "notes contains warmup",
    ):  # fmt: skip
        assert [one.uid for one in store.find(where)] == [run.uid], where
    assert [one.uid for one in store.find("ended is missing")] == [open_end.uid]
    assert {one.value for one in store.group("params.lr")} == {0.1, 0.2}
    assert [one.run.uid for one in store.grep("warmup")] == [run.uid]


def test_what_is_done_with_runs_can_be_done_with_it(store):
    store.tag(store.record("mnist", started_at=MARCH), {"first": "edit"})
    run = store.record("mnist", started_at=MARCH, tags={"phase": "pilot"})

    assert [one.event.field for one in store.undo()] == ["tags.first"]
    assert store.get(run).tags == {"phase": "pilot"}
    store.delete(run)
    store.undo()
    assert store.move(run, "other")[0].reference.startswith("other_1_2025")
    store.undo()
    assert store.get(run).reference == run.reference
    again = store.resume(run)
    again.log(loss=0.1)
    again.finish()
    assert store.get(run).started_at == MARCH
    assert store.get(run).metrics["loss"].last == 0.1
    assert store.check() == ()


def test_a_lost_run_may_still_report_its_end(store):
    run = store.record("mnist", started_at=MARCH, status="lost")

    assert store.finish(run, "error").status is Status.ERROR


def test_its_code_is_not_known_to_be_the_same(store, tmp_path, monkeypatch):
    """A recorded commit says nothing of uncommitted changes, and nothing of the program."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "--allow-empty", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout

    run = store.record("mnist", started_at=MARCH, params={"lr": 0.1}, commit=head)

    earlier = store.previous_runs("mnist", params={"lr": 0.1})
    assert earlier.same is None
    assert earlier.nearest.run.uid == run.uid


@pytest.mark.folder_only
def test_store_json_shows_it(store):
    store.record("mnist", started_at=MARCH)
    assert not (store.path / "store.json").exists()
    ManagerStore(store.path)

    run = store.record("mnist", started_at=MARCH, status="pruned", notes="old")

    shown = json.loads((store.path / "store.json").read_text())
    assert [one["reference"] for one in shown][1:] == [run.reference]
    assert (shown[1]["status"], shown[1]["notes"]) == ("incomplete", "old")
    assert [one["reference"] for one in ManagerStore(store.path).runs] == [
        one["reference"] for one in shown
    ]
    assert store.get(run).status is Status.PRUNED


# Adding to runs that are over


def test_metrics_and_files_are_added_to_a_run_that_is_over(store):
    run = store.start("mnist", capture=False)
    run.log(loss=0.5)
    run.log(loss=0.4)
    run.save("a.txt", b"old")
    run.finish("error", error="no")
    before = store.get(run.uid)

    after = store.add(
        run,
        metrics={"loss": [0.3, 0.2], "test/acc": 0.9},
        artifacts={"a.txt": b"new", "plots/b.txt": b"b"},
        author="ada",
    )

    assert (after.status, after.ended_at, after.error) == (before.status, before.ended_at, "no")
    assert list(after.metric("loss").steps) == [0, 1, 2, 3]
    assert list(after.metric("loss").values) == [0.5, 0.4, 0.3, 0.2]
    assert after.metric("test/acc").times[0] >= before.ended_at.timestamp()
    assert (after.read_bytes("a.txt"), after.read_bytes("plots/b.txt")) == (b"new", b"b")
    assert [(one.field, one.new, one.author) for one in store.events(run)] == [
        ("metrics", "loss, test/acc", "ada"), ("artifacts", "a.txt, plots/b.txt", "ada"),
    ]  # fmt: skip
    assert [one.uid for one in store.find("metrics.test/acc = 0.9")] == [run.uid]
    with pytest.raises(NotFoundError):
        store.undo(run)


def test_a_metric_of_a_past_run_goes_on(store):
    run = store.record("mnist", started_at=MARCH, metrics={"loss": [3] * 5000})

    store.add(run, metrics={"loss": {"values": [2], "steps": [10**6]}})
    after = store.add(run.reference, metrics={"loss": 1})

    assert list(after.metric("loss").steps)[-2:] == [10**6, 10**6 + 1]
    assert (after.metrics["loss"].count, after.metrics["loss"].min) == (5002, 1.0)


def test_what_a_killed_program_logged_comes_before(location):
    code = (
        "import os, sys; from runstore import Store;"
        "run = Store.open(sys.argv[1]).start('mnist', capture=False);"
        "run.log(loss=3.0); run.log(loss=2.0); os._exit(1)"
    )
    Program(code, location).wait()

    with Store.open(location) as store:
        after = store.add("mnist#1", metrics={"loss": 1.0})

        assert after.status is Status.LOST
        assert list(after.metric("loss").values) == [3.0, 2.0, 1.0]
        assert list(after.metric("loss").steps) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"metrics": {"loss": "low"}}, InvalidValueError),
        ({"metrics": {"loss": 1}, "artifacts": {"gone.txt": "gone.txt"}}, NotFoundError),
        ({"metrics": {"loss": 1}, "artifacts": {"a": b"1", "a/b": b"2"}}, ConflictError),
        ({"metrics": {("wide", "loss"): 1}}, UsageError),
        ({"metrics": {"last": 1}}, InvalidValueError),  # after the last step there is none
    ],
)
def test_what_cannot_be_added_leaves_the_run_as_it_was(store, options, kind):
    last = {"values": [1], "steps": [2**63 - 1]}
    run = store.record("mnist", started_at=MARCH, metrics={"last": last})

    with pytest.raises(kind):
        store.add(run, **options)

    after = store.get(run)
    assert (after, dict(after.metrics)) == (run, dict(run.metrics))
    assert not after.artifacts
    assert [one.field for one in store.events(run)] == ["recorded"]


def test_nothing_is_added_to_a_run_that_goes_on(store):
    with store.start("mnist", capture=False) as run, pytest.raises(RunActiveError):
        store.add(run, metrics={"loss": 1})

    assert not run.record.metrics
    with pytest.raises(NotFoundError):
        store.add("mnist#9", metrics={"loss": 1})


# Obstacles


def test_a_store_that_cannot_be_written_says_so(store):
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("The disk is read-only."))

    with pytest.raises(StoreReadOnlyError, match="read-only"):
        store.record("mnist", started_at=MARCH)


@pytest.mark.folder_only
def test_a_full_disk_is_an_error_and_leaves_nothing(store):
    kept = store.record("mnist", started_at=MARCH)
    with store.backend.database.driver.read() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(StoreUnavailableError, match="There is no space left"):
        store.record("mnist", started_at=MARCH, metrics={"loss": range(20_000)}, tags={"a": 1})

    assert [run.uid for run in store.list()] == [kept.uid]
    assert store.record("mnist", started_at=MARCH).run_number == 2
    assert store.check(deep=True) == ()


@pytest.mark.folder_only
def test_files_that_no_disk_takes_are_an_error_and_leave_nothing(store):
    (store.path / "objects").write_text("in the way")

    with pytest.raises(StoreUnavailableError, match=r"could not be kept.*Nothing was recorded"):
        store.record("mnist", started_at=MARCH, artifacts={"model.pt": b"weights"})

    assert is_empty(store)


def test_threads_record_at_once(store):
    numbers = []

    def work():
        numbers.extend(
            store.record("mnist", started_at=MARCH, metrics={"loss": [n, n]}).run_number
            for n in range(15)
        )

    at_once([work] * 6)

    assert sorted(numbers) == list(range(1, 91))


WORKER = """
import sys
from datetime import datetime, timezone
from runstore import Store
store = Store.open(sys.argv[1])
at = datetime(2025, 3, 1, tzinfo=timezone.utc)
for n in range(int(sys.argv[2])):
    run = store.record(
        "shared", started_at=at, ended_at=at, params={"n": n}, tags={"n": n},
        metrics={"loss": [n] * 500, "acc": n}, artifacts={"n.txt": str(n).encode()},
    )
    print(run.run_number, flush=True)
"""


def are_whole(runs):
    return all(
        run.tags == {"n": str(run.params["n"])}
        and run.metrics["loss"].count == 500
        and run.metrics["acc"].last == run.params["n"]
        and run.read_bytes("n.txt") == str(run.params["n"]).encode()
        for run in runs
    )


def test_processes_record_at_once(vacant):
    workers = [Program(WORKER, vacant, 8) for _ in range(3)]

    numbers = [int(line) for one in workers for line in one.communicate(timeout=100)[0].split()]

    assert sorted(numbers) == list(range(1, 25))
    with Store.open(vacant) as store:
        assert are_whole(store.list())
        assert store.check() == ()


@pytest.mark.campaign
def test_kill_9_leaves_a_run_whole_or_not_at_all(location, campaign_rounds):
    rng = random.Random(campaign_rounds)
    acknowledged = set()

    for _ in range(campaign_rounds // 2):
        one = Program(WORKER, location, 10**6)
        first = one.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        one.kill()
        lines = (first + one.communicate()[0]).splitlines(keepends=True)
        acknowledged |= {int(line) for line in lines if line.endswith("\n")}

    with Store.open(location) as store:
        runs = store.list(limit=None)
        assert acknowledged <= {run.run_number for run in runs}
        assert are_whole(runs)
        assert {run.status for run in runs} == {Status.COMPLETE}
        assert {one.kind for one in store.check()} <= {"unused", "leftover"}


def test_a_forked_child_records_too(store):
    store.record("mnist", started_at=MARCH)

    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.record("mnist", started_at=MARCH, metrics={"loss": 1})
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert store.get("mnist#2").metrics["loss"].last == 1.0
