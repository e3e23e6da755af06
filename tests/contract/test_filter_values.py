"""A value in a filter means what is written: its spelling, its digits, its version, its day."""

from datetime import datetime, timezone

import pytest

from runstore.errors import FilterError
from runstore.model.facts import Facts
from runstore.model.query.exact import written_number
from runstore.model.query.times import moment

BIG = 2**53 + 1


def numbers(store, text):
    return sorted(run.run_number for run in store.find(text, limit=None))


def add(store, *, facts=None, tags=(), notes=None, params=None):
    run = store.start("e", params=params, notes=notes, capture=False)
    if facts:
        store.backend.database.attach_facts(run.uid, Facts(values=facts))
    run.tags.update(tags)
    run.finish()


def test_texts_are_compared_with_the_spelling_of_a_number(store):
    for notes in ("build 1e5", "build 100000", "rate 0.50", "True story"):
        add(store, notes=notes)

    found = {
        text: numbers(store, text)
        for text in (
            "notes contains 1e5",
            "notes contains 100000",
            "notes like '%' and notes contains 0.5",
            "notes contains 0.50",
            "notes ilike '%true%' and notes contains True",
            "notes ~ 1.0 or notes ~ 100000",
        )
    }

    assert list(found.values()) == [[1], [2], [3], [3], [4], [2]]


def test_whole_numbers_of_any_size_are_told_apart(store):
    values = [BIG - 1, BIG, BIG + 1, -BIG, 10**400, 10**400 + 1, float(BIG), 10**23, 1e23]
    for value in values:
        add(store, params={"id": value})

    for wanted in values:
        equal = [n for n, one in enumerate(values, 1) if one == wanted]
        below = [n for n, one in enumerate(values, 1) if one < wanted]
        text = f"{wanted}" if isinstance(wanted, int) else f"{int(wanted)}"
        assert numbers(store, f"params.id = {text}") == equal
        assert numbers(store, f"params.id < {text}") == below
        assert numbers(store, f"params.id in ({text}, 5)") == equal


def test_long_whole_numbers_of_one_length_are_sorted_exactly(store):
    values = [BIG + 2, BIG, BIG + 1, 2**64, 2**64 - 1, 2**64 + 1, 1_764_436_223_000_000_001]
    for value in values:
        add(store, params={"id": value}, tags={"id": value})

    for field in ("params.id", "tags.id"):
        found = store.find(f"order by {field}", limit=None)
        assert [run.params["id"] for run in found] == sorted(values)


def test_patterns_see_numbers_as_python_writes_them(store):
    """1e23 is half way between two doubles, and 1e15 + 0.25 has digits beyond a half."""
    values = (1e23, -1e23, 1e15 + 0.25, -1e15 - 0.125, 2.003485544858745e16, 1e16, 2e15, 1e-5)
    for value in values:
        add(store, params={"lr": value})

    found = [numbers(store, f"params.lr like '{value}'") for value in values]

    assert found == [[number] for number in range(1, len(values) + 1)]


def test_numbers_beyond_the_engine_are_compared_not_raised(store):
    add(store)

    for number in ("9" * 30, "1" + "0" * 400, "-" + "9" * 30):
        is_above = not number.startswith("-")
        assert numbers(store, f"run_number < {number}") == ([1] if is_above else [])
        assert numbers(store, f"exit_code = {number} or metrics.x > {number}") == []
        with pytest.raises(FilterError):
            store.find(f"duration < {number}0" + "0" * 400)


def test_tags_are_texts_unless_they_are_written_as_numbers(store):
    for value in ("007", "7", "1.10", "1.1", "12e4567", "12e4568", 0.5, "0.50", str(BIG)):
        add(store, tags={"t": value})

    assert numbers(store, "tags.t = 007") == [1]
    assert numbers(store, "tags.t = 7") == [2]
    assert numbers(store, "tags.t = '1.10'") == [3]
    assert numbers(store, "tags.t = '12e4567'") == [5]
    assert numbers(store, "tags.t = 0.5") == [7, 8]
    assert numbers(store, "tags.t < 1") == [7, 8]
    assert numbers(store, f"tags.t = {BIG}") == [9]
    assert numbers(store, f"tags.t = {BIG - 1}") == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-0.50", -0.5), (".5", 0.5), ("1e-05", 1e-5), ("inf", float("inf"))]
    + [(text, None) for text in ("", "+7", "00", "1_0", " 1", "nan", "infinity", "1e999", "0x1")],
)
def test_a_text_is_a_number_if_it_is_written_as_one(text, number):
    assert written_number(text) == number


def test_versions_are_versions_with_and_without_quotes(store):
    for version in ("3.9.1", "3.10.2", "3.11.0rc1", "local build"):
        add(store, facts={"python.version": version, "gpu.driver": version})

    for bound in ("3.10", "'3.10'"):
        assert numbers(store, f"python.version >= {bound}") == [2, 3]
        assert numbers(store, f"facts.gpu.driver < {bound}") == [1]
    assert numbers(store, "python.version = 3.10.2") == [2]
    assert numbers(store, "python.version in (3.9.1, '3.10.2')") == [1, 2]
    assert numbers(store, "python.version like '3.1%'") == [2, 3]


def test_facts_that_are_texts_work_with_numbers_or_refuse_them(store):
    for branch in ("20261126", "main"):
        add(store, facts={"git.branch": branch})

    assert numbers(store, "git.branch = 20261126") == [1]
    assert numbers(store, "git.branch != 20261126") == [2]
    assert numbers(store, "branch in (20261126, 5)") == [1]
    with pytest.raises(FilterError, match=r"Expected text for git\.branch") as caught:
        store.find("git.branch > 5")
    assert "quotes" in caught.value.hint


def test_a_parameter_that_is_none_is_not_one_that_is_missing(store):
    for params in ({"a": None}, {"a": 0}, {"a": "None"}, {}):
        add(store, params=params)

    assert numbers(store, "params.a is none") == [1]
    assert numbers(store, "params.a is not none") == [2, 3]
    assert numbers(store, "params.a is null") == [1, 4]
    assert numbers(store, "params.a is not null") == [2, 3]
    assert numbers(store, "params.a is missing") == [4]
    assert numbers(store, "params.a != 7") == [1, 2, 3]
    assert numbers(store, "params.a not in (7, 'x')") == [1, 2, 3]
    assert numbers(store, "not (params.a is none)") == [2, 3, 4]
    assert numbers(store, "notes is none") == [1, 2, 3, 4]


@pytest.mark.parametrize("params", [{}, {"a": {"bc": 1}, "ab": [1], "a-b": 2, '"a': 3}])
def test_a_list_or_an_object_is_not_missing(store, params):
    """Only its parts are in the table of parameters."""
    add(store, params=params)
    for value in (1, None, [1], [[1], 2], {"b": 1}, {"b.c": 1}, {3: 1}, [], {}, [0] * 40):
        add(store, params={"a": value})
    add(store, params=[{"name": "x", "b": 1}, {"name": "y", "a": [1]}])
    a, all_but_one = ([1], list(range(2, 13))) if not params else ([], list(range(1, 13)))

    assert numbers(store, "params.a is missing") == a
    assert numbers(store, "params.a is not missing") == all_but_one
    assert numbers(store, "not params.a is missing") == all_but_one
    assert numbers(store, "params[x].a is not missing") == []
    assert numbers(store, "params[y].a is not missing") == [12]
    assert numbers(store, "params.a.b is not missing") == [6]
    assert numbers(store, "params.a is null and run_number > 1") == [3, 4, 5, 6, 7, 8, 12]


def test_a_name_with_a_dot_has_parts_as_well(store):
    for params in ({"a.b": [1]}, {"a": {"b": [1]}}, {"a": {"b": {"c": 1}}}, {"a": {"bc": [1]}}):
        add(store, params=params)

    assert numbers(store, "params.a.b is not missing") == [1, 2, 3]
    assert numbers(store, "params.a.b is missing") == [4]


NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("2026", "year"),
        ("2026-11", "month"),
        ("2026-11-26", "day"),
        ("20261126", "day"),
        ("2026-11-26 10", "hour"),
        ("20261126T10", "hour"),
        ("2026-11-26T10:30", "minute"),
        ("20261126T1030", "minute"),
        ("2026-11-26 10:30:05", "second"),
        ("20261126103005", "second"),
        ("2026-11-26T10:30:05.25Z", "part"),
    ],
)
def test_a_time_lasts_as_long_as_its_last_unit(text, unit):
    seconds = {"day": 86400, "hour": 3600, "minute": 60, "second": 1, "part": 0.01}

    span = moment(text, NOW)

    lasted = (span.end - span.begin).total_seconds()
    days = {"year": (365, 366), "month": (30, 31)}.get(unit)
    if days:
        assert days[0] * 86400 - 3600 <= lasted <= days[1] * 86400 + 3600
    else:
        assert abs(lasted - seconds[unit]) <= (3600 if unit == "day" else 0)


@pytest.mark.parametrize(
    "text", ["202611", "2026-W48", "2026-1-5", "2026-13", "11/26/2026", "2026-11 10", "5", "-5"]
)
def test_a_time_that_can_be_read_in_two_ways_is_refused(store, text):
    with pytest.raises(FilterError):
        store.find(f"started > '{text}'")


def test_a_number_is_a_date_or_seconds_but_never_in_1970(store):
    add(store)
    year = datetime.now().astimezone().year

    assert numbers(store, f"started >= {year}0101") == [1]
    assert numbers(store, f"started < {year}0101") == []
    assert numbers(store, f"started >= {year} and started < {year + 2}") == [1]
    assert numbers(store, "started > 1664067852 and started > 1664067852747") == [1]
    with pytest.raises(FilterError):
        store.find("started > 202611")


def test_last_signs_of_life_of_ended_and_live_runs_are_found_and_sorted(store):
    signs = {1: 4_000_000, 2: 1_000_000, 3: None, 4: 3_000_000}
    runs = [store.start("e", capture=False) for _ in signs]
    for run in runs[:2]:
        run.finish()
    with store.backend.database.driver.write() as connection:
        for run, sign in zip(runs, signs.values(), strict=True):
            connection.execute("UPDATE runs SET last_seen_at = ? WHERE uid = ?", (sign, run.uid))

    found = {
        text: [run.run_number for run in store.find(text, limit=None)]
        for text in (
            "seen < '1970-01-01 00:00:03.5'",
            "seen is missing",
            "order by seen",
            "order by seen desc",
        )
    }

    for run in runs[2:]:
        run.finish()
    assert list(found.values()) == [[4, 2], [3], [2, 4, 1, 3], [1, 4, 2, 3]]
