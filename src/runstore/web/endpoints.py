"""Endpoint: a request of the API, checked and described by one declaration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runstore.model.display.suggestions import hint_of
from runstore.value_classes import dataclass, field
from runstore.web.errors import Refusal
from runstore.web.schemas import Schema, mismatch

if TYPE_CHECKING:
    from runstore.store import Store
    from runstore.web.encoding import Answer
    from runstore.web.served import Served

_TEXT_LIMIT = 20_000
_LONGEST_NUMBER = 40
_OF_NUMBERS = frozenset("0123456789+-.eE")
_ANY_TEXT: Schema = {"type": "string", "minLength": 1}
_TRUTH = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an endpoint, checked.

    Attributes:
        served: The store and its access.
        store: The store, open.
        path: The parts of the path that vary, by name.
        query: The parameters, by name.
        body: The JSON object that was sent; empty for a GET.
        headers: The headers, by their names in lower case.
    """

    served: Served
    store: Store
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query.

    Attributes:
        name: Its name.
        about: A phrase that describes it.
        schema: The schema of its values.
        read: Returns the value of a text, None for a parameter that was left out. For a text that
            is not such a value, it raises a `ValueError` that names the expected values.
        is_required: Whether it cannot be left out.
    """

    name: str
    about: str
    schema: Schema
    read: Callable[[str | None], Any]
    is_required: bool = False


def query_text(
    name: str, about: str, longest: int = _TEXT_LIMIT, *, is_required: bool = False
) -> Parameter:
    """Return a parameter for a text; empty by default, if it is not required."""

    def read(text: str | None) -> str:
        if is_required and not text:
            raise ValueError("a text")
        if len(text or "") > longest:
            raise ValueError(f"at most {longest:,} characters")
        return text or ""

    schema = {"type": "string", "maxLength": longest, "minLength": int(is_required)}
    return Parameter(name, about, schema, read, is_required)


def query_whole(
    name: str, about: str, default: int | None, least: int = 0, most: int = 2**53
) -> Parameter:
    """Return a parameter for a whole number."""
    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(
        name,
        about,
        schema if default is None else {**schema, "default": default},
        lambda text: default if text is None else whole(text, least, most),
    )


def query_number(name: str, about: str) -> Parameter:
    """Return a parameter for a number; None by default."""
    return Parameter(name, about, {"type": "number"}, _number)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    # As JSON has it: no space, underscore, word or digit of another script.
    if not (text and len(text) <= _LONGEST_NUMBER and set(text) <= _OF_NUMBERS):
        raise ValueError("a number")
    try:
        number = float(text)
    except ValueError:
        raise ValueError("a number") from None
    if math.isinf(number):
        raise ValueError("a smaller number")
    return number


def query_flag(name: str, about: str) -> Parameter:
    """Return a parameter for a boolean, False by default."""

    def read(text: str | None) -> bool:
        if text is not None and text not in _TRUTH:
            raise ValueError("1 or 0")
        return _TRUTH[text or "0"]

    return Parameter(name, about, {"type": "string", "enum": [*_TRUTH], "default": "0"}, read)


def query_choice(name: str, about: str, words: Sequence[str]) -> Parameter:
    """Return a parameter for one of some words; the first one by default."""

    def read(text: str | None) -> str:
        if text is not None and text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return words[0] if text is None else text

    schema = {"type": "string", "enum": [*words], "default": words[0]}
    return Parameter(name, about, schema, read)


def query_list(
    name: str, about: str, most: int, of: Schema = _ANY_TEXT, *, least: int = 0
) -> Parameter:
    """Return a parameter for texts or whole numbers with commas between; none by default.

    A comma within a text is `%2C`, and `%` is `%25`.
    """

    def read(text: str | None) -> list[Any]:
        parts = text.split(",") if text else []
        if not least <= len(parts) <= most:
            raise ValueError(f"{least} to {most} items with commas between")
        if of["type"] == "integer":
            return [whole(one, of["minimum"], of["maximum"]) for one in parts]
        if not all(parts):
            raise ValueError("no empty item")
        return [one.replace("%2C", ",").replace("%2c", ",").replace("%25", "%") for one in parts]

    size = {"maxItems": most} | ({"minItems": least} if least else {})
    return Parameter(name, about, {"type": "array", "items": of, **size}, read, least > 0)


def whole(text: str, least: int, most: int) -> int:
    """Return a whole number.

    Raises:
        ValueError: It is none, or not in the range.
    """
    digits = text.removeprefix("-")
    # As JSON has it: no sign, space, underscore or digit of another script.
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):  # noqa: PLR2004
        raise ValueError(f"a whole number from {least} to {most}")
    if not least <= int(text) <= most:
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One thing that a client may ask for.

    Attributes:
        path: Behind `/api/v1`; a part that varies in braces, the last one `{name:path}` if it may
            have slashes.
        answer: Answers a call, in a thread; None for the stream of live events.
        about: A sentence that describes the endpoint.
        method: The HTTP method.
        parameters: Of the query.
        body: The schema of the JSON object that has to be sent; None for none.
        result: The schema of the answer; for another media type, see `media_type`.
        media_type: Media type of the answer.
        statuses: Possible errors, in addition to the errors of every endpoint, and to that of a
            path that names something unknown.
        is_write: Whether it changes the store.
    """

    path: str
    answer: Callable[[Call], Answer] | None
    about: str
    method: str = "GET"
    parameters: Sequence[Parameter] = ()
    body: Schema | None = None
    result: Schema = field(default_factory=dict)
    media_type: str = "application/json"
    statuses: Sequence[HTTPStatus] = ()
    is_write: bool = False

    def query_of(self, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the parameters of a query, checked.

        Raises:
            Refusal: One of them is unknown, comes twice, or has no such value.
        """
        known = {one.name: one for one in self.parameters}
        texts: dict[str, str] = {}
        for name, text in given:
            if name not in known:
                hint = hint_of(name, known)
                raise _bad(f"There is no parameter {name!r:.60} here.", hint)
            if name in texts:
                raise _bad(f"The parameter {name} was passed twice.", "Pass it once.")
            texts[name] = text
        return {name: _read(one, texts.get(name)) for name, one in known.items()}

    def check_body(self, value: object) -> dict[str, Any]:
        """Return the object that was sent.

        Raises:
            Refusal: It does not fit the schema.
        """
        wrong = mismatch(value, self.body or {})
        if wrong or not isinstance(value, dict):
            raise _bad(
                f"The JSON in the request is invalid: {wrong or 'it is not an object'}.", ""
            )
        return value


def _read(parameter: Parameter, text: str | None) -> Any:
    try:
        return parameter.read(text)
    except ValueError as error:
        given = "nothing" if text is None else f"{text!r:.60}"
        raise _bad(f"Expected {error} for {parameter.name}, got {given}.", "") from None


def _bad(what: str, hint: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "usage", what, hint=hint)
