"""Execution of queries: preparation, and translation of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from runstore.errors import FilterError, StoreError
from runstore.model.query.evaluate import regex
from runstore.model.query.normalize import leaves
from runstore.model.query.tree import Compare, Field, Namespace, Op, Query
from runstore.storage.driver import Driver
from runstore.storage.indexes.facts import index_unindexed_facts
from runstore.storage.indexes.params import indexed_params
from runstore.storage.sqlite.signals import Heard


@contextmanager
def asking(driver: Driver, query: Query, *more: Field) -> Iterator[None]:
    """Prepare the database for a query and these fields, and translate errors inside the block.

    Raises:
        FilterError: A regular expression of the query takes too long.
    """
    regex.cache_clear()  # each query has its own time limit for expressions
    if any(field.namespace is Namespace.FACT for field in (*query.fields(), *more)):
        index_unindexed_facts(driver)
    has_params = any(field.namespace is Namespace.PARAM for field in (*query.fields(), *more))
    try:
        # A statement may call functions of ours for each run.
        with Heard(), indexed_params(driver) if has_params else nullcontext():
            yield
    except StoreError:
        _raise_slow_expression(query)
        raise


def _raise_slow_expression(query: Query) -> None:
    """Raise the reason if a regular expression took too long."""
    for node in leaves(query.where):
        if isinstance(node, Compare) and node.op is Op.MATCHES:
            error: FilterError | None = regex(str(node.value)).refusal
            if error is not None:
                raise error
