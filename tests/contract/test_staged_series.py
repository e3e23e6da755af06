"""Long series of new runs are written in parts, before the run appears."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from equal_stores import assert_sound, everything
from runstore import Store
from runstore.errors import RunNotFoundError
from runstore.maintenance import gc
from runstore.storage.metrics import chunks
from runstore.storage.transfer import points, staging

POINTS = 5_000


@pytest.fixture(params=["folder", "server"])
def stores(request, tmp_path, unsynced, monkeypatch):
    monkeypatch.setattr(chunks, "POINTS_AT_MOST", 64)
    monkeypatch.setattr(chunks, "FILLED_UP", 32)
    monkeypatch.setattr(staging, "LONG_SERIES", 1_000)
    with ExitStack() as opened:
        place = tmp_path / "b"
        if request.param == "server":
            pytest.importorskip("psycopg")
            place, take_back = pytest.importorskip("postgres_server").database()
            opened.callback(take_back)
        yield [opened.enter_context(Store.open(one)) for one in (tmp_path / "a", place)]


@pytest.fixture
def run(stores):
    with stores[0].start("fit", params={"lr": 1}, notes="long", capture=False) as run:
        run.log_points("loss", [float(one) for one in range(POINTS)])
        run.log_points("other", [float(one) for one in range(2_000)])
        run.log(short=1.0)
        run.save("model.bin", b"weights")
    return run.uid


class CutError(Exception):
    """The program was killed."""


def parts_of(monkeypatch, *, end=None, then=lambda: None):
    """Note the size of each part; end before one of them."""
    written, write_part = [], points.SeriesCopy.write_part

    def noted(copy, source, target, rows):
        if len(written) == end:
            raise CutError
        then()
        before = copy._points
        write_part(copy, source, target, rows)
        written.append(copy._points - before)

    monkeypatch.setattr(points.SeriesCopy, "write_part", noted)
    return written


def cut_after(monkeypatch, a, b, parts):
    with monkeypatch.context() as patched:
        parts_of(patched, end=parts)
        with pytest.raises(CutError):
            a.push(b)


def test_a_long_series_is_written_in_parts(stores, run, monkeypatch):
    a, b = stores
    seen = []
    written = parts_of(monkeypatch, then=lambda: seen.append(len(b.list())))

    result = a.push(b)

    assert (result.added, result.points) == (1, POINTS + 2_001)
    assert max(written) <= 32 * 64
    assert set(seen) == {0}
    assert everything(a) == everything(b)
    assert_sound(b)
    assert a.push(b).unchanged == 1


def test_an_interrupted_transfer_continues_after_the_last_part(stores, run, monkeypatch):
    a, b = stores
    cut_after(monkeypatch, a, b, 2)
    assert [*b.list(), *b.trash()] == []
    with pytest.raises(RunNotFoundError):
        b.get(run)
    assert_sound(b)
    written = parts_of(monkeypatch)

    result = a.push(b)

    assert (result.added, result.points, result.skipped) == (1, POINTS + 2_001, ())
    assert sum(written) <= POINTS + 2_001  # chunks that are there already are only compared
    assert everything(a) == everything(b)
    assert_sound(b)


@pytest.mark.parametrize("rewound", [0, 100, None])
def test_a_run_may_change_before_its_transfer_continues(stores, run, monkeypatch, rewound):
    a, b = stores
    cut_after(monkeypatch, a, b, 6)
    with a.resume(run) as again:
        if rewound is not None:
            again.rewind(rewound)
        again.log(loss=7.0)

    a.push(b)

    assert everything(a) == everything(b)
    assert_sound(b)


def test_a_new_run_of_the_same_number_is_told_apart(stores, run, monkeypatch):
    a, b = stores
    cut_after(monkeypatch, a, b, 2)
    with b.start("fit", capture=False) as other:
        pass

    a.push(b)
    a.pull(b)

    assert everything(a) == everything(b)
    assert {one.uid for one in b.list("fit")} == {run, other.uid}
    assert_sound(b)


def test_a_transfer_that_was_not_continued_is_removed(stores, run, monkeypatch):
    a, b = stores
    cut_after(monkeypatch, a, b, 2)
    b.collect_garbage()
    monkeypatch.setattr(gc, "_UNFINISHED", -timedelta(days=1))

    b.collect_garbage()

    with b.backend.database.driver.read() as connection:
        for table in ("runs", "metric_chunks", "metric_levels"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0  # noqa: S608
    assert a.push(b).added == 1
    assert everything(a) == everything(b)


def test_a_removed_run_with_a_long_series_is_restored(stores, run):
    a, b = stores
    a.push(b)
    b.delete(run)
    b.collect_garbage(older_than=0)

    assert a.push(b).skipped[0].why == "deleted"
    assert a.push(b, restore=True).added == 1
    assert everything(a) == everything(b)
    assert_sound(b)
