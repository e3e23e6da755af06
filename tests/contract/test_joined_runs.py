"""A run that was continued in several stores is joined, the same in any order of transfers."""

import itertools
import math
import shutil
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equal_stores import assert_sound, everything_of
from runstore import Store
from runstore.storage.metrics import chunks

ORDERS = list(itertools.permutations("abc", 2))


@pytest.fixture
def stores(tmp_path, empty, unsynced):
    with ExitStack() as opened:
        places = {name: shutil.copytree(empty, tmp_path / name) for name in "abc"}
        yield {name: opened.enter_context(Store.open(one)) for name, one in places.items()}


@pytest.fixture
def run(stores):
    """Return the uid of a run with three points, which all stores have."""
    with stores["a"].start("fit", params={"lr": 1}, capture=False) as run:
        for value in (1.0, 2.0, 3.0):
            run.log(loss=value)
        run.save("model.bin", b"first")
    stores["a"].push(stores["b"])
    stores["a"].push(stores["c"])
    return run.uid


@pytest.mark.parametrize(
    "order", [ORDERS, ORDERS[::-1], ["ac", "cb", "bc", "ba", "ab"], ["ab", "ba", "ac", "cb"]]
)
@pytest.mark.parametrize("continued", [[], [7.0, 8.0]])
def test_points_logged_anew_with_an_equal_summary_are_copied(stores, order, continued):
    """Number, extremes, mean, and the last step and time are those of the removed points."""
    times = [1_700_000_000.0 + step for step in range(6)]
    with stores["a"].start("fit", capture=False) as run:
        run.log_points("loss", [0.0, 1.0, 2.0, 3.0, 4.0, 9.0], times=times)
    for name in "bc":
        stores["a"].push(stores[name])
    with stores["a"].resume(run.uid) as again:
        again.rewind(1)
        again.log_points("loss", [2.0, 1.0, 4.0, 3.0, 9.0], steps=range(1, 6), times=times[1:])
    if continued:
        with stores["b"].resume(run.uid) as again:
            again.log_points("loss", continued)

    exchanged(stores, run.uid, order)

    for store in stores.values():
        assert values(store, run.uid) == [0, 2, 1, 4, 3, 9, *continued]


def test_equal_points_that_two_stores_logged_anew_are_kept(stores):
    times = [1_700_000_000.0 + step for step in range(3)]
    with stores["a"].start("fit", capture=False) as run:
        run.log_points("loss", [1.0, 2.0, 3.0], times=times)
    stores["a"].push(stores["b"])
    for name in "ab":
        with stores[name].resume(run.uid) as again:
            again.rewind(1)
            again.log_points("loss", [3.0, 2.0], steps=[1, 2], times=times[1:])

    joined = exchanged(stores, run.uid)

    assert list(joined.metric("loss").values) == [1, 3, 2]


def exchanged(stores, uid, order=ORDERS):
    """Exchange runs until nothing is new, and return all that each store knows of one."""
    for _ in range(2):
        for one, other in order:
            stores[one].push(stores[other])
    for one, other in ORDERS:
        assert stores[one].push(stores[other]).changed == 0
    known = [repr(everything_of(store, store.get(uid))) for store in stores.values()]
    assert known[0] == known[1] == known[2]
    for store in stores.values():
        assert_sound(store)
    return stores["a"].get(uid)


def values(store, uid, key="loss"):
    return list(store.get(uid).metric(key).values)


@pytest.mark.parametrize("order", [ORDERS, ORDERS[::-1], [*ORDERS[2:], *ORDERS[:2]]])
def test_a_series_that_grew_in_three_stores_has_all_points(stores, run, order):
    for value, store in enumerate(stores.values()):
        with store.resume(run) as again:
            again.log(loss=10.0 + value)
            again.log(loss=20.0 + value)

    joined = exchanged(stores, run, order)

    assert list(joined.metric("loss").values) == [1, 2, 3, 10, 20, 11, 21, 12, 22]
    assert list(joined.metric("loss").steps) == [0, 1, 2, *[3, 4] * 3]
    assert joined.metrics["loss"].count == 9


def test_a_series_of_one_store_is_not_written_again(stores, run):
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.log(loss=4.0)
    with b.resume(run) as again:
        again.log(acc=0.5)

    result = a.pull(b)

    assert result.points == 1
    assert result.joined == (a.get(run).reference,)
    assert values(a, run) == [1, 2, 3, 4]
    assert a.pull(b).joined == ()


def test_a_series_that_is_damaged_is_not_joined(stores, run):
    a, b, _ = stores.values()
    for store in (a, b):
        with store.resume(run) as again:
            again.log(loss=4.0)
    with b.backend.database.driver.write() as connection:
        connection.execute("UPDATE metric_chunks SET chunk = zeroblob(40)")

    (skipped,) = a.pull(b).skipped

    assert (skipped.uid, skipped.why) == (run, "damaged")
    assert "cannot be read" in skipped.detail
    assert values(a, run) == [1, 2, 3, 4]


def test_removed_points_do_not_return(stores, run):
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.rewind(1)
        again.log(loss=20.0)
        again.log(loss=30.0)

    b.push(a)

    assert values(a, run) == [1, 20, 30]
    assert list(exchanged(stores, run).metric("loss").values) == [1, 20, 30]


def test_points_of_another_branch_are_not_removed(stores, run):
    """Two machines resumed from different checkpoints, at nearly the same time."""
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.rewind(1)
        again.log(loss=20.0)
        again.log(loss=30.0)
    with b.resume(run) as again:
        again.rewind(2)
        again.log(loss=31.0)

    joined = exchanged(stores, run)

    assert list(joined.metric("loss").values) == [1, 20, 30, 31]
    assert list(joined.metric("loss").steps) == [0, 1, 2, 2]


def test_a_series_that_was_removed_as_a_whole_stays_away(stores, run):
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.rewind(0)
    with b.resume(run) as again:
        again.log(acc=0.5)

    joined = exchanged(stores, run)

    assert set(joined.metrics) == {"acc"}


def test_equal_points_are_kept_as_often_as_one_store_has_them(stores):
    a, b, _ = stores.values()
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with a.start("fit", capture=False) as run:
        run.log_points("loss", [0.0, -0.0, math.nan, math.nan], steps=[0] * 4, times=[at] * 4)
    a.push(b)
    for store, value in ((a, math.nan), (b, math.inf)):
        store.add(run.uid, metrics={"loss": [value]})

    joined = exchanged(stores, run.uid).metric("loss")

    assert len(joined.values) == 6
    assert str(sorted(map(str, joined.values))) == str(
        sorted(["0.0", "-0.0", "nan", "nan", "nan", "inf"])
    )


@pytest.mark.parametrize("before", [0, 3])
def test_long_series_keep_their_first_chunks_and_levels(stores, monkeypatch, before):
    monkeypatch.setattr(chunks, "POINTS_AT_MOST", 256)
    monkeypatch.setattr(chunks, "FILLED_UP", 128)
    a, b, _ = stores.values()
    with a.start("fit", capture=False) as run:
        run.log_points("loss", [float(one) for one in range(4_000 + before)])
    a.push(b)
    for store in (a, b):
        with store.resume(run.uid) as again:
            again.log_points("loss", [float(one) for one in range(2_000)])
            again.log_points(store.path.name, [1.0])

    joined = exchanged(stores, run.uid)

    assert joined.metrics["loss"].count == 8_000 + before
    outlines = [store.get(run.uid).outline("loss", stretches=50) for store in stores.values()]
    assert repr(outlines[0]) == repr(outlines[1]) == repr(outlines[2])


def test_points_of_a_clock_that_was_set_back_are_joined_by_time(stores):
    a, b, _ = stores.values()
    late = datetime.now(timezone.utc) + timedelta(hours=1)
    with a.start("fit", capture=False) as run:
        run.log_points("loss", [3.0, 1.0, 2.0], times=[late, late - timedelta(hours=3), late])
    a.push(b)
    assert values(b, run.uid) == [3, 1, 2]
    for store, value in ((a, 4.0), (b, 5.0)):
        with store.resume(run.uid) as again:
            again.log(loss=value)

    joined = exchanged(stores, run.uid)

    assert list(joined.metric("loss").values) == [1, 4, 5, 3, 2]


def test_both_ends_are_kept(stores, run):
    a, b, _ = stores.values()
    with suppress(ValueError), a.resume(run):
        raise ValueError("no memory")
    with b.resume(run) as again:
        again.log(loss=1.0)

    joined = exchanged(stores, run)

    assert joined.status.value == "complete"
    events = [(one.field, one.new) for one in stores["c"].events(joined)]
    assert ("other end", "error: ValueError: no memory") in events


def test_both_files_of_one_name_are_kept(stores, run):
    for name, store in stores.items():
        with store.resume(run) as again:
            again.save("model.bin", name.encode())

    joined = exchanged(stores, run)

    assert joined.read_bytes("model.bin") == b"c"
    others = {joined.read_bytes(path) for path in joined.artifacts if path != "model.bin"}
    assert others == {b"a", b"b"}
    assert all(path.startswith("model.bin") for path in joined.artifacts)


def test_a_file_that_only_one_store_saved_again_replaces_the_older_one(stores, run):
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.save("model.bin", b"second")
    with b.resume(run) as again:
        again.log(loss=1.0)

    joined = exchanged(stores, run)

    assert {path: joined.read_bytes(path) for path in joined.artifacts} == {"model.bin": b"second"}


def test_files_that_were_added_in_two_stores_are_both_kept(stores, run):
    for name in "ab":
        stores[name].add(run, artifacts={"report.txt": name.encode()})

    joined = exchanged(stores, run)

    assert {joined.read_bytes(one) for one in joined.artifacts} == {b"first", b"a", b"b"}


def test_parameters_that_were_added_in_several_stores_are_joined(stores, run):
    for name, store in stores.items():
        with store.resume(run) as again:
            again.add_params({"of": {name: 1}, name: True})
            again.params.replace({"seed": name})

    joined = exchanged(stores, run)

    assert joined.params == {
        "lr": 1, "of": {"a": 1, "b": 1, "c": 1}, "a": True, "b": True, "c": True, "seed": "c",
    }  # fmt: skip
    assert len({store.get(run).parameter_sets for store in stores.values()}) == 1


def test_a_parameter_that_was_replaced_keeps_its_later_value(stores, run):
    a, b, _ = stores.values()
    with a.resume(run) as again:
        again.params.replace({"lr": 2})
    with b.resume(run) as again:
        again.add_params(seed=7)

    assert exchanged(stores, run).params == {"lr": 2, "seed": 7}


point = st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, -0.0, math.nan]))
visit = st.tuples(
    st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 4)), st.lists(point, max_size=4)
)
step = st.one_of(visit, st.sampled_from(ORDERS))


def test_random_continuations_are_joined_alike(tmp_path_factory, unsynced):
    @settings(max_examples=6 if settings().max_examples < 100 else 400)
    @given(st.lists(step, max_size=8), st.permutations(ORDERS))
    def join(steps, order):
        with ExitStack() as opened:
            folder = tmp_path_factory.mktemp("joined")
            walk(
                {name: opened.enter_context(Store.open(folder / name)) for name in "abc"},
                steps,
                order,
            )

    join()


def walk(stores, steps, order):
    with stores["a"].start("fit", capture=False) as run:
        run.log_points("loss", [0.0, 1.0])
    for other in "bc":
        stores["a"].push(stores[other])
    logged = 2
    for one in steps:
        if len(one) == 2:
            stores[one[0]].push(stores[one[1]])
            continue
        name, rewound, points = one
        with stores[name].resume(run.uid) as again:
            if rewound is not None:
                again.rewind(rewound)
            for at, value in points:
                again.log({"loss": value}, step=at)
        logged += len(points)

    joined = exchanged(stores, run.uid, order)

    if not any(len(one) == 3 and one[1] is not None for one in steps):
        assert joined.metrics["loss"].count == logged
