"""Named tuples behave as those of `typing`, which take three times as long to make."""

import copy
import inspect
import pickle
import typing

import pytest

from runstore.model.reference import Numbered
from runstore.value_classes import NamedTuple


class Light(NamedTuple):
    """Where something is."""

    path: str
    line: int = 1
    names: "tuple[str, ...]" = ()

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    @classmethod
    def first_of(cls, path):
        return cls(path)

    def __bool__(self) -> bool:
        return self.line > 0


class Usual(typing.NamedTuple):
    """Where something is."""

    path: str
    line: int = 1
    names: "tuple[str, ...]" = ()


def test_fields_and_defaults_are_those_of_typing():
    assert Light._fields == Usual._fields
    assert Light._field_defaults == Usual._field_defaults
    assert Light.__annotations__.keys() == Usual.__annotations__.keys()
    assert Light("a") == Usual("a") == ("a", 1, ())
    assert repr(Light("a", names=("b",))) == "Light(path='a', line=1, names=('b',))"
    assert Light("a")._replace(line=3).line == 3
    assert Light.__doc__ == Usual.__doc__
    assert inspect.signature(Light).parameters["line"].annotation is int
    assert typing.get_type_hints(Light) == typing.get_type_hints(Usual)
    with pytest.raises(TypeError):
        Light()
    with pytest.raises(AttributeError):
        Light("a").line = 2


def test_a_named_tuple_has_the_methods_of_its_class():
    assert Light.first_of("a").place == "a:1"
    assert not Light("a", 0)
    assert (Light.__module__, Light.__qualname__) == (__name__, "Light")


def test_named_tuples_are_sent_and_copied():
    light = Light("a", 2)

    assert pickle.loads(pickle.dumps(light)) == copy.deepcopy(light) == light  # noqa: S301 - ours
    assert type(copy.copy(Numbered("fit", 3))) is Numbered
