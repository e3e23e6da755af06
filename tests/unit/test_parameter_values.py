"""Parameter values come back as they were, and what cannot be kept names its place."""

from __future__ import annotations

import argparse
import enum
import types
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given

import strategies
from runstore.errors import InvalidValueError
from runstore.model.params.build import parameter_set, parameter_sets
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.values import TEXT_LIMIT_CHARACTERS, canonical_json, check_text


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Optimizer:
    kind: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass
class Params:
    name: str = "small"
    lr: float = 0.1
    optimizer: Optimizer = field(default_factory=Optimizer)


class Point(NamedTuple):
    x: int
    y: int


@given(strategies.parameter_mappings)
def test_values_come_back_with_their_types(values):
    found = parameter_set(values)

    assert strategies.typed(found.values) == strategies.typed(values)


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        ((1, 2), [1, 2]),
        (Path("a/b"), Path("a/b")),
        (PureWindowsPath("C:\\data"), Path("C:/data")),
        (datetime(2026, 1, 2, 3, 4, 5, 6), datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001
        (timedelta(days=-1, microseconds=1), timedelta(days=-1, microseconds=1)),
        (Decimal("1.50"), Decimal("1.50")),
        (Fraction(1, 3), Fraction(1, 3)),
        (1 + 2j, 1 + 2j),
        (b"\x00\xff", b"\x00\xff"),
        ({3, 1, 2}, {1, 2, 3}),
        (frozenset({(1, 2)}), {(1, 2)}),
        (range(0, 10, 2), range(0, 10, 2)),
        (float("inf"), float("inf")),
        (Colour.RED, "RED"),
        (Level.LOW, "LOW"),
        (Optimizer(), {"kind": "adam", "betas": [0.9, 0.999]}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-02T03:04:05.000000007"), "2026-01-02T03:04:05.000000007"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([0.5, np.inf]), [0.5, np.inf]),
        (types.MappingProxyType({1: "a", "1": "b"}), {1: "a", "1": "b"}),
        ({Colour.RED: 1, (1, 2): 2, None: 3}, {"RED": 1, (1, 2): 2, None: 3}),
        ({"$path": "not a path"}, {"$path": "not a path"}),
    ],
    ids=repr,
)
def test_a_value_of_this_type_comes_back(value, decoded):
    found = parameter_set({"it": value}).values["it"]

    assert found == decoded
    assert type(found) is type(decoded)


def test_nan_comes_back():
    found = parameter_set({"it": float("nan")}).values["it"]

    assert found != found  # noqa: PLR0124 - NaN


def test_a_dataclass_gives_its_name_and_its_fields():
    found = parameter_set(Params())

    assert found.name == "small"
    optimizer = {"kind": "adam", "betas": [0.9, 0.999]}
    assert found.values == {"name": "small", "lr": 0.1, "optimizer": optimizer}


def test_an_object_gives_its_attributes_and_its_class_defaults():
    class Wide:
        name = "wide"
        layers = 4
        width = 64

        def __init__(self):
            self.width = 128
            self._cache = object()

        @property
        def size(self):
            return self.layers * self.width

    found = parameter_set(Wide())

    assert (found.name, found.values) == ("wide", {"name": "wide", "layers": 4, "width": 128})


def test_an_object_with_slots_gives_them():
    class Narrow:
        __slots__ = ("lr", "name", "unset")

        def __init__(self):
            self.name, self.lr = "narrow", 0.1

    found = parameter_set(Narrow())

    assert (found.name, found.values) == ("narrow", {"name": "narrow", "lr": 0.1})


def test_arguments_of_a_command_line_are_parameters():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)

    assert parameter_set(parser.parse_args([])).values == {"lr": 0.1}


def recursive():
    inside: list[Any] = []
    inside.append(inside)
    return inside


def deep(levels):
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def doubling(levels):
    value: Any = [1]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"model": {"layer": object()}}, "params.model.layer: an object of type object"),
        ({"a": [1, iter([])]}, "params.a[1]: an object of type list_iterator"),
        ({"a": {object(): 1}}, "params.a.(key): an object of type object"),
        ({"a": np.array([object()])}, "params.a[0]: an object of type object"),
        ({"a": np.array([{}] * 10_001)}, "params.a: an array of 10,001 objects"),
        ({"a": object()}, "params.a: an object of type object"),
        ({"a": recursive()}, "params.a[0][0]: values nested deeper than 64"),
        (deep(70), "params.a.a.a: values nested deeper"),
        ({"a": doubling(40)}, "params: more than 100,000 values"),
        ({"a": list(range(100_000))}, "params: more than 100,000 values, including lists and map"),
        (dict.fromkeys(map(str, range(100_001)), 0), "params: more than 100,000 values"),
        ({"a": "x" * (17 << 20)}, "params: 17,825,"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_kept_is_refused_by_its_place(values, place):
    with pytest.raises(InvalidValueError) as caught:
        parameter_set(values)

    assert place in str(caught.value)


@pytest.mark.parametrize("last", [0, Path("data")], ids=["plain", "path"])
def test_keys_are_not_counted_as_values(last):
    values = {**dict.fromkeys(map(str, range(99_998)), 0), "in": {"last": last}}

    assert parameter_set(values).values == values


def test_unknown_values_are_empty():
    found = ParameterSet("imported", "abc", None)

    assert (found.values, found.flat(), found.preview()) == ({}, (), "")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (None, []),
        ({"lr": 1}, ["default"]),
        ({}, ["default"]),
        ({"name": "wide"}, ["wide"]),
        (Params(), ["small"]),
        (parameter_set({}, name="x"), ["x"]),
        ([{"lr": 1}], ["default"]),
        ([{"lr": 1}, {"name": "wide"}, Optimizer()], ["set1", "wide", "set3"]),
        ((Params(name=one) for one in "ab"), ["a", "b"]),
        ([], []),
    ],
)
def test_start_takes_one_set_or_several(params, names):
    assert [one.name for one in parameter_sets(params)] == names


def test_two_sets_of_one_name_are_refused_unless_their_files_differ():
    one = parameter_set({"lr": 1}, name="a", file="small")

    with pytest.raises(InvalidValueError, match=r"two parameter sets in small are called 'a'"):
        parameter_sets([one, one])

    assert len(parameter_sets([one, one.with_file("wide")])) == 2


@pytest.mark.parametrize("params", ["lr=1", 5, b"", Params, [5], [[]], len, 0.5, Colour.RED])
def test_what_is_no_set_of_values_is_refused(params):
    with pytest.raises(InvalidValueError, match="is not a set of values"):
        parameter_sets(params)


@given(strategies.notes)
def test_notes_are_kept_as_every_engine_takes_them(text):
    kept = check_text(text, "notes")

    assert (kept is None) == (text is None)
    if kept is not None:
        assert kept.encode("utf-8").decode() == kept
        assert "\0" not in kept


@pytest.mark.parametrize("wrong", [5, b"x", ["x"], "x" * (TEXT_LIMIT_CHARACTERS + 1)])
def test_what_is_no_note_is_refused(wrong):
    with pytest.raises(InvalidValueError, match="notes: "):
        check_text(wrong, "notes")


def test_canonical_json_has_one_text_per_value():
    assert canonical_json({"b": 1.0, "a": ["é"]}) == '{"a":["\\u00e9"],"b":1.0}'
    assert canonical_json(datetime.now(timezone.utc).year) == str(datetime.now(timezone.utc).year)
