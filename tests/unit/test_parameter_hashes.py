"""The hash of a parameter set: equal for equal values, everywhere and for good."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import runstore
import strategies
from runstore.model.params.build import parameter_set, parameter_sets
from runstore.model.params.encode_plain import plain_text
from runstore.model.params.parameter_set import tree_hash
from runstore.model.values import canonical_json

# Released hashes: stores hold them, so none may ever change. The program is plain Python 3.10.
GOLDEN_PROGRAM = """
import enum, json, math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from uuid import UUID
from runstore.model.params.build import parameter_set

class Colour(enum.Enum):
    RED = 1
class Way(enum.Flag):
    UP = 1
    DOWN = 2
@dataclass
class Inner:
    a: int = 1
VALUES = {
    "empty": {},
    "plain": {"lr": 0.1, "layers": 2, "kind": "adam", "deep": {"a": [1, None, True]}},
    "floats": {"a": [1e-9, 1e22, 0.1 + 0.2, -0.0, 5e-324, math.nan, math.inf, -math.inf]},
    "ints": {"a": [0, -1, 2**64, 10**616, 10**5000]},
    "texts": {"a": ["", "\\0", "\\u00e9", "\\U0001f680", "\\ud800", "\\ud83d\\ude00", "$", '"$']},
    "keys": {"$path": 1, 5: 2, None: 3, True: 4, 0.5: 5, (1, "a"): 6, Colour.RED: 7},
    "times": {"a": [date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), time(1, 2), timedelta(-1, 5)]},
    "numbers": {"a": [Decimal("1.50"), Decimal("1E+30"), Fraction(1, 3), 1 + 2j, range(3)]},
    "paths": {"a": [PurePosixPath("a/b"), PureWindowsPath("a\\\\b")]},
    "enums": {"a": [Colour.RED, Way.UP, Way.UP | Way.DOWN]},
    "sets": {"a": [{3, 1, 2}, frozenset("abc"), set()], "b": b"ab", "c": bytearray(b"ab")},
    "objects": {"a": Inner(), "b": OrderedDict(z=1, y=2), "c": UUID(int=7)},
}
print(json.dumps({key: parameter_set(one).hash for key, one in VALUES.items()}))
"""
GOLDEN = {
    "empty": "2afb9b83f9314e5d029766197f539792",
    "plain": "6075de06141ecb81a97b4b35737e6305",
    "floats": "c1f77887c64b6c41ef138abc68412192",
    "ints": "24bc78891b40637008e310dd49f4e638",
    "texts": "2eb2ea3550ac34910d5df53bc0119942",
    "keys": "c8b751047353090fdbcd366a0e440f37",
    "times": "adaea6883e28a0dbc9ccc4020fc4297a",
    "numbers": "fc7a7473e7a5562d2fc36cbd4d20e265",
    "paths": "038db36e8f6d7b0ae5346dec7039ac28",
    "enums": "e3dcbfc62cb315cec311bb366fec395f",
    "sets": "389cf0f2a31b8f1e4aac3cdd47203cac",
    "objects": "1ce076be3039acf3c66a3fa5d74a9c55",
}
SOURCE = str(Path(runstore.__file__).parent.parent)
INTERPRETERS = sorted(Path.home().glob(".pyenv/versions/3.1*/bin/python"))


@pytest.mark.parametrize("python", [Path(sys.executable), *INTERPRETERS], ids=str)
def test_released_hashes_never_change(python):
    done = subprocess.run(
        [python, "-c", GOLDEN_PROGRAM],
        env={"PYTHONPATH": SOURCE, "PYTHONHASHSEED": str(random.randrange(1000))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert json.loads(done.stdout) == GOLDEN


def shuffled(value: Any, order: random.Random) -> Any:
    """Return an equal value whose mappings were filled in another order."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(one, order) for one in value] if isinstance(value, list) else value


@given(strategies.parameter_mappings, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(values, order):
    assert parameter_set(shuffled(values, order)).hash == parameter_set(values).hash


@given(strategies.parameter_mappings, strategies.parameter_mappings)
def test_different_values_have_different_hashes(one, other):
    # A mapping's name is not part of its hash.
    one.pop("name", None)
    other.pop("name", None)
    assume(strategies.typed(one) != strategies.typed(other))

    assert parameter_set(one).hash != parameter_set(other).hash


@given(strategies.plain_values)
def test_the_short_way_gives_the_hash_of_the_long_way(value):
    """Plain mappings are encoded at once; a subclass of dict takes the general way."""
    assert parameter_set({"a": value}) == parameter_set(OrderedDict(a=value))


NEARLY_EQUAL = [
    1,
    1.0,
    True,
    "1",
    None,
    "None",
    [1],
    [[1]],
    {"1": 1},
    {1: 1},
    {True: 1},
    {1.0: 1},
    0.0,
    -0.0,
    "",
    [],
    {},
    set(),
    {1},
    b"1",
    "a/b",
    PurePosixPath("a/b"),
    {"$path": "a/b"},
    {"$$path": "a/b"},
    np.array([1]),
    np.array([1.0]),
    np.array([[1]]),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    "\ud83d\ude00",
    "\U0001f600",
    float("nan"),
    "nan",
    float("inf"),
    10**700,
    hex(10**700),
    {"$int": hex(10**700)},
]


def test_values_that_look_alike_have_hashes_of_their_own():
    hashes = {parameter_set({"a": one}).hash for one in NEARLY_EQUAL}

    assert len(hashes) == len(NEARLY_EQUAL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 2), [1, 2]),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.float64("nan"), float("nan")),
        (np.complex64(1j), 1j),
        (np.zeros(3, dtype="float32"), np.zeros(3)),
        (np.zeros(3, dtype=">i2"), np.zeros(3, dtype="int64")),
        (defaultdict(list, a=1), {"a": 1}),
        ({np.int64(3): 1}, {3: 1}),
        (frozenset({1, 2}), {2, 1}),
        (bytearray(b"a"), b"a"),
    ],
    ids=repr,
)
def test_equal_values_of_different_types_share_a_hash(one, other):
    assert parameter_set({"a": one}).hash == parameter_set({"a": other}).hash


def test_the_name_and_the_file_are_not_part_of_the_hash():
    sets = [
        parameter_set({"lr": 0.1}),
        parameter_set({"lr": 0.1}, name="b", file="wide"),
        parameter_set({"lr": 0.1, "name": "c"}),
        parameter_set({"lr": 0.1, "name": "é"}),
        parameter_set({"lr": np.float64(0.1), "name": "d"}),
    ]

    assert {one.hash for one in sets} == {tree_hash('{"lr":0.1}')}
    assert sets[2].values == {"lr": 0.1, "name": "c"}


@dataclass
class Model:
    layer: Any = len
    seed: int = 0
    hash_representations: dict = field(default_factory=lambda: {"seed": None})


@dataclass
class Params:
    name: str = "small"
    lr: float = 0.1
    workers: int = 4
    table: Any = None
    hash_representations: dict = field(
        default_factory=lambda: {
            "workers": None,
            "table": lambda owner, value: f"{owner.lr}{value!r}",
        }
    )


def test_fields_can_be_left_out_of_the_hash_and_stay_values():
    one, other = parameter_set(Params(workers=1)), parameter_set(Params(workers=8))

    assert one.hash == other.hash
    assert one.tree_key != other.tree_key
    assert other.values == {"name": "small", "lr": 0.1, "workers": 8, "table": None}


def test_a_function_says_what_stands_for_a_field():
    class Table(list):
        def __repr__(self):
            return f"table of {len(self)}"

    hashes = [parameter_set(Params(table=Table(one))).hash for one in ([1], [2], [1, 2])]

    assert hashes[0] == hashes[1] != hashes[2]


def test_what_cannot_be_stored_may_have_a_stand_in():
    one = Params(table=object(), workers=len)
    one.hash_representations["table"] = lambda _, __: Params

    found = parameter_set(one)

    assert found.values == {"name": "small", "lr": 0.1, "table": "Params", "workers": "len"}


def test_a_nested_dataclass_has_representations_of_its_own():
    one, other = Model(layer="a", seed=1), Model(layer="a", seed=2)

    hashes = {parameter_set({"model": model}).hash for model in (one, other)}

    assert hashes == {tree_hash('{"model":{"layer":"a"}}')}


def test_where_nothing_is_left_out_both_hashes_are_equal():
    found = parameter_set({"lr": 0.1, "path": Path("a")})

    assert found.tree_key == found.hash
    assert len(found.hash) == 32


def test_parameters_of_curifactory_leave_its_bookkeeping_out():
    curifactory = pytest.importorskip("curifactory")

    @dataclass
    class Theirs(curifactory.ExperimentParameters):
        lr: float = 0.1
        workers: int = 4
        hash_representations: dict = field(default_factory=lambda: {"workers": None})

    (found,) = parameter_sets(Theirs(name="a", overwrite=True))

    assert (found.name, found.hash) == ("a", tree_hash('{"lr":0.1}'))
    assert found.values == {"lr": 0.1, "workers": 4}


def test_fields_called_hash_and_overwrite_are_parameters_elsewhere():
    @dataclass
    class Download:
        name: str = "a"
        hash: str = "sha256"
        overwrite: bool = False

    assert parameter_set(Download()).values == {"name": "a", "hash": "sha256", "overwrite": False}


@given(st.dictionaries(strategies.any_text, strategies.plain_values | st.floats(), max_size=5))
def test_the_fast_text_of_plain_values_is_the_canonical_one(values):
    text = plain_text(values)

    assert text is None or text == canonical_json(values)


def test_a_set_that_contains_itself_has_no_fast_text():
    values = {"a": []}
    values["a"].append(values)

    assert plain_text(values) is None
