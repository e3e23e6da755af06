"""What a run logs: kept from the moment the call returns, once, in order, and read back."""

import math
import os
import random
import shutil
import time
import warnings
from datetime import datetime, timezone
from functools import partial
from itertools import islice

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command_server import Program
from commands import runstore
from runstore import Status, Store, StoreWarning
from runstore.errors import InvalidValueError, NotFoundError, RunFinishedError, UsageError
from runstore.storage.metrics.chunks import Columns, pack, unpack
from runstore.storage.metrics.point_reading import writer_of
from threads import at_once

# Each example has a run of its own.
in_one_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def begun(store, **more):
    return store.start("logged", capture=False, **more)


def values(run, key="loss"):
    return list(run.record.metric(key).values)


class TestLogging:
    def test_values_come_back_in_order_with_counted_steps(self, store):
        with begun(store) as run:
            for value in (0.5, 0.25, 0.125):
                run.log(loss=value)
            run.log({"val/loss": 1, "loss": 0.0})

        series = store.get("logged#1").metric("loss")
        assert list(series.values) == [0.5, 0.25, 0.125, 0.0]
        assert list(series.steps) == [0, 1, 2, 3]
        assert list(store.get("logged#1").metric("val/loss").values) == [1.0]

    def test_steps_may_be_given_repeated_and_out_of_order(self, run):
        for step in (10, 5, 5):
            run.log(loss=float(step), step=step)
        run.log(loss=0.0)
        run.finish()

        assert list(run.record.metric("loss").steps) == [10, 5, 5, 6]

    def test_times_are_now_or_given(self, run):
        before = time.time()
        run.log(loss=1.0)
        run.log(loss=2.0, time=1.6e9 + 0.5)
        run.log(loss=3.0, time=datetime(2026, 1, 1, tzinfo=timezone.utc))
        run.finish()

        times = run.record.metric("loss").times
        assert before - 1 <= times[0] <= time.time() + 1
        assert list(times[1:]) == [1.6e9 + 0.5, 1767225600.0]

    def test_nan_and_infinities_are_kept_as_such(self, run):
        for value in (math.nan, math.inf, -math.inf, 1.0):
            run.log(loss=value)
        run.finish()

        found = values(run)
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, -math.inf, 1.0]
        summary = run.record.metrics["loss"]
        assert math.isnan(summary.first)
        assert (summary.min, summary.max, summary.count) == (-math.inf, math.inf, 4)

    def test_scalars_of_other_libraries_are_numbers(self, run):
        for value in (np.float32(0.5), np.int64(3), np.array(2.0), True, 10**400):
            run.log(loss=value)
        run.finish()

        assert values(run) == [0.5, 3.0, 2.0, 1.0, math.inf]

    def test_metrics_of_a_set_stand_beside_those_of_the_run(self, store):
        run = begun(store, params=[{"name": "a", "lr": 1}, {"name": "b", "lr": 2}])
        run.log(loss=0.0)
        run.of_set("b").log(loss=2.0)
        run.finish()

        record = run.record
        assert set(record.metrics) == {"loss", "b/loss"}
        assert list(record.metric("loss", "b").values) == [2.0]
        assert list(record.metric("b/loss").values) == [2.0]
        with pytest.raises(UsageError, match="It has: a, b"):
            run.of_set("c")

    def test_many_points_at_once(self, run):
        run.log_points("loss", np.arange(10_000) / 2)
        run.log_points("acc", [1, 2], steps=[7, 9], times=[1.6e9, 1.7e9])
        with pytest.warns(StoreWarning, match="Nothing was logged"):
            run.log_points("acc", [1, 2], steps=[7])
        run.finish()

        assert np.array_equal(run.record.metric("loss").values, np.arange(10_000) / 2)
        assert list(run.record.metric("acc").steps) == [7, 9]

    def test_a_live_run_is_read_up_to_its_last_point(self, store, run):
        for place in range(5000):
            run.log(loss=float(place))
            if place == 3000:
                store.backend.metrics.absorb(store.backend.spool.point_files(run.uid)[0])

        assert values(run) == list(map(float, range(5000)))
        assert run.record.metrics["loss"].last == 4999.0
        run.finish()
        assert values(run) == list(map(float, range(5000)))
        assert store.backend.spool.point_files() == []

    def test_a_resumed_run_counts_on(self, store):
        with begun(store) as run:
            run.log(loss=1.0)
            run.log(loss=2.0)
        with store.resume(run.uid) as again:
            again.log(loss=3.0)

        assert list(run.record.metric("loss").steps) == [0, 1, 2]

    def test_summaries_say_what_the_points_say(self, run):
        for value in (3.0, 1.0, 2.0):
            run.log(loss=value, step=int(value))
        run.finish()

        one = run.record.metrics["loss"]
        assert (one.count, one.first, one.last, one.min, one.max) == (3, 3.0, 2.0, 1.0, 3.0)
        assert (one.mean, one.last_step) == (2.0, 2)

    def test_an_unknown_metric_names_the_nearest(self, run):
        run.log(loss=1.0)
        run.finish()

        with pytest.raises(NotFoundError, match="Did you mean 'loss'"):
            run.record.metric("los")


class TestMistakes:
    @pytest.mark.parametrize(
        ("metrics", "said"),
        [
            ({"loss": "text"}, "is not a number"),
            ({"loss": None}, "is not a number"),
            ({"loss": np.zeros(3)}, "is not a number"),
            ({"x" * 10_000_000: 1.0}, "the limit is 1,000"),
            ({"": 1.0}, "as text"),
            ({"a\nb": 1.0}, "unprintable"),
            ({7: 1.0}, "as text"),
        ],
    )
    def test_they_warn_once_and_the_program_goes_on(self, metrics, said, run):
        with pytest.warns(StoreWarning, match=said) as seen:
            for _ in range(3):
                run.log(metrics)
        run.log(loss=1.0)
        run.finish()

        assert len(seen) == 1
        assert values(run) == [1.0]

    @pytest.mark.filterwarnings("error")
    def test_a_name_has_joiners_as_in_persian_and_emoji(self, run):
        run.log({"👩\u200d🔬/loss": 1.0})
        run.finish()

        assert list(run.record.metrics) == ["👩\u200d🔬/loss"]

    def test_what_stands_beside_a_mistake_is_logged(self, run):
        with pytest.warns(StoreWarning):
            run.log({"a": 1.0, "b": "text", "": 2.0, "c": 3.0})
        run.finish()

        assert set(run.record.metrics) == {"a", "c"}

    def test_they_are_errors_for_who_asks_for_it(self, run):
        run.is_strict = True

        with pytest.raises(InvalidValueError):
            run.log(loss="text")
        run.finish()
        with pytest.raises(RunFinishedError):
            run.log(loss=1.0)

    def test_logging_continues_a_complete_run(self, run):
        log = run.log
        log(loss=1.0)
        run.finish()

        with pytest.warns(StoreWarning, match="it continues"):
            log(loss=2.0)
        log(loss=3.0)
        status = run.record.status
        run.finish()

        assert status.value == "running"
        assert values(run) == [1.0, 2.0, 3.0]
        assert list(run.record.metric("loss").steps) == [0, 1, 2]
        assert run.record.status.value == "complete"

    def test_a_sample_of_the_system_does_not_continue_a_run(self, run):
        """It may have been taken before the end, by another thread."""
        run.log(loss=1.0)

        class EndedMeanwhile(dict):
            def items(self):
                run.finish()
                return super().items()

        run.execution.log_sample(EndedMeanwhile({"system/memory_bytes": 1.0}))

        assert run.record.status.value == "complete"
        assert "system/memory_bytes" not in run.record.metrics

    def test_after_an_error_nothing_is_logged(self, run):
        """The end that was written would be untrue."""
        run.log(loss=1.0)
        run.finish("error")

        with pytest.warns(StoreWarning, match="has ended"):
            run.log(loss=2.0)
        assert values(run) == [1.0]
        assert run.record.status.value == "error"


class TestManyWriters:
    def test_threads_lose_nothing(self, run):
        def work(number):
            for place in range(2000):
                run.log({f"series {number}": float(place), "shared": 1.0})

        at_once([partial(work, number) for number in range(4)])
        run.finish()

        assert run.record.metrics["shared"].count == 8000
        for number in range(4):
            assert values(run, f"series {number}") == list(map(float, range(2000)))

    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_forked_children_log_into_files_of_their_own(self, store, run):
        run.log(loss=1.0)
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                for _ in range(100):
                    run.log({"loss": 2.0, f"child {number}": 1.0})
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        run.log(loss=3.0)
        run.finish()

        assert sorted(values(run)) == [1.0] + [2.0] * 300 + [3.0]
        assert run.record.metrics["child 2"].count == 100
        assert store.backend.spool.point_files() == []


WORKER = """
import sys
from runstore import Store
store = Store.open(sys.argv[1])
run = store.start("killed", capture=False)
print(run.run_number, flush=True)
for place in range(10**9):
    run.log(loss=float(place), acc=1.0)
    if place % 97 == 0:
        run.log_points("many", [float(place)] * 50)
    print(place, flush=True)
"""


@pytest.mark.campaign
def test_each_point_whose_call_returned_survives_a_kill(location, campaign_rounds):
    rng = random.Random(campaign_rounds)
    for number in range(1, campaign_rounds + 1):
        worker = Program(WORKER, location)
        assert worker.stdout.readline() == f"{number}\n"
        time.sleep(rng.uniform(0, 0.15 if number % 10 else 1.5))
        worker.kill()
        lines, _ = worker.communicate()
        acknowledged = len([line for line in lines.splitlines(keepends=True) if line[-1] == "\n"])

        with Store.open(location) as store:
            run = store.get(f"killed#{number}")
            assert run.status is Status.LOST
            if acknowledged:
                kept = list(run.metric("loss").values)
                assert kept == list(map(float, range(len(kept))))
                assert len(kept) in {acknowledged, acknowledged + 1}
                assert run.metrics["many"].count >= (acknowledged - 1) // 97 * 50
            # One that was killed before the head of its file is removed after a minute.
            assert [path for path in store.backend.spool.point_files() if writer_of(path)] == []


def test_absorbing_twice_or_after_a_crash_in_the_middle_changes_nothing(store, monkeypatch, run):
    for place in range(3000):
        run.log(loss=float(place))
    (path,) = store.backend.spool.point_files(run.uid)[:1]
    from runstore.storage.metrics import table as metrics

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(metrics, "summed", crash)
        store.backend.metrics.absorb(path)
    data = path.read_bytes()
    for _ in range(3):
        store.backend.metrics.absorb(path)
    path.write_bytes(data)
    store.backend.metrics.absorb(path)
    run.finish()

    assert values(run) == list(map(float, range(3000)))
    assert run.record.metrics["loss"].count == 3000


def test_a_torn_last_record_is_dropped_and_the_file_is_read(store, run):
    for place in range(10):
        run.log(loss=float(place))
    (path,) = store.backend.spool.point_files(run.uid)
    data = bytearray(path.read_bytes())
    from runstore.storage.metrics.point_reading import read_points
    from runstore.storage.metrics.point_records import RECORD

    end = int(RECORD.unpack_from(data)[2]) + 12 * RECORD.size  # the series takes two
    data[end : end + 16] = b"\x01" * 16  # a step and a time, and no mark
    path.with_name("copy").write_bytes(data)
    while_it_lives = read_points(path.with_name("copy"))
    read = read_points(path.with_name("copy"), is_over=True)
    path.with_name("copy").unlink()
    run.finish()

    assert (while_it_lives.torn, while_it_lives.position) == (0, end)
    assert read.torn == 1
    assert sum(len(one.values) for one in read.points.values()) == 10


def test_a_place_that_a_thread_has_not_filled_yet_is_waited_for(store):
    """While the writer lives, what stands behind such a place is read, and taken in later."""
    from runstore.storage.metrics.point_records import MARK, POINT, RECORD

    run = begun(store)
    run.log(loss=0.0)
    place = next(run.execution._points.file.places)
    run.log(loss=2.0)
    (path,) = store.backend.spool.point_files(run.uid)

    store.backend.metrics.absorb(path)
    assert values(run) == [0.0, 2.0]
    run.execution._points.file._store(place, RECORD.pack(5, 0, 1.0, 0, POINT, MARK))
    store.backend.metrics.absorb(path)
    run.finish()

    assert values(run) == [0.0, 1.0, 2.0]


def test_points_that_are_logged_while_their_file_is_read_are_kept(store, monkeypatch, run):
    """A file is read by two calls of the system; between them it becomes full."""
    from runstore.recording.points import log
    from runstore.storage.metrics import table

    monkeypatch.setattr(log, "next_room", lambda _: 130)
    logged = iter(range(145))

    def log_some(count):
        for step in islice(logged, count):
            run.log(loss=float(step))

    def read_in_two_calls(path, *, at_most):
        with path.open("rb", buffering=0) as file:
            first = file.read(4096)
            log_some(40)
            return first + file.read(at_most)

    log_some(100)
    (path,) = store.backend.spool.point_files(run.uid)
    with monkeypatch.context() as patched:
        patched.setattr(table, "read_file", read_in_two_calls)
        store.backend.metrics.absorb(path)
    log_some(5)
    run.finish()

    assert sorted(values(run)) == list(map(float, range(145)))


@pytest.mark.folder_only
@in_one_store
@given(data=st.data())
def test_any_interleaving_reads_back_what_was_acknowledged(store, data):
    """Log, absorb, crash, reopen in any order: the points, once, in order."""
    expected = []
    run = store.start("logged", capture=False)
    for _ in range(data.draw(st.integers(1, 8))):
        action = data.draw(st.sampled_from(["log", "batch", "absorb", "crash", "reopen"]))
        if action == "log":
            for value in data.draw(st.lists(st.floats(allow_nan=False), max_size=5)):
                run.log(loss=value)
                expected.append(value)
        elif action == "batch":
            many = [float(n) for n in range(data.draw(st.integers(1, 3000)))]
            run.log_points("loss", many)
            expected += many
        elif action == "absorb":
            for path in store.backend.spool.point_files():
                store.backend.metrics.absorb(path)
        elif action == "crash" and run.execution._points is not None:
            assert run.execution._points._ticker.stop(60.0)
            run.execution._points.after_fork()  # as a killed process leaves its file
        elif action == "reopen":
            with Store.open(store.path) as other:
                assert _read(other, run) == expected
    assert _read(store, run) == expected
    run.finish()
    assert _read(store, run) == expected


def _read(store, run):
    record = store.get(run.uid)
    return list(record.metric("loss").values) if record.metrics else []


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**50), 2**50), st.floats()),
        min_size=1,
        max_size=50,
    )
)
def test_chunks_round_trip(points):
    steps, times, numbers = map(list, zip(*points, strict=True))

    found = unpack(pack(Columns(steps, times, numbers)))

    assert (list(found.steps), list(found.times)) == (steps, times)
    assert [x.hex() for x in found.values] == [x.hex() for x in numbers]


def test_points_take_few_bytes(store, run):
    for place in range(4):
        run.log_points("loss", np.random.default_rng(place).random(4096))
    run.finish()

    with store.backend.database.driver.read() as connection:
        stored = connection.execute("SELECT sum(length(chunk)), sum(count) FROM metric_chunks")
        size, count = stored.fetchone()
    assert size / count < 16


def test_a_disk_that_takes_nothing_costs_a_warning(monkeypatch, run):
    from runstore.storage.files.spool import Spool

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.warns(StoreWarning, match="held in memory"):
        patched.setattr(Spool, "in_first_place", refuse)
        for place in range(100):
            run.log(loss=float(place))
    run.log(loss=100.0)
    run.finish()

    assert sorted(values(run)) == list(map(float, range(101)))


def test_a_disk_with_little_room_costs_no_points(monkeypatch, run):
    from runstore.storage.files.spool import Spool

    place = Spool.in_first_place

    def refuse(spool, made):
        if spool.point_files(run.uid):
            raise OSError(28, "No space left on device")
        return place(spool, made)

    monkeypatch.setattr(Spool, "in_first_place", refuse)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for number in range(9_000):
            run.log(loss=float(number))
        run.finish()

    assert "held in memory" in str(found[0].message)
    assert len(found) == 1
    assert values(run) == list(map(float, range(9_000)))


def test_points_are_kept_in_temporary_files_if_the_disk_of_the_home_is_full(
    store, tmp_path, monkeypatch
):
    from runstore.storage.metrics.point_files import PointFile

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    made = PointFile.__init__

    def refuse(file, path, *arguments, **options):
        if temporary not in path.parents:
            raise OSError(28, "No space left on device")
        made(file, path, *arguments, **options)

    monkeypatch.setattr(PointFile, "__init__", refuse)
    run = begun(store)
    for number in range(10):
        run.log(loss=float(number))
    run.finish()

    assert values(run) == list(map(float, range(10)))


@pytest.mark.folder_only
def test_a_folder_that_moves_away_costs_nothing_that_was_logged(location, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Store.open(location) as store:
        run = store.start("logged", capture=False)
        run.log(loss=0.0)
        location.rename(tmp_path / "elsewhere")
        for place in range(1, 5000):
            run.log(loss=float(place))
        with pytest.warns(StoreWarning, match="[Kk]ept in"):
            run.finish()
    if location.exists():
        location.rename(tmp_path / "empty")
    (tmp_path / "elsewhere").rename(location)

    with Store.open(location) as store:
        assert list(store.get("logged#1").metric("loss").values) == list(map(float, range(5000)))


def test_points_of_other_stores_cost_a_search_no_transaction(store, tmp_path, monkeypatch):
    """The spool of a user holds files of all stores that were out of reach."""
    begun(store).finish()
    with Store.open(tmp_path / "other") as other:
        run = begun(other)
        run.log(loss=1.0)
        (path,) = other.backend.spool.point_files()
        copy = store.path / path.relative_to(other.path)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
        run.finish()
    written = []
    driver = store.backend.database.driver  # this one: runs of other tests may go on
    monkeypatch.setattr(driver, "write", lambda *_, **__: written.append("write"))
    monkeypatch.setattr(driver, "transact", lambda *_, **__: written.append("transact"))

    assert len(store.find("metrics.loss > 0")) == 0
    assert store.backend.spool.point_files(is_to_take=True) == [copy]
    assert not written


def test_a_sample_keeps_extremes(run):
    numbers = np.zeros(100_000)
    numbers[[777, 55_555]] = [9.0, -9.0]
    run.log_points("loss", numbers)
    run.finish()

    sample = run.record.metric("loss").sampled(100)
    assert len(sample) <= 100
    assert (max(sample.values), min(sample.values)) == (9.0, -9.0)
    assert (sample.steps[0], sample.steps[-1]) == (0, 99_999)


def test_an_experiment_of_the_runner_logs_for_its_set(tmp_path):
    (tmp_path / ".runstore").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "fit.py").write_text(
        "def get_params(): return [{'name': 'a', 'x': 1.0}, {'name': 'b', 'x': 2.0}]\n"
        "def run(params, manager): manager.log(loss=params['x'])\n"
    )

    ended = runstore("run", "fit", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    with Store.open(tmp_path / ".runstore") as store:
        metrics = store.get("fit#1").metrics
    assert {key: one.last for key, one in metrics.items()} == {"a/loss": 1.0, "b/loss": 2.0}


@pytest.mark.parametrize("mapped", [True, False])
def test_a_file_that_is_full_keeps_its_last_point(tmp_path, mapped):
    """Also where a network disk gets writes, and the file is only as long as they are."""
    from runstore.storage.metrics.point_files import PointFile
    from runstore.storage.metrics.point_reading import read_points
    from runstore.storage.metrics.point_records import KeyOf

    series = KeyOf(-1, "loss")
    file = PointFile(tmp_path / "full", 7, mapped=mapped)
    assert file.say_series(series, 0)
    for value in range(5):
        assert file.write(0, value, 0, float(value))
    assert not file.write(0, 5, 0, 5.0)
    file.seal()

    read = read_points(tmp_path / "full")
    assert read.is_sealed
    assert read.points[series].values == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.folder_only
@in_one_store
@given(
    garbage=st.binary(max_size=400),
    place=st.integers(0, 12),
    number=st.integers(-(2**63), 2**63 - 1),
)
def test_a_file_that_is_not_ours_is_left_alone(store, garbage, place, number):
    """Whatever lies in the spool, the store opens, other points are read, and it stays."""
    run = store.start("logged", capture=False)
    run.log(loss=1.0)
    whole = bytearray(store.backend.spool.point_files()[0].read_bytes()[:4000])
    run.finish()
    whole[place * 8 : place * 8 + 8] = number.to_bytes(8, "little", signed=True)
    broken = [store.path / "spool" / f"{run.uid}.{n}.points" for n in range(2)]
    broken[0].write_bytes(b"x" + garbage)
    broken[1].write_bytes(bytes(whole))

    with Store.open(store.path) as again:
        assert again.get(run.uid).metrics["loss"].count >= 1
    assert broken[0].exists()
    for one in broken:
        one.unlink(missing_ok=True)


def test_values_that_are_no_numbers_have_no_mean(store):
    for value in (math.nan, 0.0):
        with store.start("fit", capture=False) as run:
            run.log(loss=value)

    assert [run.run_number for run in store.find("metrics.loss.mean <= 0")] == [2]
