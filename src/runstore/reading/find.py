"""Finding runs by a filter: the pages of a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runstore.errors import UsageError, shown
from runstore.model.query.fields import Word, field_of
from runstore.model.query.tree import EVERYTHING, All, Compare, Field, Namespace, Op, Query
from runstore.reading.filters.named_runs import with_named_runs
from runstore.reading.filters.unknown_names import unknown_names, with_suggestions
from runstore.reading.liveness import settle_all
from runstore.reading.names import as_now, check_experiment, with_source
from runstore.reading.pages import (
    FIRST_PART,
    PART,
    Page,
    order_name,
    page_limit,
    read_cursor,
    write_cursor,
)
from runstore.storage.query.finder import Finder, FoundPage
from runstore.storage.query.sort_keys import sort_keys, until_newest
from runstore.storage.query.where import Condition
from runstore.storage.stored_runs import batches
from runstore.value_classes import replace

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend
    from runstore.storage.fulltext.conditions import TextConditions
    from runstore.storage.fulltext.run_texts import RunTexts
    from runstore.storage.fulltext.verify import Check
    from runstore.storage.query.sorted import Place

Found = TypeVar("Found")
# Fields that evidence may change, and that are updated before a query.
_SETTLED = frozenset({"status", "ended_at", "duration"})


def found_page(backend: Backend, query: Query, limit: int | None, after: str | None) -> Page[Run]:
    """Return one page of a query, or all of it; see `Store.find`."""
    limit = page_limit(limit)
    is_settled = settle(backend, query.fields())
    found = found_runs(backend, query, limit or FIRST_PART, after)
    runs = shown_runs(backend, [one.run for one in found.runs], is_settled=is_settled)
    cursor, hints = cursor_of(found, query), hints_of(backend, query, after)
    if limit is not None or cursor is None:
        return Page(runs, cursor, hints)
    return Page(runs, None, hints, partial(_rest, backend, query, cursor))


def _rest(backend: Backend, query: Query, after: str) -> Iterator[tuple[Run, ...]]:
    """Yield the runs after a page, in parts; they are sorted once."""
    is_settled = settle(backend, query.fields())
    place = _place(after, query)
    ids = _with_texts(backend, query, None, partial(_ids, Finder(backend.database), place))
    for some in batches(ids, PART):
        runs = backend.database.runs_by_id(some)
        yield shown_runs(backend, list(runs.values()), is_settled=is_settled)


def _ids(
    finder: Finder, place: Place, query: Query, texts: TextConditions | None
) -> Sequence[int]:
    return finder.page_ids(query, limit=None, after=place, texts=texts)[0]


def count_of(backend: Backend, query: Query, most: int) -> int | None:
    """Return the number of runs that match a query, up to `most`; None if it searches texts.

    Call it after a page of the query was read.
    """
    if any(one.namespace is Namespace.OUTPUT for one in query.fields()):
        return None
    return len(Finder(backend.database).page_ids(replace(query, order=()), limit=most)[0])


def shown_runs(backend: Backend, runs: Sequence[Run], *, is_settled: bool) -> tuple[Run, ...]:
    """Return runs read since `settle` returned `is_settled`, with their current status."""
    return with_source(backend, runs) if is_settled else as_now(backend, runs)


def hints_of(backend: Backend, query: Query, after: str | None) -> tuple[str, ...]:
    """Return the hints of the first page about names that no run has."""
    return unknown_names(backend, query) if after is None and query.fields() else ()


def cursor_of(found: FoundPage, query: Query) -> str | None:
    """Return the `next` of a page."""
    return None if found.next is None else write_cursor(found.next, order_name(query.order))


def found_runs(
    backend: Backend,
    query: Query,
    limit: int | None,
    after: str | None,
    check_of: Callable[[RunTexts], Check] | None = None,
) -> FoundPage:
    """Return the runs of a page and the cursor of the next; after `settle`.

    Args:
        backend: The store.
        query: The filter.
        limit: Runs per page; None for all.
        after: `next` of the previous page.
        check_of: Creates an additional condition on texts.
    """
    limit = page_limit(limit)
    finder = Finder(backend.database)
    before = None if after is None else _place(after, query)

    def find(asked: Query, texts: TextConditions | None) -> FoundPage:
        return finder.find(asked, limit=limit, after=before, texts=texts)

    return _with_texts(backend, query, check_of, find)


def _with_texts(
    backend: Backend,
    query: Query,
    check_of: Callable[[RunTexts], Check] | None,
    find: Callable[[Query, TextConditions | None], Found],
) -> Found:
    """Return the result of a search, including conditions on texts."""
    if check_of is None and not any(one.namespace is Namespace.OUTPUT for one in query.fields()):
        return find(query, None)

    def find_in(texts: TextConditions) -> Found:
        where = query.where
        if check_of is not None:
            where = All((where, texts.node_of(check_of(texts.texts))))
        return find(replace(query, where=where), texts)

    return backend.texts.run(find_in)


def _place(after: str, query: Query) -> Place:
    """Return the position in a cursor of this query."""
    place = read_cursor(after, order_name(query.order))
    keys = len(sort_keys(until_newest(query.order), Condition(lambda _: ()))) or 1
    if len(place) != keys + 1 or not all(isinstance(one, int) for one in place[-1:]):
        raise UsageError(
            f"{after!r:.80} is not the `next` of a page.",
            hint="Omit it to start from the first page.",
        )
    return place


def settle(backend: Backend, fields: Iterable[Field]) -> bool:
    """Update the data of these fields: the status of active runs, and their logged points.

    Returns:
        Whether the status of every run is current, so that none has to be checked again.
    """
    fields = tuple(fields)
    if any(one.namespace is Namespace.METRIC for one in fields):
        from runstore.reading.metrics.summaries import refresh

        refresh(backend.metrics, backend.spool)
    asks = any(one.namespace is Namespace.RUN and one.key in _SETTLED for one in fields)
    return asks and settle_all(backend, is_for_filter=True)


def query_of(backend: Backend, where: str | Query | None, experiment: str | None) -> Query:
    """Return the query of a text, limited to an experiment if one is named."""
    if where is None:
        where = ""
    if not isinstance(where, (str, Query)):
        raise UsageError(
            f"Expected a filter (such as 'params.lr < 0.1'), got {shown(where)}.",
            hint="To choose an experiment, write find(experiment='mnist').",
        )
    if isinstance(where, str) and not where.strip():  # needs no parser, and no package
        where = Query(text=where)
    elif isinstance(where, str):
        from runstore.model.query.parse import parse_query

        with with_suggestions(backend, where):
            where = parse_query(where)
    if where.where is not EVERYTHING:
        where = replace(where, where=with_named_runs(backend.database, where.where))
    if experiment is None:
        return where
    check_experiment(backend.database, experiment, backend.place)
    is_of_it = Compare(field_of([Word("experiment")]), Op.EQUAL, experiment)
    return replace(where, where=All((is_of_it, where.where)))
