"""A run that goes on from a checkpoint logs steps again: `rewind` makes room for them."""

import pytest

from command_server import Program
from runstore import Store
from runstore.errors import InvalidValueError, RunFinishedError
from runstore.storage.metrics import rewinding


def begun(store, **more):
    return store.start("rewound", capture=False, **more)


def points_of(run, key):
    series = run.record.metric(key)
    return list(zip(series.steps, series.values, strict=True))


KILLED = """
import os, signal, sys
from runstore import Store
run = Store.open(sys.argv[1]).start("rewound", capture=False)
for step in range(10_000):
    run.log(loss=0.0, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_goes_on_from_its_checkpoint(location):
    """Also when the store was open all the time, and its points are in the spool still."""
    with Store.open(location) as store:
        Program(KILLED, location).wait()
        with store.resume("rewound#1") as run:
            assert run.rewind(9000) == 1000
            for step in range(9000, 9500):
                run.log(loss=1.0, step=step)
            run.log(loss=2.0)

        expected = [(step, float(step >= 9000)) for step in range(9500)]
        assert points_of(run, "loss") == [*expected, (9500, 2.0)]
        assert store.backend.spool.point_files() == []
        assert list(store.check()) == []


def test_series_go_on_counting_behind_what_is_left(store):
    run = begun(store, params=[{"name": "a", "lr": 1}, {"name": "b", "lr": 2}])
    for value in range(10):
        run.log(loss=float(value))
        run.of_set("b").log(loss=float(value))
    run.log(late=1.0, step=50)
    run.execution.log_sample({"system/memory_bytes": 1.0})

    assert run.rewind(4) == 13
    assert run.rewind(4) == 0
    run.log(loss=0.5, late=0.5)
    run.of_set("b").log(loss=0.5)
    run.finish()

    expected = [(step, float(step)) for step in range(4)] + [(4, 0.5)]
    assert points_of(run, "loss") == expected
    assert points_of(run, "b/loss") == expected
    assert points_of(run, "late") == [(0, 0.5)]
    assert points_of(run, "system/memory_bytes") == [(0, 1.0)]


def test_summaries_and_events_say_what_is_left(store, run):
    run.log_points("loss", [float(one) for one in range(10_000)])
    for step in (9000, 9001):
        run.log(gone=1.0, step=step)
    run.log(early=1.0, step=0)
    run.rewind(5000)

    one = run.record.metrics["loss"]
    assert (one.count, one.first, one.last, one.max, one.last_step) == (
        5000,
        0.0,
        4999,
        4999,
        4999,
    )
    assert "gone" not in run.record.metrics
    (event,) = store.events(run.uid)
    assert (event.field, event.old, event.new) == (
        "metrics",
        "5,002 points of 2 metrics, from step 5000 on",
        "removed",
    )
    run.finish()
    assert run.record.metrics["loss"].count == 5000
    with store.backend.database.driver.read() as connection:
        rows = connection.execute("SELECT chunk_index FROM metric_chunks ORDER BY chunk_index")
        assert [row[0] for row in rows.fetchall()] == [0, 0, 1]
    assert {one.kind for one in store.check()} <= {"unused"}  # the key, until `gc`


def test_a_run_that_was_deleted_meanwhile_goes_on(store, run):
    run.log_points("loss", [1.0] * 10)
    store.delete(run.uid, force=True)

    assert run.rewind(5) == 5
    run.finish()

    store.restore(run.uid)
    assert len(points_of(run, "loss")) == 5


def test_what_is_interrupted_removes_nothing(store, monkeypatch, run):
    run.log_points("loss", [1.0] * 10)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rewinding, "add_event", crash)
        run.rewind(5)
    run.log(loss=2.0)
    run.finish()

    assert [step for step, _ in points_of(run, "loss")] == list(range(11))
    assert store.events(run.uid) == ()


def test_a_run_that_has_ended_and_what_is_no_step_are_refused(run):
    run.log(loss=1.0)
    with pytest.raises(InvalidValueError, match="is not a step"):
        run.rewind("first")
    run.finish()

    with pytest.raises(RunFinishedError):
        run.rewind(0)
    assert points_of(run, "loss") == [(0, 1.0)]
