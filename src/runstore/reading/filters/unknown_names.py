"""Names in a filter that no run of the store has, each with the nearest existing name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runstore.errors import FilterError, UsageError, quoted, shown
from runstore.model.display.suggestions import either, hint_of, likely, listed
from runstore.model.params.flatten import ROWS_LIMIT
from runstore.model.query.fields import RUN_FIELDS, STATS, UnknownFieldError, Word, field_of
from runstore.model.query.normalize import leaves
from runstore.model.query.spelling import field_name, listed_names, spelled, spelled_value
from runstore.model.query.tree import Field, Missing, Namespace, Op, Query
from runstore.model.values import is_number_text
from runstore.storage.query.names import StoredNames
from runstore.value_classes import replace

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_WORDS = {
    Namespace.PARAM: "parameter",
    Namespace.METRIC: "metric",
    Namespace.TAG: "tag",
    Namespace.FACT: "fact",
    Namespace.PACKAGE: "package",
}
_LISTED = 8
_BY_KIND = frozenset({Op.EQUAL, Op.BELOW, Op.AT_MOST, Op.ABOVE, Op.AT_LEAST, Op.IN})
_NAME = re.compile(r"[\w./@:-]+")
# `tags = keep`, for a tag without a value.
_TAG_ALONE = re.compile(r"""tags?\s*(?:==?|:|contains\b|in\b)\s*['"]?([\w./@:-]+)['"]?""")
_BEFORE_A_FIELD = re.compile(r"(^|[(,]|\b(and|or|not|by))\s*$", re.IGNORECASE)
_SORTED_BY = re.compile(r"([\w./@:-]+)((?:\s+(?:asc|desc))?)", re.IGNORECASE)


def unknown_names(backend: Backend, query: Query, *more: Field) -> tuple[str, ...]:
    """Return a sentence for each name that no run has, with the nearest name or a short list.

    So does a parameter that is a list or an object in some runs, if they count as runs without it.

    Args:
        backend: The store.
        query: The filter and its order; names in a test for missing values may be unknown.
        more: Further fields, such as the field of a grouping.
    """
    conditions = list(leaves(query.where))
    ordered = [*(key.field for key in query.order), *more]
    asked = [*(one.field for one in conditions if not isinstance(one, Missing)), *ordered]
    # `is null` matches a list or an object, which has no value of its own.
    absent = [*(one.field for one in conditions if isinstance(one, Missing)), *ordered]
    absent = [one for one in absent if one.part != "parts"]
    names = StoredNames(backend.database.driver)
    sentences = *_of_parts(names, asked, absent), *_sentences(names, dict.fromkeys(asked))
    return *sentences, *_of_other_kinds(names, query)


def _of_parts(
    names: StoredNames, asked: Sequence[Field], absent: Sequence[Field]
) -> Iterable[str]:
    """Yield a sentence for each parameter that is a list or an object in runs that are left out.

    Args:
        names: The names of the store.
        asked: Fields of comparisons, which leave such runs out.
        absent: Fields by which such runs count as runs without a value.
    """
    for field in dict.fromkeys([*asked, *absent]):
        if field.namespace is not Namespace.PARAM or (field not in absent and names.has(field)):
            continue
        if parts := names.parts(field.key):
            yield (
                f"In some runs, the parameter {field.key!r} is a list or an object, and only its"
                f" parts have values. {listed(parts, most=_LISTED)}"
            )


def _sentences(names: StoredNames, fields: Iterable[Field]) -> Iterable[str]:
    for field in fields:
        if field.namespace in names.namespaces and not names.has(field):
            if field.namespace is Namespace.PARAM and names.parts(field.key):
                continue
            known = names.every(field.namespace)
            word = _WORDS[field.namespace]
            hint = hint_of(field.key, known, most=_LISTED) if known else f"No run has any {word}."
            if field.namespace is Namespace.PARAM and len(known) >= ROWS_LIMIT:
                hint += f" Filters know the first {ROWS_LIMIT:,} parameters of a set."
            if of_sets := [*_of_sets(field, known)]:
                hint += f" For a metric of a parameter set, write: {either(of_sets)}"
            yield f"No run has the {word} {quoted(field.key)}. {hint}"


def _of_sets(field: Field, known: Sequence[str]) -> Iterable[str]:
    """Yield how to write the metric of a set, which lists of runs show as `small/acc`."""
    if field.namespace is Namespace.METRIC and field.set_name is None:
        for at, sign in enumerate(field.key):
            set_name, key = field.key[:at], field.key[at + 1 :]
            if sign == "/" and set_name and key in known:
                named = field_name(replace(field, key=key, set_name=set_name))
                yield named.removesuffix(".last")


def _of_other_kinds(names: StoredNames, query: Query) -> Iterable[str]:
    """Yield a sentence for each parameter compared with a value of a type that it never has."""
    for one in dict.fromkeys(leaves(query.where)):
        if isinstance(one, Missing) or one.field.namespace is not Namespace.PARAM:
            continue
        if one.op not in _BY_KIND or one.is_negated:
            continue
        wanted = one.value if isinstance(one.value, tuple) else (one.value,)
        of_texts = all(isinstance(value, str) and not is_number_text(value) for value in wanted)
        of_numbers = all(type(value) in {int, float} for value in wanted)
        if (of_texts or of_numbers) and names.has(one.field):
            if names.has_values(one.field, are_numbers=of_numbers):
                continue
            kinds = ("a number", "a text") if of_texts else ("not a number", "one")
            yield (
                f"The parameter {one.field.key!r} is {kinds[0]} in every run,"
                f" and {', '.join(map(shown, wanted))} is {kinds[1]}."
            )


def is_known_column(backend: Backend, name: str) -> bool:
    """Check whether any run of the store may have a column such as `metrics.loss`.

    A parameter that is a list or an object has a column for each of its parts.
    """
    namespace_name, _, key = name.partition(".")
    namespaces = {"params": Namespace.PARAM, "metrics": Namespace.METRIC, "tags": Namespace.TAG}
    if namespace_name not in namespaces or not key:
        return False
    namespace, names = namespaces[namespace_name], StoredNames(backend.database.driver)
    if namespace is not Namespace.METRIC:
        has_parts = namespace is Namespace.PARAM and bool(names.parts(key))
        return has_parts or key in names.every(namespace)
    # A column of a parameter set's metric is named by the set and the key.
    ends = [key, *(key[at + 1 :] for at, sign in enumerate(key) if sign == "/")]
    logged = set(names.every(namespace))
    return any(end in logged for end in ends)


def with_namespaces(backend: Backend, keys: str) -> str:
    """Return sort keys with omitted namespaces added: `metrics.loss desc` for `loss desc`.

    Raises:
        UsageError: A key is the name of both a parameter and a metric.
    """
    return ", ".join(_with_namespace(backend, key) for key in listed_names(keys))


def _with_namespace(backend: Backend, key: str) -> str:
    found = _SORTED_BY.fullmatch(key)
    if found is None:
        return key
    name, direction = found.groups()
    with suppress(UnknownFieldError):
        field_of([Word(one) for one in name.split(".")])
        return key
    known = _in_namespaces(backend, name)
    if len(known) > 1:
        raise UsageError(f"{name!r} is ambiguous.", hint=f"It is {' or '.join(known)}.")
    return f"{known[0]}{direction}" if known else key


@contextmanager
def with_suggestions(backend: Backend, text: str) -> Iterator[None]:
    """Add likely fields of this store to the error of a filter that is read in the block."""
    try:
        yield
    except FilterError as error:
        add_suggestions(backend, text, error)
        raise


def add_suggestions(backend: Backend, text: str, error: FilterError) -> None:
    """Suggest `params.lr` in the error of a filter that begins a field with `lr`.

    After the name of an experiment, suggest to compare the experiment with it.
    """
    name = text.strip()
    if _NAME.fullmatch(name) and name in backend.database.experiment_names():
        comparison = f"experiment = {spelled_value(name)}"
        error.position, error.end = text.index(name), len(text.rstrip())
        error.suggestions, error.hint = (comparison,), f"For an experiment, write: {comparison}"
        return
    found = None if error.position is None else _NAME.match(text, error.position)
    if found is None:
        return
    tag = _TAG_ALONE.match(text, found.start())
    if tag is not None and tag[1] in StoredNames(backend.database.driver).every(Namespace.TAG):
        meant = f"{spelled(Namespace.TAG, tag[1])} is not missing"
        error.suggestions, error.end = (meant,), tag.end()
        error.hint = f"Did you mean {meant}?"
        return
    if (before := experiment_before(backend, text, found.start())) is not None:
        error.position, error.end, comparison = before
        error.suggestions = (comparison,)
        error.hint = f"For an experiment, write: {comparison.removesuffix(' and')} and …"
        return
    with suppress(UnknownFieldError):
        field_of([Word(one) for one in found[0].split(".")])
        return
    known = _in_namespaces(backend, found[0])
    # After a whole comparison, a word is rather a misspelt `and`.
    # A field of every store that is written alike is likelier than a name that is only alike.
    is_open = not known and not error.suggestions
    if is_open and _BEFORE_A_FIELD.search(text[: found.start()]):
        known = _likely_fields(backend, found[0])
    if known:
        error.suggestions, error.end = tuple(known), found.end()
        error.hint = f"Did you mean {either(known)}?"


def experiment_before(backend: Backend, text: str, place: int) -> tuple[int, int, str] | None:
    """Return the start and end of an experiment before a place, and a comparison for it.

    None if the text before the place is not the name of an experiment.
    """
    name = text[:place].strip()
    follows = _NAME.match(text, place)
    if follows is None or not _NAME.fullmatch(name):
        return None
    if name not in backend.database.experiment_names():
        return None
    joined = "" if follows[0].lower() in {"and", "or"} else " and"
    start = text.index(name)
    return start, start + len(name), f"experiment = {spelled_value(name)}{joined}"


def _in_namespaces(backend: Backend, name: str) -> list[str]:
    """Return a name with each of the namespaces in which runs have it."""
    names = StoredNames(backend.database.driver)
    return [
        f"{one.value}.{name}"
        for one in (Namespace.PARAM, Namespace.METRIC, Namespace.TAG)
        if any(bare in names.every(one) for bare in _without_part(one, name))
    ]


def _likely_fields(backend: Backend, name: str) -> list[str]:
    """Return fields that a wrong name may mean: `metrics.val/loss` for `loss`."""
    names = StoredNames(backend.database.driver)
    return [
        f"{space.value}.{one}{name[len(bare) :]}"
        for space in (Namespace.PARAM, Namespace.METRIC, Namespace.TAG)
        for bare in reversed(_without_part(space, name))
        for one in likely(bare, names.every(space))
    ]


def _without_part(namespace: Namespace, name: str) -> tuple[str, ...]:
    """Return a name, and for `loss.min` the metric `loss`."""
    base, _, part = name.rpartition(".")
    return (name, base) if namespace is Namespace.METRIC and base and part in STATS else (name,)


def known_columns(backend: Backend) -> list[str]:
    """Return every column that a run of the store may have, such as `metrics.loss`."""
    spaces = (Namespace.PARAM, Namespace.METRIC, Namespace.TAG)
    own = [spelled(space, key) for space in spaces for key in known_keys(backend, space)]
    return [*RUN_FIELDS, *own]


def known_keys(backend: Backend, namespace: Namespace) -> list[str]:
    """Return every key of a namespace that a run of the store may have, such as `loss`."""
    return StoredNames(backend.database.driver).every(namespace)
