"""Suggested filters for an invalid one: names without their namespace, plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstore.errors import FilterError
from runstore.model.query.parse import parse_query
from runstore.model.query.spelling import spelled, spelled_value
from runstore.model.query.tree import Namespace
from runstore.model.status import STATUS_WORDS, Status
from runstore.reading.filters.unknown_names import experiment_before
from runstore.storage.query.names import StoredNames

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_BY_KEY = (Namespace.PARAM, Namespace.METRIC, Namespace.TAG)
_WORDS_AT_MOST = 6
_PLAIN_WORD = re.compile(r"[\w./#@:+-]+")
_REPAIRS_AT_MOST = 10
_CHARACTERS_AT_MOST = 200
_RUN_NAME = re.compile(r"(.+)[#_](\d{1,18})")
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "like", "ilike", "contains", "order", "by"})
_DAYS = frozenset({"today", "yesterday"})


def meant_filters(backend: Backend, text: str, error: FilterError) -> list[str]:
    """Return suggested filters for an invalid filter, the likeliest first."""
    names = StoredNames(backend.database.driver)
    begun = _corrected(backend, names, text, error)
    repaired = [one for first in begun if (one := _repaired(backend, names, first)) is not None]
    return list(dict.fromkeys(repaired)) or list(_from_words(backend, names, text))


def _repaired(backend: Backend, names: StoredNames, text: str) -> str | None:
    """Return the text with its remaining errors corrected; None if one cannot be."""
    for _ in range(_REPAIRS_AT_MOST):
        try:
            parse_query(text)
        except FilterError as error:
            better = next(_corrected(backend, names, text, error), None)
            if better is None:
                return None
            text = better
        else:
            return text
    return None


def _corrected(
    backend: Backend, names: StoredNames, text: str, error: FilterError
) -> Iterator[str]:
    """Yield the text with `lr` as `params.lr`, or an experiment as a comparison."""
    start, end = error.position, error.end
    if start is None or end is None:
        return
    if (before := experiment_before(backend, text, start)) is not None:
        first, last, comparison = before
        yield text[:first] + comparison + text[last:]
        return
    word = text[start:end].strip("`\"'")
    status = STATUS_WORDS.get(word.lower())
    if status is not None:
        yield text[:start] + status.value + text[end:]
    for namespace in _BY_KEY:
        same = (key for key in names.every(namespace) if key.casefold() == word.casefold())
        for key in same:
            yield text[:start] + spelled(namespace, key) + text[end:]


def _from_words(backend: Backend, names: StoredNames, text: str) -> Iterator[str]:
    """Yield a filter for words such as `failed bert yesterday`."""
    words = text.split() if len(text) <= _CHARACTERS_AT_MOST else []
    if not 0 < len(words) <= _WORDS_AT_MOST or not all(map(_PLAIN_WORD.fullmatch, words)):
        return
    if not _KEYWORDS.isdisjoint(map(str.lower, words)):
        return
    experiments = list(backend.database.experiment_names())
    conditions = dict.fromkeys(_condition(word, names, experiments) for word in words)
    if len(conditions) == 1:
        yield next(iter(conditions))
    else:
        yield " and ".join(f"({one})" if " or " in one else one for one in conditions)


def _condition(word: str, names: StoredNames, experiments: list[str]) -> str:
    lower = word.casefold()
    status = STATUS_WORDS.get(lower, lower)
    if lower in _DAYS or status in list(Status):
        return f"started = {lower}" if lower in _DAYS else f"status = {Status(status).value}"
    run = _RUN_NAME.fullmatch(word)
    if run is not None and run[1] in experiments:
        return f"experiment = {spelled_value(run[1])} and run_number = {run[2]}"
    if having := [name for name in experiments if lower in name.casefold()]:
        return _of_experiments(word, having)
    if word in names.every(Namespace.TAG):
        return f"{spelled(Namespace.TAG, word)} is not missing"
    like = spelled_value(f"%{word}%")
    return f"notes ilike {like} or error ilike {like}"


def _of_experiments(word: str, having: list[str]) -> str:
    """Return the condition for the experiment of this name, or those containing the word."""
    exact = [name for name in having if name.casefold() == word.casefold()]
    if len(exact or having) == 1:
        return f"experiment = {spelled_value((exact or having)[0])}"
    return f"experiment ilike {spelled_value(f'%{word}%')}"
