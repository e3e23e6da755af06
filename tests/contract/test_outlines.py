"""Outlines of series: whatever was logged, resumed and rewound, each level shows every extreme."""

import math
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runstore import Store, background
from runstore.errors import NotFoundError, StoreCorruptError, UsageError
from runstore.reading.metrics.outlines import values_at
from runstore.storage.metrics import chunks, levels, outlining
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.rows import to_micros

NOON_S, SECOND = 1_795_780_800, 1_000_000
# Sizes for which some hundreds of points make every level.
SMALL = ((chunks, "POINTS_AT_MOST", 8), (chunks, "FILLED_UP", 4), (levels, "POINTS_OF_BLOCK", 2))


@pytest.fixture
def small(monkeypatch, unsynced):
    for module, name, size in SMALL:
        monkeypatch.setattr(module, name, size)


def rows_of(store):
    """Return how many rows there are of each level."""
    with store.backend.database.driver.read() as connection:
        found = connection.execute("SELECT level, count(*) FROM metric_levels GROUP BY level")
        return dict(found.fetchall())


def change(store, statement):
    with store.backend.database.driver.write() as connection:
        connection.execute(statement)


# What plain Python says of an outline


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def extremes(values):
    known = [one for one in values if not math.isnan(one)]
    return min(known, default=math.nan), max(known, default=math.nan)


def check(outline, raw, begin, end, stretches):
    """Compare an outline with the points themselves: (x, value) in the order of logging."""
    low = min((x for x, _ in raw), default=0) if begin is None else begin
    high = max((x for x, _ in raw), default=0) if end is None else end
    shown = [(x, value) for x, value in raw if low <= x <= high]
    assert outline.count == len(shown)
    assert len(outline) <= max(2 * stretches, 1) or not is_in_order(shown)
    if len(shown) <= stretches:
        assert outline.is_exact
    width = max(high - low, 0) // stretches
    for one in outline:
        assert 0 <= one.x_last - one.x <= width or one.points == 1
    assert all(one.x <= next_one.x for one, next_one in pairwise(outline))
    if is_in_order(shown):
        check_parts(outline, shown)
    else:
        check_cover(outline, shown)


def is_in_order(points):
    return all(one[0] <= other[0] for one, other in pairwise(points))


def check_parts(outline, shown):
    """In the order of logging, each stretch is some points behind those of the one before."""
    at = 0
    for one in outline:
        part = shown[at : at + one.points]
        values = [value for _, value in part]
        low, high = extremes(values)
        assert (one.x, one.x_last) == (part[0][0], part[-1][0])
        assert same(one.first, values[0])
        assert same(one.last, values[-1])
        assert same(one.min, low)
        assert same(one.max, high)
        at += one.points


def check_cover(outline, shown):
    """Points that go back are within a stretch all the same, and nothing else is shown."""
    for x, value in shown:
        assert any(
            one.x <= x <= one.x_last and (math.isnan(value) or one.min <= value <= one.max)
            for one in outline
        )
    for one in outline:
        within = [(x, value) for x, value in shown if one.x <= x <= one.x_last]
        values = [value for _, value in within]
        assert any(same(one.min, value) for value in (*values, math.nan))
        assert any(same(one.max, value) for value in (*values, math.nan))
        assert any(x == one.x and same(value, one.first) for x, value in within)
        assert any(x == one.x_last and same(value, one.last) for x, value in within)


# Any life of a run

ODD = st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e308, -1e308, 500.0, -500.0])
LOGGED = st.tuples(
    st.just("log"),
    st.sampled_from([None, "b"]),
    st.sampled_from(["on", "on", "on", "back", "again", "apart", "any"]),
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 40), ODD), max_size=4),
)
STEPS_OF_LIFE = st.one_of(
    LOGGED,
    LOGGED,
    st.tuples(st.sampled_from(["absorb", "resume", "forget", "damage"])),
    st.tuples(st.just("rewind"), st.integers(0, 600)),
)
WINDOWS = st.tuples(
    st.sampled_from(["step", "time", "relative"]),
    st.one_of(st.none(), st.integers(-5, 900)),
    st.one_of(st.none(), st.integers(-5, 900)),
    st.integers(1, 40),
)


class Life:
    """A run, and every point that it logged: (step, second, value) by parameter set."""

    def __init__(self, store):
        self.store = store
        sets = [{"name": "a", "lr": 1}, {"name": "b", "lr": 2}]
        self.run = store.start("life", params=sets, capture=False)
        self.points = {None: [], "b": []}

    def log(self, set_name, kind, count, odd):
        values = [float(one * 37 % 101) for one in range(count)]
        for begin, length, value in odd:
            values[begin : begin + length] = [value] * len(values[begin : begin + length])
        into = self.run if set_name is None else self.run.of_set(set_name)
        raw = self.points[set_name]
        step, second = (raw[-1][0] + 1, raw[-1][1] + 1) if raw else (0, 0)
        places = range(count)
        steps = {
            "on": [step + one for one in places],
            "back": [max(step - 30, 0) + one for one in places],
            "again": [step // 2] * count,
            "apart": [step + one * one for one in places],
            "any": [one * 7919 % 211 for one in places],
        }[kind]
        seconds = [(second if kind != "any" else 0) + one // 3 for one in places]
        at = [NOON_S + one for one in seconds]
        into.log_points("loss", values, steps=steps, times=at)
        raw.extend(zip(steps, seconds, values, strict=True))

    def absorb(self):
        for path in self.store.backend.spool.point_files(self.run.uid):
            self.store.backend.metrics.absorb(path)

    def resume(self):
        self.run.finish()
        self.run = self.store.resume(self.run.uid)

    def rewind(self, step):
        self.run.rewind(step)
        for raw in self.points.values():
            raw[:] = [point for point in raw if point[0] < step]

    def forget(self):
        """As in a store that is older than the levels."""
        change(self.store, "DELETE FROM metric_levels WHERE (level + place + rowid) % 3 > 0")

    def damage(self):
        change(self.store, "UPDATE metric_levels SET blocks = x'00ff' WHERE rowid % 3 = 0")

    def check(self, x, begin, end, stretches):
        record = self.store.get(self.run.uid)
        origin = 0 if x == "step" else NOON_S * SECOND
        scale = 1 if x == "step" else SECOND
        if x == "relative":
            origin -= to_micros(record.started_at)
        bounds = [None if one is None else one * scale + origin for one in (begin, end)]
        begin, end = (None if one is None else one / scale for one in bounds)
        for set_name, raw in self.points.items():
            if not raw:
                with pytest.raises(NotFoundError):
                    record.outline("loss", set_name)
                continue
            outline = record.outline(
                "loss", set_name, x=x, begin=begin, end=end, stretches=stretches
            )
            place = 0 if x == "step" else 1
            along = [(one[place] * scale + origin, one[2]) for one in raw]
            check(Whole(outline, scale), along, *bounds, stretches)
            self.check_values(record, set_name, x, along)

    def check_values(self, record, set_name, x, along):
        """What was logged last at or before some places is what the points say."""
        set_index = -1 if set_name is None else 1
        low, high = min(x for x, _ in along), max(x for x, _ in along)
        places = sorted({low + (high + 9 - low) * one // 7 - 3 for one in range(8)} | {low, high})
        by_x = sorted(along, key=lambda point: point[0])
        expected = [
            [value for x, value in by_x if x <= place][-1] if low <= place <= high else None
            for place in places
        ]

        found = values_at(self.store.backend, record, KeyOf(set_index, "loss"), x, places)

        assert [one is None for one in found] == [one is None for one in expected]
        assert all(
            same(one, other) for one, other in zip(found, expected, strict=True) if one is not None
        )


class Whole:
    """An outline, its places as whole steps or microseconds."""

    def __init__(self, outline, scale):
        self.count, self.is_exact = outline.count, outline.is_exact
        self.stretches = [
            one._replace(x=round(one.x * scale), x_last=round(one.x_last * scale))
            for one in outline
        ]

    def __iter__(self):
        return iter(self.stretches)

    def __len__(self):
        return len(self.stretches)


GOES_BACK = [("log", None, "on", 100, []), *[("log", None, "back", 45, [])] * 8]


@pytest.mark.folder_only
@example(life=GOES_BACK, windows=[("step", None, None, 1), ("step", None, None, 3)])
@given(
    life=st.lists(STEPS_OF_LIFE, max_size=12), windows=st.lists(WINDOWS, min_size=1, max_size=3)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_level_says_what_the_points_say(small, store, life, windows):
    lived = Life(store)
    for what, *arguments in life:
        getattr(lived, what)(*arguments)
    for window in windows:
        lived.check(*window)
    lived.run.finish()
    for window in windows:
        lived.check(*window)
    assert {one.kind for one in store.check()} <= {"unused"}


# In its real size

POINTS, SPIKE = 100_000, 61_803


@pytest.fixture(scope="module")
def spiked(tmp_path_factory):
    """A store with a long run that has one spike, and its values."""
    values = [math.sin(one / 500) for one in range(POINTS)]
    values[SPIKE] = 40.0
    with Store.open(tmp_path_factory.mktemp("spiked")) as store:
        with store.start("long", capture=False) as run:
            run.log_points("loss", values)
        yield store, store.get(run.uid), values


@pytest.mark.parametrize("width", [10**exponent for exponent in range(6)])
def test_a_spike_is_there_at_every_zoom(spiked, width):
    _, run, values = spiked
    begin = max(SPIKE - width // 3, 0)

    outline = run.outline("loss", begin=begin, end=begin + width, stretches=300)

    (spike,) = [one for one in outline if one.max == 40.0]
    assert spike.x <= SPIKE <= spike.x_last
    assert spike.x_last - spike.x <= width / 300
    assert min(outline.min) == min(values[begin : begin + width + 1])
    assert outline.is_exact == (width <= 300)
    assert len(outline) <= 600


def test_a_plot_of_a_long_series_reads_little(spiked, monkeypatch):
    store, run, _ = spiked
    read = []
    monkeypatch.setattr(outlining, "column_of_x", lambda *a, **k: read.append(1) or known(*a, **k))
    known = chunks.column_of_x

    run.outline("loss")

    assert rows_of(store) == {0: 6, 1: 1}
    assert len(read) <= 4  # those behind the last row


def test_levels_of_a_series_that_has_none_are_made_by_the_first_look(spiked):
    store, run, _ = spiked
    before = [tuple(one) for one in run.outline("loss")]
    rows = rows_of(store)
    change(store, "DELETE FROM metric_levels")

    assert [tuple(one) for one in run.outline("loss")] == before
    background.wait_until_done(60)
    assert rows_of(store) == rows
    assert store.verify().problems == ()
    assert [tuple(one) for one in run.outline("loss")] == before


def test_levels_that_were_changed_show_nothing_that_was_not_logged(spiked):
    store, run, _ = spiked
    before = [tuple(one) for one in run.outline("loss")]
    changed = "CAST(substr(blocks, 1, 900) || x'5a5a' || substr(blocks, 903) AS BLOB)"
    change(store, f"UPDATE metric_levels SET blocks = {changed}")  # noqa: S608 - the line above
    assert [name.split(": ", 1)[1] for one in store.check(deep=True) for name in one.names] == [
        "loss: levels of detail"
    ] * 7

    assert [tuple(one) for one in run.outline("loss")] == before
    background.wait_until_done(60)
    assert store.verify().problems == ()


def test_levels_behind_the_points_are_named(spiked, tmp_path):
    store, run, _ = spiked
    change(store, "UPDATE metric_levels SET place = place + 90 WHERE level = 0 AND place = 3")
    try:
        (found,) = [one for one in store.check() if "levels" in one.what]
        assert found.names == (run.reference,)
    finally:
        change(store, "UPDATE metric_levels SET place = 3 WHERE place = 93")


@pytest.mark.folder_only
def test_points_that_cannot_be_read_are_an_error_of_their_series(store):
    with store.start("short", capture=False) as run:
        run.log_points("loss", [1.0, 2.0])
    change(store, "UPDATE metric_chunks SET chunk = x'0101'")

    with pytest.raises(StoreCorruptError, match="The metric 'loss' of short_1"):
        store.get("latest").outline("loss")


def test_a_run_that_goes_on_shows_what_it_logged_last(store):
    run = store.start("live", capture=False)
    for step in range(100):
        run.log(loss=float(step))
    outline = store.get("latest").outline("loss", begin=95)

    assert list(outline.last) == [95.0, 96.0, 97.0, 98.0, 99.0]
    assert outline.is_exact
    assert repr(outline) == "<Outline of 'loss': 5 points in 5 stretches>"
    run.finish()


def test_deleted_runs_leave_no_levels(store):
    with store.start("gone", capture=False) as run:
        run.log_points("loss", [1.0] * 20_000)
    assert rows_of(store) == {0: 1}
    store.delete(run.uid)
    store.collect_garbage(older_than=timedelta())

    assert rows_of(store) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stretches": 0}, "Expected stretches as an int, 1 to 10000, got 0"),
        ({"stretches": 10**6}, "1 to 10000"),
        ({"x": "epoch"}, "Expected x as one of step, relative, time, got 'epoch'"),
        ({"begin": "now"}, "Expected begin as a number"),
        ({"end": math.nan}, "Expected end as a number"),
        ({"x": "time", "end": datetime(2026, 1, 1)}, "with a time zone"),  # noqa: DTZ001 - none
    ],
)
def test_arguments_that_make_no_sense_are_refused(spiked, arguments, message):
    _, run, _ = spiked
    with pytest.raises(UsageError, match=message):
        run.outline("loss", **arguments)


def test_windows_may_be_open_empty_or_times(store):
    with store.start("windows", capture=False) as run:
        run.log_points("loss", [1.0, 2.0, 3.0], times=[NOON_S, NOON_S + 1, NOON_S + 2])
    run = store.get("latest")
    noon = datetime.fromtimestamp(NOON_S, timezone.utc)

    assert list(run.outline("loss", begin=-math.inf, end=math.inf).last) == [1.0, 2.0, 3.0]
    assert list(run.outline("loss", begin=0.5).last) == [2.0, 3.0]
    assert len(run.outline("loss", begin=5)) == len(run.outline("loss", begin=2, end=1)) == 0
    assert len(run.outline("loss", begin=math.inf)) == 0
    assert list(run.outline("loss", x="time", end=noon).x) == [NOON_S]
    with pytest.raises(NotFoundError, match="has no metric 'los'"):
        run.outline("los")


def test_values_to_be_drawn_side_by_side_are_both_extremes(spiked):
    _, run, values = spiked

    drawn = run.outline("loss", stretches=50).values

    assert len(drawn) < 200
    assert drawn.count(40.0) == 1
    assert drawn[0] == values[0]
    assert run.outline("loss", end=20).values == values[:21]


def test_columns_are_taken_as_they_are_by_numpy(spiked):
    numpy = pytest.importorskip("numpy")
    _, run, values = spiked

    outline = run.outline("loss")

    assert numpy.asarray(outline.max).max() == 40.0
    assert numpy.asarray(outline.points).sum() == len(values)


@pytest.mark.parametrize("kind", [int, np.int64])
def test_ends_of_windows_are_exact_steps(store, kind):
    """Beyond 2**53, floats skip steps."""
    begin = 2**53 + 1
    with store.start("long", capture=False) as run:
        run.log_points("loss", [1.0, 2.0, 3.0, 4.0], steps=range(begin - 1, begin + 3))

    outline = store.get("latest").outline("loss", begin=kind(begin), end=kind(begin + 1))

    assert list(outline.x) == [begin, begin + 1]
