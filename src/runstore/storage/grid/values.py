"""Counts of runs by name, and values of some runs, of all names or of one field."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from runstore.model.query.tree import Field, Namespace, Query
from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.query.asking import asking
from runstore.storage.query.names import reading_names
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.where import EVERY_NAMESPACE, column_of_run
from runstore.storage.rows import as_number, as_optional_text, as_text

# Counting more would read a whole index.
COUNTED_AT_MOST = 1_000
_WITH_KEY = {
    Namespace.PARAM: ("SELECT DISTINCT v.run_id FROM params v WHERE v.key = ? AND v.indexed = 1"),
    Namespace.METRIC: (
        "SELECT DISTINCT v.run_id FROM metric_summaries v"
        " WHERE v.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?)"
    ),
    Namespace.TAG: "SELECT 1 FROM tags v WHERE v.key = ?",
    Namespace.FACT: (
        "SELECT 1 FROM fact_values f CROSS JOIN run_facts l ON l.set_id = f.set_id"
        " WHERE f.key = ? AND f.place = 0"
    ),
}
_COUNT = "SELECT count(*) FROM ({} LIMIT ?) n"
_AMONG = "(SELECT DISTINCT j.value AS id FROM json_each(?) j) c"
_VALUES_OF = {
    Namespace.PARAM: (
        f"SELECT v.run_id, v.key, v.number, v.text FROM {_AMONG}"
        " CROSS JOIN params v ON v.run_id = c.id LIMIT ?"
    ),
    Namespace.METRIC: (
        f"SELECT v.run_id, k.key, v.last, v.count FROM {_AMONG}"
        " CROSS JOIN metric_summaries v ON v.run_id = c.id"
        " CROSS JOIN metric_keys k ON k.id = v.key_id LIMIT ?"
    ),
    Namespace.TAG: (
        f"SELECT v.run_id, v.key, v.value, NULL FROM {_AMONG}"
        " CROSS JOIN tags v ON v.run_id = c.id LIMIT ?"
    ),
}
# With more runs, all values of the field are read through its index, and other runs
# are skipped: looking up each run takes longer.
_FEW = 2_000
_RUNS_AMONG = f"{_AMONG} CROSS JOIN runs r ON r.id = c.id"
OF_RUNS = f"SELECT r.id, {{column}} FROM {_RUNS_AMONG} WHERE {sql.EVERY}"
OF_EACH = f"SELECT r.id, {{number}}, {{text}} FROM {_RUNS_AMONG} CROSS JOIN {{tables}}"
OF_ALL = "SELECT v.run_id, {number}, {text} FROM {tables}"
_EXPERIMENT = "(SELECT x.name FROM experiments x WHERE x.id = r.experiment_id)"
_WITH_SETS = frozenset({Namespace.PARAM, Namespace.METRIC})
# For a field of the run itself, both are its value.
Cell = tuple[Any, Any]


# Jumps from each value to the next in the index, because most runs share their values.
_NEXT = """
    WITH RECURSIVE found(value) AS (
        SELECT (SELECT min({value}) FROM {table})
        UNION ALL
        SELECT (SELECT min({value}) FROM {table} AND {value} > found.value)
        FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value IS NOT NULL LIMIT :limit
"""
_OF_PARAM = "params v WHERE v.key = :key AND v.indexed = 1"
_NUMBERS = {Namespace.PARAM: _NEXT.format(value="v.number", table=_OF_PARAM)}
_TEXTS = {
    Namespace.PARAM: _NEXT.format(value="v.text", table=f"{_OF_PARAM} AND v.number IS NULL"),
    Namespace.TAG: _NEXT.format(value="v.value", table="tags v WHERE v.key = :key"),
    # Facts that are the same in many runs are stored once.
    Namespace.FACT: (
        "SELECT DISTINCT f.text FROM (SELECT v.text FROM fact_values v"
        " WHERE v.key = :key AND v.text IS NOT NULL LIMIT 1000) f ORDER BY f.text LIMIT :limit"
    ),
}


class KeyValues:
    """Reads names and values of one store."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def runs_with(self, namespace: Namespace, key: str) -> tuple[int | None, bool]:
        """Return the number of runs with a name, and whether there may be more.

        Runs in the trash are counted. The number is None for namespaces that all runs have.
        """
        if namespace not in _WITH_KEY:
            return None, False
        statement = _COUNT.format(_WITH_KEY[namespace])
        with reading_names(self._driver, namespace) as connection:
            row = connection.execute(statement, (key, COUNTED_AT_MOST)).fetchone()
        return row[0], row[0] == COUNTED_AT_MOST

    def distinct(
        self, namespace: Namespace, key: str, limit: int
    ) -> tuple[list[float], list[str]]:
        """Return the numbers and the texts of a name; no numbers if there are many.

        Only parameters, tags and facts have values here; `limit` is that of each kind.
        """
        asked = {"key": key, "limit": limit + 1}
        with reading_names(self._driver, namespace) as connection:
            found = [
                connection.execute(statements[namespace], asked).fetchall()
                if namespace in statements
                else []
                for statements in (_NUMBERS, _TEXTS)
            ]
        numbers, texts = ([row[0] for row in rows] for rows in found)
        known = [float(one) for one in numbers if isinstance(one, (int, float))]
        return (known if len(known) <= limit else []), [as_text(one) for one in texts[:limit]]

    def of_runs(
        self, namespace: Namespace, ids: Sequence[int], limit: int
    ) -> Iterator[tuple[int, str, object, object]]:
        """Yield the row id, the key and two columns of each value of some runs.

        The columns are the number and the text of a parameter, the last value and the number of
        points of a metric, or the text of a tag and None.
        """
        with reading_names(self._driver, namespace) as connection:
            found = connection.execute(
                _VALUES_OF[namespace], (json.dumps(list(ids)), limit)
            ).fetchall()
        for row_id, key, one, other in found:
            yield row_id, as_text(key), one, other


class FieldValues:
    """Reads the values of fields."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def of(self, field: Field, ids: Sequence[int]) -> dict[int, Cell]:
        """Return the number and the text of a field in each run that has it.

        If a run has several values, that of its first parameter set counts.
        """
        rows = json.dumps(list(ids))
        with asking(self._driver, Query(), field), self._driver.read() as connection:
            if field.namespace is Namespace.RUN:
                is_name = field.key == "experiment_name"
                column = _EXPERIMENT if is_name else column_of_run(field)
                found = connection.execute(OF_RUNS.format(column=column), (rows,)).fetchall()
                return {row_id: (value, value) for row_id, value in found if value is not None}
            is_few = len(ids) <= _FEW
            condition = PackageLists(connection).condition(() if is_few else EVERY_NAMESPACE)
            of_field = condition.values_of_run if is_few else condition.values_of_all
            number, text = condition.cells(field)
            made = (OF_EACH if is_few else OF_ALL).format(
                number=number, text=text, tables=of_field(field)
            )
            if field.namespace in _WITH_SETS:
                made += " ORDER BY v.set_index DESC"  # the first set comes last, and is kept
            parameters = [*([rows] if is_few else []), *condition.parameters]
            found = connection.execute(made, parameters).fetchall()
        wanted = None if is_few else frozenset(ids)
        return {
            row_id: (
                one if type(one) is float or one is None else as_number(one),
                other if type(other) is str or other is None else as_optional_text(other),
            )
            for row_id, one, other in found
            if wanted is None or row_id in wanted
        }
