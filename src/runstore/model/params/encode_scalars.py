"""Values of one piece that JSON has no word for, as tagged objects; and how to refuse one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from runstore.errors import InvalidValueError
from runstore.model.params.attributes import type_name

ARRAY_LIMIT = 10_000

# Python limits the digits of an int in text, to 640 at the least; 2,048 bits are 617 digits.
PLAIN_INT_BITS = 2048
# Two halves side by side would be read back from JSON as the one character they make.
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

Place = tuple[Any, ...]
Tree = Any


class PartBuilder(Protocol):
    """What turns the parts of a value into trees."""

    def build(self, value: Any, place: Place) -> Tree:
        """Return the tree of a value that stands at a place."""

    def by_type(self, value: Any, place: Place) -> Tree:
        """Return the name of a value's type in the place of the value, and note it."""

    def note(self, place: Place, value: Any, kept: str) -> None:
        """Note that only this is kept of a value."""


Way = Callable[[Any, Any, Place], Tree]


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
    # Combined flags have no name, or one that differs between Python versions.
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
    """Return a way to keep numbers of any size that an object consists of."""
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
# By name: who has such a value has loaded its module, and nobody else need.
WAYS_BY_NAME: dict[str, Way] = {
    "pathlib.PurePath": _tagged("$path", _posix),
    "pathlib._local.PurePath": _tagged("$path", _posix),  # Python 3.13
    "datetime.datetime": _tagged("$datetime", _iso),
    "datetime.date": _tagged("$date", _iso),
    "datetime.time": _tagged("$time", _iso),
    "datetime.timedelta": _tagged("$timedelta", _micros),
    # The case of the exponent's letter follows the decimal context.
    "decimal.Decimal": _tagged("$decimal", lambda value: str(value).replace("e", "E")),
    "fractions.Fraction": _tagged_parts("$fraction", "numerator", "denominator"),
    "uuid.UUID": _tagged("$uuid", str),
    "numpy.generic": _numpy_scalar,
}


def place_of(place: Place) -> str:
    """Return a place as a person writes it: `params.layers[0].size`."""
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
    hint = "Store a name, a number or a text that stands for it."
    if not isinstance(value, type) and getattr(value, "shape", None):
        hint = "Keep large data in a file, and store its path."
    return InvalidValueError(f"{place_of(place)}: {why}.", hint=hint)


def described(value: Any) -> str:
    """Return what a value is, for an error."""
    return f"an object of type {type_name(type(value))}"
