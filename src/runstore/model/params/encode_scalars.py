"""Encoding of scalar values that JSON lacks as tagged objects, and errors for unsupported ones."""

from __future__ import annotations

import re
from collections.abc import Callable

from runstore.errors import InvalidValueError
from runstore.model.params.attributes import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    Place = tuple[Any, ...]
    Tree = Any
    Way = Callable[[Any, Any, Place], Tree]
else:
    Protocol = object

ARRAY_LIMIT = 10_000

# Python limits the digits of an int in text, to at least 640; 2,048 bits are 617 digits.
PLAIN_INT_BITS = 2048
# JSON would combine two adjacent halves into a single character.
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class PartBuilder(Protocol):
    """Converts the parts of a value to trees."""

    def build(self, value: Any, place: Place) -> Tree:
        """Return the tree of a value at a place."""

    def by_type(self, value: Any, place: Place) -> Tree:
        """Return the name of a value's type in place of the value, with a note."""

    def note(self, place: Place, value: Any, kept: str) -> None:
        """Note that only a part of a value is recorded."""


def _int(_: PartBuilder, value: Any, __: Place) -> Tree:
    whole = int.__index__(value)
    return whole if whole.bit_length() <= PLAIN_INT_BITS else {"$int": hex(whole)}


def _float(_: PartBuilder, value: Any, __: Place) -> Tree:
    real = float.__float__(value)
    return real if real - real == 0 else {"$float": repr(real)}


def _text(_: PartBuilder, value: Any, __: Place) -> Tree:
    text = str.__str__(value)
    if text.isascii() or not _SPLIT_PAIR.search(text):
        return text
    return {"$utf32": text.encode("utf-32-be", "surrogatepass").hex()}


def enum_tree(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return class and member of an enum, by name."""
    # Combined flags have no name, or a name that depends on the Python version.
    named = value.name in type(value).__members__
    return {
        "$enum": [type(value).__name__, builder.build(value.name if named else value.value, place)]
    }


def _numpy_scalar(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return the tree of the Python value that the scalar equals."""
    plain = None if value.dtype.kind in "mM" else value.item()
    # Dates have more units than Python's, a long double has more bits: they stay texts.
    if plain is None or type(plain) is type(value):
        return {"$numpy": [value.dtype.kind, str(value)]}
    return builder.build(plain, place)


def numpy_array(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return kind, shape and nested lists; equal numbers of any precision are equal."""
    kind = value.dtype.kind
    plain = value.astype(str) if kind in "mM" else value
    return {"$array": [kind, list(value.shape), builder.build(plain.tolist(), place)]}


def _tagged(tag: str, text: Callable[[Any], Any]) -> Way:
    return lambda _, value, __: {tag: text(value)}


def _tagged_parts(tag: str, *names: str) -> Way:
    """Return an encoder for an object that consists of numbers of any size."""
    return lambda builder, value, place: {
        tag: [builder.build(getattr(value, name), place) for name in names]
    }


def _iso(value: Any) -> str:
    return str(value.isoformat())


def _posix(value: Any) -> Tree:
    return _text(value, value.as_posix(), ())


def _micros(value: Any) -> int:
    return int((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds)


WAYS: dict[type, Way] = {
    str: _text,
    int: _int,
    float: _float,
    complex: _tagged_parts("$complex", "real", "imag"),
    range: _tagged_parts("$range", "start", "stop", "step"),
    bytes: _tagged("$bytes", bytes.hex),
    bytearray: _tagged("$bytes", bytearray.hex),
    memoryview: _tagged("$bytes", memoryview.hex),
}
# By name, so that modules are not imported for values that do not occur.
WAYS_BY_NAME: dict[str, Way] = {
    "pathlib.PurePath": _tagged("$path", _posix),
    "pathlib._local.PurePath": _tagged("$path", _posix),  # Python 3.13
    "datetime.datetime": _tagged("$datetime", _iso),
    "datetime.date": _tagged("$date", _iso),
    "datetime.time": _tagged("$time", _iso),
    "datetime.timedelta": _tagged("$timedelta", _micros),
    # The case of the exponent's letter depends on the decimal context.
    "decimal.Decimal": _tagged("$decimal", lambda value: str(value).replace("e", "E")),
    "fractions.Fraction": _tagged_parts("$fraction", "numerator", "denominator"),
    "uuid.UUID": _tagged("$uuid", str),
    "numpy.generic": _numpy_scalar,
}


def place_of(place: Place) -> str:
    """Return a place in readable form: `params.layers[0].size`."""
    text = str(place[0])
    for step in place[1:]:
        if isinstance(step, int):
            text += f"[{int(step)}]"
        else:
            shown = str(step)
            text += f".{shown if shown.isprintable() else repr(shown)}"[:80]
    return text


def refusal(place: Place, why: str, value: Any = None) -> InvalidValueError:
    """Return the error for a value that cannot be stored."""
    hint = "Record a name, a number or a text instead."
    if not isinstance(value, type) and getattr(value, "shape", None):
        hint = "Save large data as a file, and record its path."
    return InvalidValueError(f"{place_of(place)}: {why}.", hint=hint)


def described(value: Any) -> str:
    """Describe a value for an error."""
    return f"an object of type {type_name(type(value))}"
