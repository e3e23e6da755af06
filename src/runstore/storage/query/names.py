"""Names in a store: of parameters, metrics, tags, facts and packages."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from runstore.model.query.fields import keys_of, parts_of
from runstore.model.query.tree import Field, Missing, Namespace
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Driver
from runstore.storage.indexes.params import indexed_params
from runstore.storage.query.packages import PACKAGES_DOCUMENTS, PackageLists
from runstore.storage.rows import as_text

# Jumps from each key to the next, because most runs share their keys.
_EVERY_KEY = """
    WITH RECURSIVE lists(key) AS (
        SELECT min(v.key) FROM {table}
        UNION ALL
        SELECT (SELECT min(v.key) FROM {table} AND v.key > lists.key)
        FROM lists WHERE lists.key IS NOT NULL
    )
    SELECT lists.key FROM lists WHERE lists.key IS NOT NULL
"""
_TABLES = {
    Namespace.PARAM: "params v WHERE v.indexed = 1",
    Namespace.TAG: "tags v WHERE (1 = 1)",
    Namespace.FACT: "fact_values v WHERE (1 = 1)",
}
_PARTS = f"{_TABLES[Namespace.PARAM]} AND v.key >= ? AND v.key < ?"
_HAS_NUMBER = """
    SELECT 1 FROM params v
    WHERE v.key = ? AND v.indexed = 1 AND v.number IS NOT NULL AND v.text IS NULL LIMIT 1
"""
# A NaN is kept as a text.
_HAS_TEXT = """
    SELECT 1 FROM params v
    WHERE v.key = ? AND v.indexed = 1 AND v.text IS NOT NULL AND v.text <> 'nan' LIMIT 1
"""
_EVERY_METRIC = "SELECT k.key FROM metric_keys k ORDER BY k.key"
_HAS_METRIC = "SELECT 1 FROM metric_keys k WHERE k.key = ?"
_UNINDEXED_FACTS = f"""
    SELECT DISTINCT v.key
    FROM runs p CROSS JOIN json_each({sql.READABLE_FACTS.format(run="p")}, '$.values') v
    WHERE p.facts IS NOT NULL AND p.facts_filed IS NULL
"""


class StoredNames:
    """The names in one store."""

    namespaces = frozenset(
        {Namespace.PARAM, Namespace.METRIC, Namespace.TAG, Namespace.FACT, Namespace.PACKAGE}
    )

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def has(self, field: Field) -> bool:
        """Check whether any run has, or had, a field; fast, through an index."""
        with reading_names(self._driver, field.namespace) as connection:
            if field.namespace is Namespace.METRIC:
                return connection.execute(_HAS_METRIC, (field.key,)).fetchone() is not None
            if field.namespace is Namespace.PACKAGE:
                return bool(PackageLists(connection).accepted(Missing(field)))
            keys = keys_of(field) if field.namespace is Namespace.PARAM else (field.key,)
            statement = f"SELECT 1 FROM {_TABLES[field.namespace]} AND v.key = ? LIMIT 1"
            if any(connection.execute(statement, (key,)).fetchone() for key in keys):
                return True
            return field.namespace is Namespace.FACT and field.key in _unindexed_facts(connection)

    def has_values(self, field: Field, *, are_numbers: bool) -> bool:
        """Return whether any run has a number, or else a text or truth value, for a parameter."""
        statement = _HAS_NUMBER if are_numbers else _HAS_TEXT
        with reading_names(self._driver, Namespace.PARAM) as connection:
            found = (connection.execute(statement, (key,)).fetchone() for key in keys_of(field))
            return any(found)

    def parts(self, key: str) -> list[str]:
        """Return the names of the parameters in a list or an object, in alphabetical order."""
        statement = _EVERY_KEY.format(table=_PARTS)
        found: list[str] = []
        with reading_names(self._driver, Namespace.PARAM) as connection:
            for bounds in parts_of(key):
                rows = connection.execute(statement, (*bounds, *bounds)).fetchall()
                found += [as_text(row[0]) for row in rows]
        return found

    def every(self, namespace: Namespace) -> list[str]:
        """Return all names of a namespace, in alphabetical order."""
        with reading_names(self._driver, namespace) as connection:
            if namespace is Namespace.PACKAGE:
                bodies = [
                    as_text(row[1]) for row in connection.execute(PACKAGES_DOCUMENTS).fetchall()
                ]
                lines = {line for body in bodies for line in body.splitlines()}
                return sorted({line.partition("==")[0].lower() for line in lines})
            if namespace is Namespace.METRIC:
                return [as_text(row[0]) for row in connection.execute(_EVERY_METRIC).fetchall()]
            statement = _EVERY_KEY.format(table=_TABLES[namespace])
            found = {as_text(row[0]) for row in connection.execute(statement).fetchall()}
            return sorted(
                found | (_unindexed_facts(connection) if namespace is Namespace.FACT else set())
            )


@contextmanager
def reading_names(driver: Driver, namespace: Namespace) -> Iterator[Connection]:
    """Return a connection that finds the names and values of every run in a namespace."""
    indexed = indexed_params(driver) if namespace is Namespace.PARAM else nullcontext()
    with indexed, driver.read() as connection:
        yield connection


def _unindexed_facts(connection: Connection) -> set[str]:
    return {as_text(row[0]) for row in connection.execute(_UNINDEXED_FACTS).fetchall()}
