"""The runs of a grid and their order: row ids, from which any window can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstore.model.query.tree import Namespace, Query
from runstore.reading.find import query_of, settle
from runstore.storage.query.changes import Changes
from runstore.storage.query.finder import Finder
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.fulltext.conditions import TextConditions


class RunOrder(NamedTuple):
    """The runs that match a filter.

    Attributes:
        changed: The last change that is certainly included.
        ids: The rows of the runs, in order.
    """

    changed: int
    ids: list[int]


def run_order(
    backend: Backend, where: str = "", experiment: str | None = None, *, is_trash: bool = False
) -> RunOrder:
    """Return all runs that match a filter, newest first or in its order.

    Args:
        backend: The store.
        where: The filter.
        experiment: Only runs of this experiment.
        is_trash: Whether to return runs in the trash instead of the others, by default the last
            deleted first.

    Raises:
        FilterError: The filter is invalid.
        NotFoundError: There is no such experiment.
    """
    query = query_of(backend, where, experiment)
    settle(backend, query.fields())
    newest = backend.part(_NewestFirst).order()
    return RunOrder(newest.changed, _ids(backend, query, newest.ids, is_trash=is_trash))


def uids_of(backend: Backend, ids: Sequence[int]) -> dict[int, str]:
    """Return the uids of rows, in their order, without deleted rows."""
    return Finder(backend.database).uids(ids)


def _ids(backend: Backend, query: Query, newest: list[int], *, is_trash: bool) -> list[int]:
    finder = Finder(backend.database)

    def find(texts: TextConditions | None = None) -> list[int]:
        if is_trash:
            return finder.trashed(query, texts=texts)
        return finder.ids(query, newest, texts=texts)

    has_texts = any(one.namespace is Namespace.OUTPUT for one in query.fields())
    return backend.texts.run(find) if has_texts else find()


class _NewestFirst:
    """All runs of a store, newest first; read again after any change."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: RunOrder | None = None

    def order(self) -> RunOrder:
        """Return the runs, and the last change before they were read."""
        database, known = self._backend.database, self._known
        changed, is_certain = Changes(database).latest()
        if known is None or known.changed != changed or not is_certain:
            known = RunOrder(changed, Finder(database).newest_first())
            self._known = known if is_certain else None
        return known
