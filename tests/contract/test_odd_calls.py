"""Calls and circumstances nobody plans for: odd values, odd clocks, files of earlier versions."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from command_server import Program
from runstore import Store, StoreWarning
from runstore.errors import NotFoundError
from runstore.model.logged.values import LAST_STEP
from runstore.recording.points import log
from runstore.storage.metrics.point_records import MARK, RECORD


class Refuses:
    """Raises whatever it is asked."""

    def __init__(self, *names):
        self.names = names

    def item(self):
        return self._answer("item")

    def __float__(self):
        return self._answer("float")

    def __repr__(self):
        return str(self._answer("repr"))

    def _answer(self, name):
        if name in self.names:
            raise RuntimeError(name)
        return 1.0


KILLED = """
import os, signal, sys
from runstore import Store
run = Store.open(sys.argv[1]).start("odd", capture=False)
for value in range(5):
    run.log(loss=float(value))
os.kill(os.getpid(), signal.SIGKILL)
"""


def begun(store, **more):
    return store.start("odd", capture=False, **more)


def points_of(run, key):
    series = run.record.metric(key)
    return list(zip(series.steps, series.values, strict=True))


class TestClocks:
    @pytest.mark.parametrize("per_call", [0, -3_600_000_000_000])
    def test_one_that_stands_still_or_goes_back_loses_nothing(
        self, store, monkeypatch, per_call, run
    ):
        """Files are taken in in the order of their writing, also those of a run that goes on."""
        run.log(loss=0.0)
        run.finish()
        now = time.time_ns()
        readings = iter(range(now, now + 20_000 * (per_call or 1), per_call or 1))
        ours = SimpleNamespace(
            time_ns=lambda: next(readings) if per_call else now, monotonic=time.monotonic
        )
        monkeypatch.setattr(log, "clock", ours)

        again = store.resume(run.uid)
        for place in range(1, 15_000):
            again.log(loss=float(place))
        read_live = points_of(run, "loss")
        again.finish()

        expected = [(place, float(place)) for place in range(15_000)]
        assert read_live == expected
        assert points_of(run, "loss") == expected

    def test_a_resumed_run_comes_after_what_it_had(self, store, monkeypatch, run):
        """Even if the clock of the machine that goes on with it is a year behind."""
        run.log(loss=0.0)
        run.finish()
        behind = SimpleNamespace(
            time_ns=lambda: time.time_ns() - 31_536_000 * 10**9, monotonic=time.monotonic
        )
        monkeypatch.setattr(log, "clock", behind)

        with store.resume(run.uid) as again:
            again.log(loss=1.0)
            again.execution._points.after_fork()  # as a killed process leaves its file
            again.log(loss=2.0)

        assert [value for _, value in points_of(run, "loss")] == [0.0, 1.0, 2.0]

    def test_what_a_killed_process_logged_is_counted_on(self, location, monkeypatch):
        """Also when the store was open all the time, and nobody has taken it in."""
        with Store.open(location) as store:
            Program(KILLED, location).wait()
            behind = SimpleNamespace(time_ns=lambda: 10**18, monotonic=time.monotonic)
            monkeypatch.setattr(log, "clock", behind)
            with store.resume("odd#1") as run:
                run.log(loss=5.0)

            assert points_of(run, "loss") == [(step, float(step)) for step in range(6)]


class TestValues:
    def test_masked_ones_are_nan(self, run):
        run.log(loss=np.ma.masked)
        run.log(loss=np.ma.array(3.0, mask=True))
        run.log(loss=np.ma.array(3.0))
        run.log_points("loss", np.ma.array([1.0, 2.0], mask=[False, True]))
        run.finish()

        values = run.record.metric("loss").values
        assert np.array_equal(values, [np.nan, np.nan, 3.0, 1.0, np.nan], equal_nan=True)

    @pytest.mark.parametrize(
        "odd",
        [
            Refuses("item"),
            Refuses("item", "repr"),
            Refuses("item", "float", "repr"),
            SimpleNamespace(item=lambda: "7"),
            None,
            "0.5",
            b"0.5",
            np.zeros((2, 2)),
            np.datetime64("2026-01-01"),
            1j,
        ],
        ids=range(10),
    )
    def test_what_is_no_number_is_one_warning_and_leaves_the_others(self, odd, run):
        with pytest.warns(StoreWarning, match="is not a number") as seen:
            for _ in range(3):
                run.log({"before": 1.0, "odd": odd, "after": 2.0})
            run.log_points("column", [1.0, odd, 3.0])
        run.finish()

        assert len(seen) == 2
        assert points_of(run, "before") == [(step, 1.0) for step in range(3)]
        assert points_of(run, "after") == [(step, 2.0) for step in range(3)]
        assert points_of(run, "column") == [(0, 1.0), (2, 3.0)]
        assert set(run.record.metrics) == {"before", "after", "column"}

    def test_each_kind_of_trouble_is_one_warning(self, run):
        with pytest.warns(StoreWarning) as seen:
            for _ in range(3):
                run.log({"a": "text"})
                run.log({"b": "text"})
                run.log({"": 1.0})
                run.log(c=1.0, step="first")
                run.log(c=1.0, time="today")
        run.finish()

        about = ["'a'", "'b'", "not ''", "'first' is not a step", "'today' is not a time"]
        assert [part for part, one in zip(about, seen, strict=True) if part in str(one.message)]
        assert points_of(run, "c") == [(step, 1.0) for step in range(6)]

    @pytest.mark.parametrize("odd", [None, "text", {"a": 1.0}, np.zeros((2, 2)), 7.0])
    def test_what_is_no_column_logs_nothing(self, odd, run):
        with pytest.warns(StoreWarning, match="Nothing was logged"):
            run.log_points("loss", odd)
        run.log_points("loss", [1.0])
        run.finish()

        assert points_of(run, "loss") == [(0, 1.0)]


class TestSteps:
    def test_beyond_the_largest_the_values_are_kept_at_it(self, run):
        run.log(loss=1.0, step=LAST_STEP)
        with pytest.warns(StoreWarning, match="exceed the limit") as seen:
            run.log(loss=2.0)
            run.log(loss=3.0, step=10**30)
            run.log_points("many", [1.0, 2.0], steps=[LAST_STEP, LAST_STEP + 1])
        run.finish()

        assert len(seen) == 2
        assert points_of(run, "loss") == [(LAST_STEP, 1.0), (LAST_STEP, 2.0), (LAST_STEP, 3.0)]
        assert points_of(run, "many") == [(LAST_STEP, 1.0), (LAST_STEP, 2.0)]

    def test_seconds_that_something_took_are_a_metric(self, run):
        before = time.time()
        with pytest.warns(StoreWarning, match="recorded as the metric 'time'") as seen:
            for _ in range(3):
                run.log(loss=0.5, time=12.3)
        run.finish()

        assert len(seen) == 1
        assert points_of(run, "time") == [(step, 12.3) for step in range(3)]
        assert min(run.record.metric("loss").times) >= before - 1


@pytest.mark.parametrize("call", ["list", "get"])
def test_a_filter_in_place_of_a_name_is_led_to_the_search(store, run, call):
    with pytest.raises(NotFoundError, match=r"For a filter: store\.find\('params.lr > 1'\)"):
        getattr(store, call)("params.lr > 1")


def test_many_points_fill_files_in_order(store, run):
    """They are written column by column, and go on in the next file where one is full."""
    numbers = np.random.default_rng(0).random(30_000)
    run.log(loss=0.5)
    run.log_points("loss", numbers, steps=range(-5, 29_995), times=np.arange(30_000) + 1.6e9)
    assert len(store.backend.spool.point_files()) > 1
    run.finish()

    series = run.record.metric("loss")
    assert np.array_equal(series.values, [0.5, *numbers])
    assert list(series.steps) == [0, *range(-5, 29_995)]
    assert np.array_equal(series.times[1:], np.arange(30_000) + 1.6e9)


@pytest.mark.folder_only
def test_a_file_of_the_first_format_is_read(store, run):
    """Its series stand together behind the head, each followed by its key."""
    killed = Program("")
    killed.wait()
    key = b"a rather long key, longer than a record"
    padded = key.ljust(64, b"\0")
    begin = RECORD.size * 4
    records = [
        RECORD.pack(1, killed.pid, float(begin), 0, 0, MARK),
        RECORD.pack(len(key), -1, 0.0, 7, 2, MARK),
        padded,
        *(RECORD.pack(step, 10**15 + step, step / 2, 7, 1, MARK) for step in range(100)),
    ]
    path = store.path / "spool" / f"{run.uid}.{time.time_ns():020d}.points"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(records) + bytes(10 * RECORD.size))

    expected = [(step, step / 2) for step in range(100)]
    assert points_of(run, key.decode()) == expected
    run.finish()
    Store.open(store.path).close()
    assert points_of(run, key.decode()) == expected
    assert not path.exists()


OPENS = """
import sys, time
from pathlib import Path
from runstore import Store
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    time.sleep(0.001)
Store.open(sys.argv[1]).close()
"""


def test_processes_that_open_a_store_at_once_take_each_record_once(location, tmp_path):
    """Tags that were kept aside are set in order, whoever takes them in; the newest stays."""
    with Store.open(location) as store:
        run = begun(store)
        run.finish()
        for number in range(30):
            body = {"changes": {"round": str(number)}, "author": "somebody"}
            store.backend.spool.keep(run.uid, "tags", body)
        openers = [Program(OPENS, location, tmp_path / "go") for _ in range(3)]
        for one in openers:
            assert one.stdout.readline() == "ready\n"
        (tmp_path / "go").touch()
        for one in openers:
            one.communicate(timeout=60)
            assert one.returncode == 0

    with Store.open(location) as store:
        assert store.get(run.uid).tags == {"round": "29"}
        assert [
            edit.new for edit in store.backend.edits.events(run.uid) if "round" in edit.field
        ] == [str(number) for number in range(30)]
        assert list(store.backend.spool.records()) == []
