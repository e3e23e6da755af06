"""Parameters of the kinds that training code has: each counts, and none is dropped unsaid."""

from __future__ import annotations

import collections
import enum
import functools
import io
import itertools
import logging
import math
import random
import re
import sqlite3
import subprocess
import sys
import threading
from argparse import Namespace
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, Optional
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import runstore
from runstore.analysis.compare.leaf_values import leaves
from runstore.errors import InvalidValueError, StoreWarning
from runstore.model.params.build import parameter_set, parameter_sets

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "parameters-and-hashes.md"


def hash_of(value: Any) -> str:
    return parameter_set({"it": value}).hash


# The table of the concept page


class Colour(enum.Enum):
    RED = 1


@dataclass
class Adam:
    lr: float = 0.1


class Ridge:
    def __init__(self, alpha=1):
        self.alpha = alpha
        self.coef_ = object()

    def get_params(self, deep=True):  # noqa: ARG002 - as scikit-learn calls it
        return {"alpha": self.alpha}


class Schedule:
    def __init__(self, warmup):
        self.warmup = warmup


NAMES = {
    one.__name__: one
    for one in (
        Decimal, Path, timedelta, ZoneInfo, ip_address, Colour, Adam, np, math, functools.partial,
        re, Ridge, Schedule, logging,
    )
}  # fmt: skip
NAMES["np"] = np
ROWS = re.findall(
    r"^\| (.+?) \| `(.+?)` \| `(.+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize(("kind", "example", "read"), ROWS, ids=[row[0] for row in ROWS])
def test_the_page_says_what_a_value_is_read_back_as(kind, example, read):
    found = parameter_set({"it": eval(example, dict(NAMES))}).values["it"]  # noqa: S307 - our page

    shown = repr(found).replace(f"{__name__}.", "")
    if isinstance(found, dict):
        shown = repr({key: found[key] for key in sorted(found, key=str)}).replace(
            f"{__name__}.", ""
        )
    assert shown == read


def test_the_page_has_a_row_for_each_kind():
    assert len(ROWS) >= 27


# Values that look alike


def scaled(factor):
    def scale(value):
        return value * factor

    return scale


class Bound:
    def __init__(self, rate):
        self._rate = rate

    def step(self):
        return self._rate


def twice(name):
    return type(name, (), {})


PAIRS: dict[str, tuple[Any, Any]] = {
    "lambdas": (lambda x: x, lambda x: -x),
    "lambdas with constants": (lambda x: x + 1, lambda x: x + 2),
    "closures": (scaled(1), scaled(2)),
    "defaults": ((lambda x, k=1: x + k), (lambda x, k=2: x + k)),
    "partials by argument": (functools.partial(int, base=2), functools.partial(int, base=3)),
    "partials by function": (functools.partial(int), functools.partial(float)),
    "methods of different objects": (Bound(1).step, Bound(2).step),
    "a function and its name": (len, "len"),
    "a class and its name": (int, "int"),
    "classes of equal objects": (twice("A")(), twice("B")()),
    "private attributes": (Bound(1), Bound(2)),
    "time zones of one name": (timezone(timedelta(0), "X"), timezone(timedelta(hours=1), "X")),
    "flags of patterns": (re.compile("a"), re.compile("a", re.IGNORECASE)),
    "patterns of bytes": (re.compile("a"), re.compile(b"a")),
    "slices": (slice(1), slice(2)),
    "exceptions": (ValueError(1), ValueError(2)),
    "random": (random.Random(1), random.Random(2)),
    "generators": (np.random.default_rng(1), np.random.default_rng(2)),
    "old generators": (np.random.RandomState(1), np.random.RandomState(2)),
    "dtypes": (np.dtype("f4"), np.dtype("f8")),
    "a dtype and its class": (np.dtype("f4"), np.float32),
    "ufuncs": (np.tanh, np.sin),
    "type aliases": (list[int], list[str]),
    "optional types": (Optional[int], Optional[str]),  # noqa: UP045 - another object
    "estimators": (Ridge(1), Ridge(2)),
}


def test_different_values_are_told_apart():
    same = [name for name, (one, other) in PAIRS.items() if hash_of(one) == hash_of(other)]

    assert same == []


def test_what_does_not_count_does_not_change_the_hash():
    fitted = Ridge(1)
    fitted.coef_ = np.ones(3)

    assert hash_of(fitted) == hash_of(Ridge(1))
    assert hash_of(scaled(1)) == hash_of(scaled(1))
    assert hash_of(np.random.default_rng(1)) == hash_of(np.random.default_rng(1))


# Attributes of subclasses


class Entries(dict):
    pass


class SlottedEntries(dict):
    __slots__ = ("layers",)


class Wrapped(collections.UserDict):
    pass


class Elements(list):
    pass


class Text(str):
    __slots__ = ("__dict__",)


class Number(float):
    pass


class Members(set):
    pass


class Pair(NamedTuple):
    a: int = 1


class LargerPair(Pair):
    pass


@dataclass
class Both(dict):
    lr: float = 0.1
    layers: int = 2


@dataclass(frozen=True)
class Frozen:
    lr: float = 0.1


class LargerAdam(Adam):
    pass


def holding(value, layers):
    object.__setattr__(value, "layers", layers)
    return value


HOLDERS = {
    "dict": lambda n: holding(Entries(lr=0.1), n),
    "dict with slots": lambda n: holding(SlottedEntries(lr=0.1), n),
    "UserDict": lambda n: holding(Wrapped(lr=0.1), n),
    "dict of which an entry has the name": lambda n: holding(Entries(layers=0), n),
    "dataclass": lambda n: holding(Adam(), n),
    "frozen dataclass": lambda n: holding(Frozen(), n),
    "subclass of a dataclass": lambda n: holding(LargerAdam(), n),
    "dataclass that is a dict": lambda n: Both(layers=n),
}
INNER_HOLDERS = {
    "list": lambda n: holding(Elements([1]), n),
    "text": lambda n: holding(Text("a"), n),
    "float": lambda n: holding(Number(1), n),
    "set": lambda n: holding(Members({1}), n),
    "named tuple": lambda n: holding(LargerPair(), n),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_attributes_of_a_set_count(name):
    one, other = (parameter_set(HOLDERS[name](n)) for n in (2, 50))

    assert one.hash != other.hash
    assert 50 in other.values.values()


@pytest.mark.parametrize("name", [*HOLDERS, *INNER_HOLDERS])
def test_attributes_of_a_value_count(name):
    make = {**HOLDERS, **INNER_HOLDERS}[name]

    assert hash_of(make(2)) != hash_of(make(50))


@given(st.dictionaries(st.sampled_from(["lr", "layers", "a"]), st.integers()))
def test_entries_that_are_attributes_as_well_count_once(values):
    """So do EasyDict, Munch and others; their released hashes stay."""
    shown = Entries(values)
    shown.__dict__.update(values)

    assert parameter_set(shown).hash == parameter_set(values).hash


def test_a_set_with_a_default_gets_no_further_key():
    values = collections.defaultdict(lambda: "other", lr=0.1)

    (one,) = parameter_sets(values)

    assert one == parameter_set({"lr": 0.1})
    assert dict(values) == {"lr": 0.1}


def test_private_attributes_and_caches_of_a_set_do_not_count():
    @dataclass
    class Cached:
        lr: float = 0.1

        @functools.cached_property
        def size(self):
            return 5

    one, other = Cached(), Cached()
    assert one.size == 5
    object.__setattr__(one, "_seen", 3)

    assert parameter_set(one).hash == parameter_set(other).hash


def test_extras_of_pydantic_count():
    pydantic = pytest.importorskip("pydantic")

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        lr: float = 0.1

    assert parameter_set(Open(layers=2)).values == {"lr": 0.1, "layers": 2}
    assert hash_of(Open(inner=Open(a=1))) != hash_of(Open(inner=Open(a=2)))


def test_models_of_pydantic_1_are_read_by_their_fields():
    pydantic = pytest.importorskip("pydantic.v1")

    class Settings(pydantic.BaseModel):
        lr: float = 0.1
        token: pydantic.SecretStr = pydantic.SecretStr("hunter2")

    found = parameter_set(Settings())

    assert found.values["lr"] == 0.1
    assert "hunter2" not in found.tree


def test_secrets_are_hidden_as_their_class_hides_them():
    pydantic = pytest.importorskip("pydantic")

    class Settings(pydantic.BaseModel):
        login: pydantic.SecretStr
        keys: list

    one = Settings(login="hunter2", keys=[pydantic.SecretBytes(b"hunter2")])
    sets = [parameter_set(one), parameter_set({"nested": {"settings": one}})]

    assert sets[0].values["login"] == repr(one.login)
    assert not any("hunter2" in found.tree for found in sets)


class Keyed:
    """With keys, and not registered as a mapping."""

    def __init__(self, entries):
        self._entries = entries

    def keys(self):
        return self._entries.keys()

    def __iter__(self):
        return iter(self._entries)

    def __getitem__(self, key):
        return self._entries[key]


def test_configurations_of_ml_collections_are_mappings():
    class ConfigDict(Keyed):
        pass

    ConfigDict.__module__ = "ml_collections.config_dict.config_dict"
    ConfigDict.__qualname__ = "ConfigDict"
    inner = {"layers": [1, 2]}

    found = parameter_sets(ConfigDict({"name": "small", "lr": 0.1, "model": ConfigDict(inner)}))

    assert found == parameter_sets({"name": "small", "lr": 0.1, "model": inner})
    assert [one.name for one in found] == ["small"]


def test_a_client_of_a_database_is_not_read_out():
    """It has keys as well: a client of redis, or an open file of dbm."""

    class Client(Keyed):
        def keys(self):
            raise ConnectionError

    assert parameter_set({"cache": Client(None)}).values["cache"]["_entries"] is None
    with pytest.raises(InvalidValueError, match="is not a set of values"):
        parameter_sets(sqlite_row())


def sqlite_row():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT 0.1 AS lr").fetchone()


def test_a_mapping_without_an_end_has_too_many_values():
    class Endless(collections.abc.Mapping):
        def __iter__(self):
            return itertools.count()

        def __getitem__(self, key):
            return key

        def __len__(self):
            return 0

    with pytest.raises(InvalidValueError, match="more than 100,000 values"):
        parameter_sets({"a": Endless()})


def test_an_argument_called_name_stays_a_parameter():
    """It may name a model: runs that differ only in it are no repetitions of each other."""
    sets = [parameter_set(Namespace(name=one, lr=0.1)) for one in ("resnet", "vgg")]

    assert [one.name for one in sets] == ["resnet", "vgg"]
    assert [one.values["name"] for one in sets] == ["resnet", "vgg"]
    assert sets == [parameter_set({"name": one, "lr": 0.1}) for one in ("resnet", "vgg")]


@pytest.mark.parametrize(
    "value",
    [
        Path("conf.yaml"),
        Fraction(1, 2),
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        np.float64(0.1),
        np.array(0.1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_no_set(value):
    with pytest.raises(InvalidValueError, match="is not a set of values"):
        parameter_sets(value)


def test_urls_of_pydantic_are_texts():
    pydantic = pytest.importorskip("pydantic")

    class Source(pydantic.BaseModel):
        url: pydantic.HttpUrl

    assert parameter_set(Source(url="https://a.example/b")).values == {
        "url": "https://a.example/b"
    }


def test_a_named_tuple_is_a_set_and_a_tuple_of_them_several():
    assert [one.values for one in parameter_sets(Pair(a=2))] == [{"a": 2}]
    assert [one.values for one in parameter_sets((Pair(a=2), Pair(a=3)))] == [{"a": 2}, {"a": 3}]


def test_an_attribute_that_cannot_be_stored_does_not_refuse_the_set():
    """The set could be stored before it was looked at."""
    settings = holding(Adam(), iter([1]))

    with pytest.warns(StoreWarning, match=r"params\.layers \(list_iterator\) by its type"):
        found = parameter_set(settings)

    assert found.values == {"lr": 0.1, "layers": "<list_iterator>"}


# Values that are kept in part, and said


def test_an_object_with_a_lock_keeps_the_rest():
    class Cache:
        def __init__(self, size):
            self.size = size
            self._lock = threading.Lock()

    with pytest.warns(StoreWarning, match=r"params\.it\._lock \(_thread\.lock\) by its type"):
        hashes = {hash_of(Cache(size)) for size in (1, 2)}

    assert len(hashes) == 2


def test_a_large_array_counts_by_its_digest():
    with pytest.warns(StoreWarning, match=r"params\.it \(numpy\.ndarray\) by its digest"):
        hashes = [hash_of(one) for one in (np.zeros(10_001), np.ones(10_001), np.zeros((73, 137)))]
        fortran = hash_of(np.asfortranarray(np.zeros((73, 137))))

    assert len(set(hashes)) == 3
    assert fortran == hashes[2]


@pytest.mark.parametrize("dtype", ["f4", ">f8", "M8[s]", "U3", "c16", "?", [("a", "i4")]], ids=str)
def test_large_arrays_of_any_kind_are_taken(dtype):
    with pytest.warns(StoreWarning, match="its digest"):
        assert hash_of(np.zeros(10_001, dtype)) != hash_of(np.zeros(10_002, dtype))


def test_an_object_that_holds_too_much_is_kept_by_its_type():
    class Heavy:
        def __init__(self):
            self.rows = [[number] for number in range(3_000)]

    with pytest.warns(StoreWarning, match=r"params\.it .*Heavy\) by its type"):
        found = parameter_set({"it": Heavy(), "lr": 0.1})

    assert found.values["lr"] == 0.1
    assert found.values["it"].endswith("Heavy>")


def test_an_object_that_holds_itself_is_kept():
    class Node:
        def __init__(self, size):
            self.size, self.parent, self.children = size, self, [self]

    assert hash_of(Node(1)) != hash_of(Node(2))


def test_one_warning_names_all_places(recwarn):
    parameter_set({f"p{number}": io.StringIO() for number in range(9)})

    (warning,) = recwarn
    assert "params.p0" in str(warning.message)
    assert "and 4 more" in str(warning.message)


def test_values_kept_in_full_are_stored_in_silence(recwarn):
    for one in (*PAIRS.values(), *(make(1) for make in HOLDERS.values())):
        hash_of(one)

    assert not recwarn.list


@pytest.mark.parametrize("name", ["lambdas", "closures", "generators", "estimators", "slices"])
def test_what_differs_is_seen_in_a_comparison(name):
    one, other = (leaves(parameter_set({"it": value}).tree or "") for value in PAIRS[name])

    assert one != other


def test_all_kinds_have_rows_leaves_and_a_preview():
    found = parameter_set({"it": [one for pair in PAIRS.values() for one in pair]})

    assert found.flat()
    assert found.preview()
    assert leaves(found.tree or "")


# Values that are refused


class Lazy(collections.abc.Mapping):
    def __getitem__(self, key):
        raise ValueError("no value")

    def __iter__(self):
        return iter(["lr", "name"])

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"a": {"b": Lazy()}}, "params.a.b.lr: the value cannot be read (ValueError: no value)"),
        (Lazy(), "params.lr: the value cannot be read"),
        ({"a": (one for one in "ab")}, "params.a: an object of type generator"),
        ({"a": object()}, "params.a: an object of type object"),
    ],
    ids=["inside", "at the top", "generator", "object"],
)
def test_what_cannot_be_read_is_named_by_its_place(values, place):
    with pytest.raises(InvalidValueError) as caught:
        parameter_sets(values)

    assert place in str(caught.value)


class RaisingName:
    def __call__(self):
        pass

    @property
    def __name__(self):
        raise RuntimeError("no name")


class RaisingDict:
    __slots__ = ()

    @property
    def __dict__(self):
        raise RuntimeError("no attributes")


class RaisingText(tzinfo):
    def __str__(self):
        raise RuntimeError("no text")


class RaisingArray:
    dtype = "f4"
    shape = (1,)

    def __array__(self, *_, **__):
        raise RuntimeError("no elements")


@pytest.mark.parametrize("kind", [RaisingName, RaisingDict, RaisingText, RaisingArray])
def test_what_a_class_raises_is_an_error_that_names_the_place(kind):
    with pytest.raises(InvalidValueError, match=r"params\.a\.b: .*RuntimeError: no "):
        parameter_set({"a": {"b": kind()}})


def test_an_attribute_that_raises_does_not_refuse_the_set():
    with pytest.warns(StoreWarning, match=r"params\.layers .*RaisingArray\) by its type"):
        assert parameter_set(holding(Adam(), RaisingArray())).values["lr"] == 0.1


def test_missing_values_of_omegaconf_are_named_by_their_place():
    omegaconf = pytest.importorskip("omegaconf")

    for values, place in (
        ({"optimizer": {"lr": "???"}}, "params.optimizer.lr"),
        ({"layers": [1, "???"]}, r"params.layers\[1\]"),
        ({"name": "???"}, "params.name"),
        ({"a": "${nowhere}"}, "params.a"),
    ):
        with pytest.raises(InvalidValueError, match=f"^{place}: the value cannot be read"):
            parameter_sets(omegaconf.OmegaConf.create(values))


# Libraries


def test_values_of_torch():
    torch = pytest.importorskip("torch")

    assert parameter_set({"it": torch.device("cuda:1")}).values["it"] == "cuda:1"
    assert parameter_set({"it": torch.float32}).values["it"] == "torch.float32"
    assert hash_of(torch.tensor(1.5, requires_grad=True)) == hash_of(1.5)
    assert hash_of(torch.tensor([1.0, 2.0])) == hash_of(np.array([1.0, 2.0]))
    assert hash_of(torch.tensor([True])) == hash_of(np.array([True]))
    assert parameter_set({"it": torch.nn.functional.relu}).values["it"].endswith(".relu")
    assert len({hash_of(torch.Generator().manual_seed(seed)) for seed in (1, 2)}) == 2
    with pytest.warns(StoreWarning, match="its digest"):
        large = {hash_of(make(10_001, dtype=torch.bfloat16)) for make in (torch.zeros, torch.ones)}
    assert len(large) == 2


def test_models_of_torch_count_by_their_layers():
    torch = pytest.importorskip("torch")

    with pytest.warns(StoreWarning, match=r"Linear\) by its structure"):
        hashes = [hash_of(torch.nn.Linear(1, width)) for width in (2, 3, 3)]

    assert hashes[0] != hashes[1] == hashes[2]


def test_tables_of_pandas_count_by_their_digest():
    pd = pytest.importorskip("pandas")
    tables = [pd.DataFrame({name: [value]}) for name, value in (("a", 1), ("a", 2), ("b", 1))]

    with pytest.warns(StoreWarning, match=r"pandas.*by its digest"):
        hashes = {hash_of(one) for one in (*tables, tables[0]["a"])}

    assert len(hashes) == 4
    assert hash_of(pd.Interval(0, 1)) != hash_of(pd.Interval(0, 2))


def test_estimators_of_scikit_learn():
    svm = pytest.importorskip("sklearn.svm")
    pipeline = pytest.importorskip("sklearn.pipeline")

    found = parameter_set(pipeline.make_pipeline(svm.SVC(C=2)).get_params())

    assert found.values["svc__C"] == 2
    assert found.values["svc"]["__class__"] == "sklearn.svm.SVC"


# One hash on every Python

PROGRAM = """
import datetime, functools, io, json, operator, pathlib, random, re, typing
from runstore.model.params.build import parameter_set
class Net:
    def __init__(self): self.depth, self._seen = 3, (1,)
    def run(self): pass
def relu(x): return x
class Args(dict): pass
args = Args(lr=1); args.layers = 2
VALUES = [relu, Net, Net(), Net().run, len, int, pathlib.Path, operator.add, json, io.StringIO,
    functools.partial(relu, 1, a=2), re.compile("a", re.I), slice(1, 2), ..., NotImplemented,
    datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1), "X"), list[int],
    typing.Optional[int], typing.Any, random.Random(3), ValueError("x"), args, {"a": 1}.keys(),
    memoryview(b"a"), dict]
print(parameter_set({"all": [parameter_set({"it": one}).hash for one in VALUES]}).hash)
"""
# Stores hold these hashes, so none may ever change.
RELEASED = "8c58dc0c6f2e6ae8a165981f1d2ea1c2"
INTERPRETERS = sorted(Path.home().glob(".pyenv/versions/3.1*/bin/python"))
SOURCE = str(Path(runstore.__file__).parent.parent)


def test_hashes_agree_on_every_python():
    found = {
        subprocess.run(
            [python, "-c", PROGRAM],
            env={"PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for python in (Path(sys.executable), *INTERPRETERS)
    }

    assert found == {RELEASED}
