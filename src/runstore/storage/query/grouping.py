"""Groups of runs by the value of a field, counted and aggregated by the database."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Union

from runstore.model.display.short_names import distinct_names
from runstore.model.query.evaluate import NAN, TRUTH
from runstore.model.query.tree import Field, Kind, Namespace, Node, Query
from runstore.model.results.groups import RunGroup, Spread
from runstore.model.status import Status
from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.query.asking import asking
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.where import EVERY_NAMESPACE, Condition, column_of_run
from runstore.storage.rows import as_text, from_micros, is_time
from runstore.value_classes import NamedTuple

_STATUSES = tuple(Status)
# Always the same NaN, so that it is one key of a dictionary.
_NOT_FINITE: Mapping[tuple[Any, Any], float] = {
    NAN: math.nan,
    (math.inf, "inf"): math.inf,
    (-math.inf, "-inf"): -math.inf,
}
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_COUNTS = ", ".join(
    f"sum(CASE WHEN r.status = '{one.value}' THEN 1 ELSE 0 END)" for one in _STATUSES
)
# A run with several sets may have several values; it counts once for each. The values come first
# and runs are looked up by id: SQLite expects few values per key, and would scan all of them again
# for each run.
_VALUES = """(
    WITH h AS (SELECT DISTINCT v.run_id AS run_id, {number} AS a, {text} AS b FROM {tables})
    SELECT run_id, a, b, 1 AS is_there FROM h
    UNION ALL SELECT id, NULL, NULL, 0 FROM runs WHERE id NOT IN (SELECT run_id FROM h)
) g"""
# With a single `max`, SQLite takes the other columns from the same row: the run's id is that of
# the latest start.
GROUPS = """
    SELECT {key}, count(*), max(r.started_at), r.id, {counts}
    FROM {runs} WHERE {kept} AND {where} GROUP BY {key}
"""
SPREADS = """
    SELECT {key}, min(m.last), avg(m.last), max(m.last), avg(m.last / 1048576.0)
    FROM {runs} CROSS JOIN metric_summaries m ON m.run_id = r.id
        AND m.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?)
    WHERE {kept} AND {of_value} AND {where} GROUP BY {key}
"""
# Metrics of a set belong to the value that the set has; those of the run to all its values.
_OF_VALUE = """(m.set_index < 0 OR g.is_there = 0 OR EXISTS (
    SELECT 1 FROM {tables} AND v.set_index = m.set_index AND {number} IS g.a AND {text} IS g.b
))"""
_OF_SETS = frozenset({Namespace.PARAM, Namespace.SET})
REFERENCES = "SELECT id, uid, reference FROM runs WHERE id IN (SELECT value FROM json_each(?))"
_SCALE = 1048576.0  # divided by this, no sum of metrics becomes infinite
_AMONG = "r.id IN (SELECT value FROM json_each(?))"

Key = tuple[Any, Any]
Value = Union[str, float, bool, None]


class _LastRun(NamedTuple):
    """The most recently started run of a group."""

    uid: str
    reference: str
    name: str = ""


class _WantedRuns(NamedTuple):
    """The runs to be grouped."""

    connection: Connection
    where: Node
    among: Sequence[int] | None

    def condition(self, condition: Condition) -> str:
        """Return the condition as SQL, adding its parameters."""
        if self.among is None:
            return condition.of(self.where)
        condition.parameters.append(json.dumps(self.among))
        return _AMONG


class Grouping:
    """Groups the runs of one store."""

    def __init__(self, database: Database, field: Field) -> None:
        self._database = database
        self._driver = database.driver
        self._field = field

    def groups(
        self, query: Query, metrics: Sequence[str], *, among: Sequence[int] | None = None
    ) -> list[RunGroup]:
        """Return the groups of a query, whose order is ignored, latest start first.

        A query on output needs the row ids of its runs.

        Raises:
            FilterError: A regular expression takes too long.
        """
        with asking(self._driver, query, self._field), self._driver.read() as connection:
            wanted = _WantedRuns(connection, query.where, among)
            rows = self._rows(wanted, GROUPS)
            spreads = {
                key: {row[:2]: row[2:] for row in self._rows(wanted, SPREADS, key)}
                for key in metrics
            }
            ids = json.dumps([row[4] for row in rows])
            found = connection.execute(REFERENCES, (ids,)).fetchall()
        last = self._named({row[0]: _LastRun(*map(as_text, row[1:])) for row in found})
        made = [self._group(row, last, spreads) for row in rows]
        made.sort(key=lambda one: str(one.value))  # of several sets of one run, in every store
        return sorted(made, key=lambda one: one.last_started_at or _NEVER, reverse=True)

    def _named(self, runs: Mapping[int, _LastRun]) -> dict[int, _LastRun]:
        """Return runs with their short names, by row id."""
        namesakes = self._database.namesakes([one.uid for one in runs.values()])
        names = distinct_names(list(runs.values()), namesakes)
        named = zip(runs.items(), names, strict=True)
        return {row_id: run._replace(name=name) for (row_id, run), name in named}

    def values(self) -> dict[int, list[Value]]:
        """Return the values of runs by row id, possibly including runs in the trash."""
        made: dict[int, list[Value]] = {}
        with asking(self._driver, Query(), self._field), self._driver.read() as connection:
            condition = PackageLists(connection).condition(EVERY_NAMESPACE)
            text = self._every_value(condition)
            for run_id, *cell in connection.execute(text, condition.parameters).fetchall():
                made.setdefault(run_id, []).append(self._value(*cell))
        return made

    def _every_value(self, condition: Condition) -> str:
        """Return the statement for the row id and the two columns of each value."""
        if self._field.namespace is Namespace.RUN:
            key, runs = self._key(condition)
            return f"SELECT r.id, {key} FROM {runs} WHERE {sql.KEPT}"  # noqa: S608 - our own names
        number, text = self._cells(condition)
        tables = condition.values_of_all(self._field)
        return f"SELECT v.run_id, {number}, {text} FROM {tables}"  # noqa: S608 - our own names

    def _rows(self, wanted: _WantedRuns, statement: str, *marks: str) -> list[tuple[Any, ...]]:
        condition = PackageLists(wanted.connection).condition(EVERY_NAMESPACE)
        key, runs = self._key(condition)
        before = len(condition.parameters)
        of_value = self._of_value(condition) if statement == SPREADS else ""
        where = wanted.condition(condition)
        made = statement.format(
            key=key, runs=runs, kept=sql.KEPT, where=where, counts=_COUNTS, of_value=of_value
        )
        parameters = [*condition.parameters[:before], *marks, *condition.parameters[before:]]
        found = wanted.connection.execute(made, parameters).fetchall()
        return [tuple(row) for row in found]

    def _key(self, condition: Condition) -> tuple[str, str]:
        """Return the two columns of the value, and the tables with them and the run `r`."""
        field = self._field
        if field.namespace is Namespace.RUN:
            if field.key == "experiment_name":
                return "x.name, NULL", "runs r JOIN experiments x ON x.id = r.experiment_id"
            return f"{column_of_run(field)}, NULL", "runs r"
        number, text = self._cells(condition)
        values = _VALUES.format(number=number, text=text, tables=condition.values_of_all(field))
        return "g.a, g.b", f"{values} CROSS JOIN runs r ON r.id = g.run_id"

    def _of_value(self, condition: Condition) -> str:
        """Return the condition that a metric belongs to the value of its group."""
        if self._field.namespace not in _OF_SETS:
            return "(1 = 1)"
        number, text = self._cells(condition)
        tables = condition.values_of_run(self._field)
        return _OF_VALUE.format(tables=tables, number=number, text=text)

    def _cells(self, condition: Condition) -> tuple[str, str]:
        """Return the two columns of a value; the first is NULL if there is only one."""
        number, text = condition.cells(self._field)
        return "NULL" if number == text else number, text

    def _group(
        self,
        row: tuple[Any, ...],
        last: Mapping[int, _LastRun],
        spreads: Mapping[str, Mapping[Key, tuple[Any, ...]]],
    ) -> RunGroup:
        key: Key = (row[0], row[1])
        run = last.get(row[4], _LastRun("", ""))  # deleted meanwhile
        counts = zip(_STATUSES, row[5:], strict=True)
        return RunGroup(
            value=self._value(*key),
            runs=row[2],
            statuses={status.value: count for status, count in counts if count},
            last_reference=run.reference,
            last_name=run.name,
            last_started_at=from_micros(row[3]) if is_time(row[3]) else None,
            metrics=dict(_spreads_of(key, spreads)),
        )

    def _value(self, number: float | None, text: Value) -> Value:
        """Return a value for users: truth values are stored as numbers with texts."""
        if self._field.namespace is Namespace.RUN:
            return bool(number) if self._field.kind is Kind.FLAG and number is not None else number
        if text in TRUTH and number is not None:
            return bool(text == TRUTH[1])
        if self._field.namespace is Namespace.PARAM and (number, text) in _NOT_FINITE:
            return _NOT_FINITE[number, text]
        if number is not None and isinstance(text, str) and text.lstrip("-").isdigit():
            with suppress(ValueError):  # an integer with too many digits
                return int(text)  # an integer beyond the precision of a double
        return number if text is None else text


def _spreads_of(
    key: Key, spreads: Mapping[str, Mapping[Key, tuple[Any, ...]]]
) -> Iterator[tuple[str, Spread]]:
    for name, by_key in spreads.items():
        if key in by_key:
            least, mean, most, scaled = by_key[key]
            if least is None:
                least = most = math.nan
            if mean is None:  # infinity and minus infinity, or nothing but NaN
                mean = math.nan
            elif math.isinf(mean) and math.isfinite(least) and math.isfinite(most):
                mean = min(max(scaled, least / _SCALE), most / _SCALE) * _SCALE
            yield name, Spread(least, mean, most)
