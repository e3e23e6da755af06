"""Completion of a filter while it is typed: operators, and names and values in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from runstore.model.query.caret import CaretPlace, place_at
from runstore.model.query.evaluate import number_text
from runstore.model.query.fields import OUTPUT, RUN_FIELDS, SET_FIELDS, STATS
from runstore.model.query.spelling import spelled, spelled_value
from runstore.model.query.tree import Field, Kind, Namespace
from runstore.model.status import Status
from runstore.storage.grid.values import KeyValues
from runstore.storage.query.names import StoredNames
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

AT_MOST = 50
_NAMESPACES = {
    Namespace.PARAM: "param",
    Namespace.METRIC: "metric",
    Namespace.TAG: "tag",
    Namespace.FACT: "fact",
    Namespace.PACKAGE: "package",
}
# Namespaces whose keys people type without the namespace.
_BY_KEY = (Namespace.PARAM, Namespace.METRIC, Namespace.TAG)
_USUAL = ("status", "experiment", "started", "notes")
_COMPARED = ("=", "!=", "<", "<=", ">", ">=")
_TEXTUAL = ("=", "!=", "contains", "like", "ilike", "~")
_SIGNS = {
    Kind.TEXT: (*_TEXTUAL, "in ("),
    Kind.CELL: (*_COMPARED, "contains", "like", "~", "in ("),
    Kind.STATUS: ("=", "!=", "in ("),
    Kind.FLAG: ("=", "!="),
}
_WORDS = {
    "AND": "and",
    "OR": "or",
    "ORDER": "order by",
    "NOT": "not",
    "NOTHING": "missing",
    "ASC": "asc",
    "DESC": "desc",
}
_TIMES = (
    "today",
    "yesterday",
    "1 hour ago",
    "1 day ago",
    "3 days ago",
    "7 days ago",
    "30 days ago",
)


class Completion(NamedTuple):
    """A completion.

    Attributes:
        text: The text to insert.
        kind: `field`, `param`, `metric`, `tag`, `fact`, `package`, `operator`, `value` or
            `keyword`.
        start: Start of the text to replace.
        end: End of the text to replace.
        detail: A short description; empty if the kind is enough.
    """

    text: str
    kind: str
    start: int
    end: int
    detail: str = ""


def completions(backend: Backend, text: str, at: int) -> list[Completion]:
    """Return the completions at a position, the likeliest first; none after an error.

    Args:
        backend: The store, whose names and values are offered.
        text: The filter, as typed so far.
        at: The position of the caret, from 0.
    """
    place = place_at(text, at)
    found = [*_fields(backend, place), *_values(backend, place), *_signs(place), *_words(place)]
    return [
        Completion(one, kind, place.start, place.end, detail)
        for one, kind, detail in dict.fromkeys(islice(found, AT_MOST))
    ]


Offer = tuple[str, str, str]


def _matching(offers: Iterable[Offer], word: str) -> list[Offer]:
    """Return the names that start with a word, then those that contain it."""
    wanted = word.casefold()
    having = [one for one in offers if wanted in one[0].casefold()]
    return sorted(having, key=lambda one: not one[0].casefold().startswith(wanted))


# Names


def _fields(backend: Backend, place: CaretPlace) -> Iterator[Offer]:
    if not place.wants_field:
        return
    word = place.word.replace("`", "").replace('"', "")
    names = StoredNames(backend.database.driver)
    namespace = next((one for one in _NAMESPACES if word.startswith(f"{one.value}.")), None)
    if namespace is not None:
        yield from _stats(names, word)
        yield from _named(names, namespace, word)
        return
    own = [(name, RUN_FIELDS[name][1]) for name in dict.fromkeys((*_USUAL, *RUN_FIELDS))]
    # Runs cannot be sorted by their output.
    others = (OUTPUT, *SET_FIELDS) if "LPAR" in place.kinds else SET_FIELDS
    own += [(name, Kind.TEXT) for name in others]
    offers = [(name, "field", kind.value) for name, kind in own]
    namespaces = [(f"{one.value}.", "field", f"a {kind}") for one, kind in _NAMESPACES.items()]
    yield from _matching([*offers[: len(_USUAL)], *namespaces, *offers[len(_USUAL) :]], word)
    if word:
        for one in _BY_KEY:
            yield from _named(names, one, word)


def _named(names: StoredNames, namespace: Namespace, word: str) -> list[Offer]:
    keys = names.every(namespace)
    return _matching(
        ((spelled(namespace, key), _NAMESPACES[namespace], "") for key in keys), word
    )[:AT_MOST]


def _stats(names: StoredNames, word: str) -> Iterator[Offer]:
    """Yield the values of a metric's summary, after its name and a dot."""
    name, dot, begun = word.partition(".")[2].rpartition(".")
    if (
        dot
        and word.startswith("metrics.")
        and names.has(Field(Namespace.METRIC, name, Kind.NUMBER))
    ):
        yield from (
            (f"{spelled(Namespace.METRIC, name)}.{one}", "metric", one)
            for one in STATS
            if one.startswith(begun)
        )


# Values


def _values(backend: Backend, place: CaretPlace) -> Iterator[Offer]:
    if place.wants_value and place.field is not None:
        word = place.word.strip("'\"")
        offers = [(one, "value", "") for one in _values_of(backend, place.field)]
        yield from _matching(offers, word)


def _values_of(backend: Backend, field: Field) -> Iterator[str]:
    if field.kind is Kind.STATUS:
        yield from (one.value for one in Status)
    elif field.kind is Kind.FLAG:
        yield from ("true", "false")
    elif field.kind is Kind.MOMENT:
        yield from map(spelled_value, _TIMES)
    elif field.key == "experiment_name" and field.namespace is Namespace.RUN:
        yield from map(spelled_value, backend.database.experiment_names())
    else:
        numbers, texts = KeyValues(backend.database).distinct(field.namespace, field.key, AT_MOST)
        yield from (number_text(one) or "" for one in numbers)
        yield from map(spelled_value, texts)


# Signs and words


def _signs(place: CaretPlace) -> list[Offer]:
    if "COMPARES" not in place.kinds:
        return []
    kind = Kind.NUMBER if place.field is None else place.field.kind
    signs = [*_SIGNS.get(kind, (*_COMPARED, "in (")), "is missing", "is not missing"]
    return _matching([(one, "operator", "") for one in signs], place.word)


def _words(place: CaretPlace) -> list[Offer]:
    words = [(word, "keyword", "") for kind, word in _WORDS.items() if kind in place.kinds]
    return _matching(words, place.word)
