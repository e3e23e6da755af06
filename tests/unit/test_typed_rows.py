"""Parameters as rows of a tree: types, exact texts, and bounds for what is huge or deep."""

import enum
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from runstore.model.params.build import parameter_sets
from runstore.model.params.typed_rows import ITEMS_AT_MOST, ROWS_AT_MOST, TEXT_AT_MOST, typed_rows


class Colour(enum.Enum):
    RED = 1


def rows_of(params):
    (one,) = parameter_sets(params)
    return typed_rows(one.tree)


def told(params):
    return [(row.key, row.type, row.text, row.size) for row in rows_of(params)]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1.0, "float", "1.0"),
        (1, "int", "1"),
        (2**70, "int", str(2**70)),
        (1e300, "float", "1e+300"),
        (float("inf"), "float", "inf"),
        (True, "bool", "True"),
        (None, "none", "None"),
        ("", "text", ""),
        ("1.0", "text", "1.0"),
        (Decimal("1.10"), "decimal", "1.10"),
        (Path("a/b"), "path", "a/b"),
        (timedelta(seconds=90), "timedelta", "0:01:30"),
        (Colour.RED, "enum", "RED"),
        (b"\x01\xff", "bytes", "01ff"),
        ("a\0b", "text", "a\ufffdb"),
    ],
)
def test_each_value_has_its_type_and_its_exact_text(value, kind, text):
    assert told({"x": value}) == [("x", kind, text, None)]


def test_heads_come_before_what_is_in_them():
    assert told({"a": {"b": [1, {"c": 2}]}, "d": {}, "e": []}) == [
        ("a", "mapping", "", 1),
        ("a.b", "list", "", 2),
        ("a.b[0]", "int", "1", None),
        ("a.b[1]", "mapping", "", 1),
        ("a.b[1].c", "int", "2", None),
        ("d", "mapping", "", 0),
        ("e", "list", "", 0),
    ]


def test_keys_are_those_that_filters_have():
    rows = rows_of({"a.b": 1, 3: 2, "x": {"with space": 3}})

    assert {row.key: row.name for row in rows} == {
        '"a.b"': "a.b",
        "[3]": "3",
        "x": "x",
        'x."with space"': "with space",
    }


def test_sets_and_arrays_say_what_they_are():
    np = pytest.importorskip("numpy")

    rows = told({"s": {1}, "a": np.zeros((2, 3), "f4")})

    assert ("s", "set", "", 1) in rows
    assert ("a", "float array 2x3", "", 2) in rows


def test_what_is_long_is_cut():
    rows = rows_of({"many": list(range(ITEMS_AT_MOST * 2)), "long": "x" * TEXT_AT_MOST * 2})

    sizes = {row.key: row.size for row in rows}
    assert sizes["many"] == ITEMS_AT_MOST * 2
    assert f"many[{ITEMS_AT_MOST}]" not in sizes
    assert len(next(row.text for row in rows if row.key == "long")) == TEXT_AT_MOST


def test_a_tree_without_an_end_has_an_end():
    wide = "{" + ",".join(f'"k{n}":{n}' for n in range(ROWS_AT_MOST + 5)) + "}"
    deep = '{"a":' * 200 + "1" + "}" * 200

    assert len(typed_rows(wide)) == ROWS_AT_MOST
    assert max(row.depth for row in typed_rows(deep)) < 100
    assert typed_rows(None) == []
