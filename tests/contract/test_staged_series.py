"""Long series of new runs are written in parts, before the run appears."""

import shutil
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
def stores(request, tmp_path, empty, unsynced, monkeypatch):
    monkeypatch.setattr(chunks, "POINTS_AT_MOST", 64)
    monkeypatch.setattr(chunks, "FILLED_UP", 32)
    monkeypatch.setattr(staging, "LONG_SERIES", 1_000)
    with ExitStack() as opened:
        places = [shutil.copytree(empty, tmp_path / name) for name in "ab"]
        if request.param == "server":
            pytest.importorskip("psycopg")
            places[1] = opened.enter_context(pytest.importorskip("postgres_server").database())
        yield [opened.enter_context(Store.open(one)) for one in places]


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
        before = copy.points
        write_part(copy, source, target, rows)
        written.append(copy.points - before)

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


# Runs in both stores


@pytest.fixture
def grown(stores, run):
    """Return a run in both stores that gained points in the first."""
    a, b = stores
    a.push(b)
    with a.resume(run) as again:
        again.log_points("loss", [float(one) for one in range(POINTS)])
        again.log_points("new", [float(one) for one in range(2_000)])
    return run


def test_what_a_run_in_both_stores_gained_is_written_in_parts(stores, grown, monkeypatch):
    a, b = stores
    counts = []
    written = parts_of(
        monkeypatch, then=lambda: counts.append(len(b.get(grown).metric("loss").values))
    )

    result = a.push(b)

    assert (result.changed, result.points) == (1, POINTS + 2_000 + POINTS)
    assert max(written[1:]) <= 32 * 64
    assert counts == sorted(counts)  # it grows like that of a program that logs
    assert len({*counts}) > 2
    assert everything(a) == everything(b)
    assert_sound(b)
    assert a.push(b).unchanged == 1


@pytest.mark.parametrize("parts", [1, 4, 6])
def test_a_gain_that_was_interrupted_continues(stores, grown, monkeypatch, parts):
    a, b = stores
    cut_after(monkeypatch, a, b, parts)
    half = b.get(grown)
    assert half.metric("loss").values.tolist() == [
        float(one % POINTS) for one in range(half.metrics["loss"].count)
    ]
    assert_sound(b)
    written = parts_of(monkeypatch)

    a.push(b)

    assert everything(a) == everything(b)
    assert_sound(b)
    assert sum(written) < 3 * POINTS


def test_an_edit_during_a_gain_is_kept(stores, grown, monkeypatch):
    a, b = stores
    in_one_part = staging._in_one_part

    def edited(*arguments):
        b.edit(grown, notes="meanwhile")
        return in_one_part(*arguments)

    monkeypatch.setattr(staging, "_in_one_part", edited)

    a.push(b)

    assert b.get(grown).notes == "meanwhile"
    assert len(b.get(grown).metric("loss").values) == 2 * POINTS
    assert_sound(b)


def test_points_that_are_no_gain_are_joined_as_before(stores, grown):
    a, b = stores
    with b.resume(grown) as again:
        again.log_points("loss", [float(-one) for one in range(3_000)])

    a.push(b)
    b.push(a)

    assert len(b.get(grown).metric("loss").values) == 2 * POINTS + 3_000
    assert everything(a) == everything(b)
    assert_sound(b)
