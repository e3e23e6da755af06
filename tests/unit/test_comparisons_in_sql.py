"""One value compared with what a filter wants of it: what the SQL answers, value by value."""

import math
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.query.evaluate import holds
from runstore.model.query.tree import Compare, Field, Kind, Namespace, Op
from runstore.storage.query.operators import ComparisonBuilder, joined
from runstore.storage.sqlite.functions import add_functions

PARAM = Field(Namespace.PARAM, "x", Kind.CELL)
TAG = Field(Namespace.TAG, "x", Kind.CELL)
PLAIN = Field(Namespace.RUN, "notes", Kind.TEXT)
VERSION = Field(Namespace.FACT, "python.version", Kind.VERSION)
NOTHING, NAN, TRUE = (None, None), (None, "nan"), (1.0, "true")
BIG = 2**60


@pytest.fixture(scope="module")
def connection():
    with closing(sqlite3.connect(":memory:")) as connection:
        add_functions(connection)
        connection.execute("CREATE TABLE t (number REAL, text TEXT)")
        yield connection


def answer(connection, field, op, wanted, cell, *, is_negated=False):
    """Return what SQL says of one value: a cell's number and text."""
    builder = ComparisonBuilder()
    condition = builder._checked(Compare(field, op, wanted, is_negated), "number", "text")
    connection.execute("DELETE FROM t")
    connection.execute("INSERT INTO t VALUES (?, ?)", cell)
    statement = f"SELECT {condition} IS TRUE FROM t"  # noqa: S608 - values are parameters
    return bool(connection.execute(statement, builder.parameters).fetchone()[0])


COMPARED = [
    ((0.1, None), Op.EQUAL, 0.1, True),
    ((0.1, None), Op.BELOW, 0.1, False),
    ((0.1, None), Op.AT_MOST, 0.1, True),
    ((0.1, None), Op.ABOVE, 0, True),
    ((0.1, None), Op.EQUAL, "0.1", True),  # MLflow quotes numbers
    ((0.1, None), Op.EQUAL, "0.10", True),
    (TRUE, Op.EQUAL, True, True),
    (TRUE, Op.EQUAL, 1, False),
    (TRUE, Op.ABOVE, 0, False),
    (TRUE, Op.EQUAL, "True", True),
    ((None, "True"), Op.EQUAL, "True", True),
    ((None, "true"), Op.EQUAL, True, False),
    (NOTHING, Op.EQUAL, None, True),
    (NOTHING, Op.EQUAL, "None", True),
    ((None, "None"), Op.EQUAL, None, False),
    (NOTHING, Op.BELOW, None, False),
    (NAN, Op.EQUAL, math.nan, True),
    (NAN, Op.ABOVE, math.nan, False),
    (NAN, Op.ABOVE, 0.0, False),
    ((None, "adam"), Op.EQUAL, "adam", True),
    ((None, "adam"), Op.ABOVE, "Adam", True),
    ((None, "adam"), Op.ABOVE, 1, False),
    ((None, "adam"), Op.LIKE, "A%", False),
    ((None, "adam"), Op.ILIKE, "A%", True),
    ((None, "a%m"), Op.LIKE, "a\\%m", True),
    ((None, "axm"), Op.LIKE, "a\\%m", False),
    ((None, "a*m"), Op.LIKE, "a*m", True),
    ((None, "axxm"), Op.LIKE, "a*m", False),
    ((None, "a_m"), Op.ILIKE, "A\\_M", True),
    ((None, "adam"), Op.CONTAINS, "da", True),
    ((None, "adam"), Op.CONTAINS, "DA", False),
    ((None, "adam"), Op.MATCHES, "^a.*m$", True),
    ((None, "adam"), Op.MATCHES, "dam", True),
    ((64.0, None), Op.LIKE, "6_", True),
    ((1e-05, None), Op.CONTAINS, "e-0", True),
    ((64.0, None), Op.CONTAINS, "x", False),
    ((0.5, None), Op.IN, (0.1, 0.5), True),
    ((0.5, None), Op.IN, ("a", None), False),
    ((float(BIG), str(BIG)), Op.EQUAL, BIG, True),
    ((float(BIG), str(BIG + 1)), Op.EQUAL, BIG, False),
    ((float(BIG), str(BIG + 1)), Op.ABOVE, BIG, True),
    ((float(BIG), str(BIG - 1)), Op.BELOW, BIG, True),
    ((float(-BIG), str(-BIG - 1)), Op.BELOW, -BIG, True),
    ((float(-BIG), str(-BIG)), Op.AT_LEAST, -BIG, True),
    ((float(BIG), None), Op.EQUAL, BIG, True),
    ((float(BIG), None), Op.EQUAL, BIG + 1, False),
    ((float(BIG), None), Op.BELOW, BIG + 1, True),
    ((float(BIG), None), Op.AT_LEAST, BIG + 1, False),
    ((math.inf, "9" * 400), Op.BELOW, math.inf, True),
    ((math.inf, "9" * 400), Op.EQUAL, math.inf, False),
    ((math.inf, "inf"), Op.EQUAL, math.inf, True),
]


def test_a_parameter_is_compared_as_people_write_it(connection):
    for cell, op, wanted, expected in COMPARED:
        case = cell, op, wanted
        assert answer(connection, PARAM, op, wanted, cell) is expected, case
        negated = answer(connection, PARAM, op, wanted, cell, is_negated=True)
        assert negated is not expected, case


@pytest.mark.parametrize(
    ("text", "op", "wanted", "expected"),
    [
        ("12", Op.EQUAL, "12", True),
        ("12", Op.EQUAL, 12, True),
        ("12.0", Op.EQUAL, "12", False),  # in quotes, a tag is compared by letters
        ("12.0", Op.EQUAL, 12, True),
        ("9", Op.ABOVE, "12", True),
        ("9", Op.ABOVE, 12, False),
        ("true", Op.EQUAL, "TRUE", True),
        ("TRUE", Op.EQUAL, "TRUE", True),
        ("True", Op.EQUAL, "TRUE", False),
        ("pilot", Op.LIKE, "p%", True),
    ],
)
def test_a_tag_in_quotes_is_compared_by_letters(connection, text, op, wanted, expected):
    number = {"12": 12.0, "12.0": 12.0, "9": 9.0, "true": 1.0}.get(text)

    assert answer(connection, TAG, op, wanted, (number, text)) is expected


@pytest.mark.parametrize(
    ("value", "op", "wanted", "expected"),
    [
        (2.0, Op.EQUAL, 2, True),
        (2.0, Op.ABOVE, 1, True),
        (None, Op.EQUAL, 2, False),
        (None, Op.EQUAL, math.nan, True),  # as NaN is kept
        (None, Op.BELOW, math.nan, False),
        (2.0, Op.EQUAL, math.nan, False),
        (2.0, Op.IN, (1, 2), True),
        (2.0, Op.CONTAINS, "2.", True),
        (2.0, Op.MATCHES, "^2", True),
    ],
)
def test_a_field_of_the_run_is_compared_as_it_is(connection, value, op, wanted, expected):
    assert answer(connection, PLAIN, op, wanted, (value, None)) is expected


@pytest.mark.parametrize(
    ("version", "op", "wanted", "expected"),
    [
        ("3.9.1", Op.BELOW, "3.10", True),
        ("3.10", Op.EQUAL, "3.10.0", True),
        ("3.11", Op.LIKE, "3.%", True),
        ("trunk", Op.EQUAL, "trunk", True),
        ("trunk", Op.ABOVE, "3.9", False),
    ],
)
def test_a_version_is_compared_part_by_part(connection, version, op, wanted, expected):
    assert answer(connection, VERSION, op, wanted, (None, version)) is expected


NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**70), 2**70)
CELLS = (
    st.sampled_from([NOTHING, NAN, TRUE, (0.0, "false"), (math.inf, "inf"), (-math.inf, "-inf")])
    | st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.none())
    | st.integers(-(2**70), 2**70).map(lambda n: (float(n), str(n) if abs(n) > 2**53 else None))
    | st.tuples(st.none(), st.text("aA0.%_*[e-", max_size=4))
)
WANTED = st.none() | st.booleans() | NUMBERS | st.text("aA0.%_*[e-", max_size=4)


@given(CELLS, st.sampled_from([op for op in Op if op not in {Op.IN, Op.MATCHES}]), WANTED)
def test_sql_and_python_agree_on_any_value(connection, cell, op, wanted):
    if op in {Op.CONTAINS, Op.LIKE, Op.ILIKE} and not isinstance(wanted, str):
        return  # refused when a filter is read

    assert answer(connection, PARAM, op, wanted, cell) is holds(Compare(PARAM, op, wanted), cell)


def test_many_conditions_are_joined_without_depth():
    parts = [f"({n} = {n})" for n in range(5_000)]

    made = joined("OR", parts)

    depth = deepest = 0
    for sign in made:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        deepest = max(deepest, depth)
    assert deepest < 20
    assert made.count(" OR ") == len(parts) - 1
