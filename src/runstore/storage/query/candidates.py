"""Small supersets of the runs that match a condition, found through an index.

If there is one, a search checks only its runs, one by one.
"""
# ruff: noqa: S608 - nothing but constants of storage is put into a text

from __future__ import annotations

import json

from runstore.model.query.fields import keys_of
from runstore.model.query.normalize import is_of_run, parts_of
from runstore.model.query.tree import All, Any, Compare, Field, Missing, Namespace, Node, Not
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.where import EVERY_NAMESPACE, Condition
from runstore.value_classes import NamedTuple

# With larger sets, checking run by run takes longer than scanning all runs.
FEW = 3_000
# A set of this size is small enough to stop looking.
VERY_FEW = 500
# Highest row id up to which runs without a value are computed in this process.
LARGEST = 1_000_000

AT_MOST = f"""
    SELECT count(*), json_group_array(n.run_id) FROM (
        SELECT c.run_id AS run_id FROM ({{runs}}) c LIMIT ? {sql.IN_ORDER}
    ) n
"""
IN_PARENTHESES = "SELECT * FROM ({}) n"
RUNS = "SELECT r.id AS run_id FROM {runs} WHERE {kept} AND {where}"
TOGETHER = "SELECT json_group_array(n.run_id) FROM ({runs}) n"
WITHOUT = "SELECT r.id AS run_id FROM runs r EXCEPT SELECT n.run_id FROM ({runs}) n"
# Runs of which only the names are kept have no values; one that is being transferred may have.
ALL_RUNS = f"""
    SELECT (SELECT count(*) FROM runs) - (SELECT count(*) FROM runs r
            WHERE r.deleted_at IS NOT NULL AND {sql.PURGED} AND r.block IS NULL),
        (SELECT coalesce(max(id), 0) FROM runs)
"""
# A value of a run itself, or of its first parameter set, is one row per run; so is the first value
# of a fact, which is in one set per run. The index of a set is written as a sum, which PostgreSQL
# does not look up: version 18 takes that for so expensive that it reads the whole table instead.
RUNS_WITH_VALUE = {
    Namespace.PARAM: """
        SELECT count(*) FROM params v WHERE v.key = ? AND v.set_index + 0 = 0 AND v.indexed = 1
    """,
    Namespace.METRIC: """
        SELECT count(*) FROM metric_summaries v
        WHERE v.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?) AND v.set_index + 0 = -1
    """,
    Namespace.TAG: "SELECT count(*) FROM tags v WHERE v.key = ?",
    Namespace.FACT: """
        SELECT count(*) FROM fact_values f CROSS JOIN run_facts l ON l.set_id = f.set_id
        WHERE f.key = ? AND f.place = 0
    """,
}


class Few(NamedTuple):
    """Some runs: their number, possibly with duplicates, and their row ids as a JSON list."""

    size: int
    ids: str


NONE = Few(0, "[]")


class Candidates:
    """Finds a small superset of the runs that match a condition."""

    def __init__(self, connection: Connection, packages: PackageLists) -> None:
        self._connection = connection
        self._packages = packages

    def of(self, node: Node) -> Few | None:
        """Return a small superset for a condition with `not` only at its leaves; None if slow."""
        if is_of_run(node):
            condition = self._packages.condition()
            runs = RUNS.format(runs=sql.SCANNED_RUNS, kept=sql.KEPT, where=condition.of(node))
            return self._at_most(runs, condition)
        if isinstance(node, All):
            return self._smallest(node)
        if isinstance(node, Any):
            return self._together(node)
        if isinstance(node, Not):
            return self._of_negation(node.inner)
        if isinstance(node, Missing):
            return self._without_value(node.field)
        return self._with_value(node)

    def in_common(self, node: Node) -> Few | None:
        """Return the runs that match each comparison of values; None if there are many."""
        condition = self._packages.condition(EVERY_NAMESPACE)
        sets = [
            condition.runs_with(part)
            for part in parts_of(node)
            if isinstance(part, Compare)
            and part.field.namespace not in {Namespace.RUN, Namespace.OUTPUT}
        ]
        if len(sets) < 2:  # noqa: PLR2004 - a single set has no intersection
            return None
        return self._at_most(" INTERSECT ".join(map(IN_PARENTHESES.format, sets)), condition)

    def _smallest(self, node: All) -> Few | None:
        """Return the smallest superset of the parts; conditions on the run itself are one part."""
        others = [part for part in node.parts if not is_of_run(part)]
        of_run = tuple(part for part in node.parts if is_of_run(part))
        found: Few | None = None
        for part in [*others, *([All(of_run)] if of_run else [])]:
            few = self.of(part)
            if few is not None and (found is None or few.size < found.size):
                found = few
            if found is not None and found.size <= VERY_FEW:
                break
        return found

    def _together(self, node: Any) -> Few | None:
        """Return the union of the supersets of all parts."""
        of_run = tuple(part for part in node.parts if is_of_run(part))
        others = [part for part in node.parts if not is_of_run(part)]
        found = NONE
        for part in [*others, *([Any(of_run)] if of_run else [])]:
            few = self.of(part)
            both = None if few is None else _both(found, few)
            if both is None:
                return None
            found = both
        return found

    def _of_negation(self, node: Node) -> Few | None:
        """Return the runs with a value that fails a comparison, and those without a value."""
        if isinstance(node, Missing):
            return self._with_value(node)
        if not isinstance(node, Compare):
            return None
        refused = self._with_value(node, is_refused=True)
        without = None if refused is None else self._without_value(node.field)
        return None if refused is None or without is None else _both(refused, without)

    def _with_value(self, node: Compare | Missing, *, is_refused: bool = False) -> Few | None:
        if node.field.namespace is Namespace.OUTPUT:
            return None if is_refused else self._with_text(node)
        condition = self._packages.condition(EVERY_NAMESPACE)
        runs = condition.runs_with(node, is_refused=is_refused, is_limited=True)
        return self._at_most(runs, condition)

    def _with_text(self, node: Compare | Missing) -> Few | None:
        """Return the runs whose output may match a comparison."""
        texts = self._packages.texts
        runs = None if texts is None else texts.runs(node, FEW)
        return None if runs is None else Few(len(runs), json.dumps(sorted(runs)))

    def _at_most(self, runs: str, condition: Condition) -> Few | None:
        text = AT_MOST.format(runs=runs)
        row = self._connection.execute(text, [*condition.parameters, FEW + 1]).fetchone()
        return Few(row[0], row[1]) if row[0] <= FEW else None

    def _without_value(self, field: Field) -> Few | None:
        """Return the runs without a value of a field."""
        if field.namespace is Namespace.OUTPUT:
            return None
        runs, last = self._connection.execute(ALL_RUNS).fetchone()
        statement = RUNS_WITH_VALUE.get(field.namespace)
        is_counted = statement is not None and field.set_name is None
        if statement is not None and is_counted:
            keys = keys_of(field) if field.namespace is Namespace.PARAM else (field.key,)
            with_value = max(
                self._connection.execute(statement, (key,)).fetchone()[0] for key in keys
            )
            if with_value == runs:
                return NONE
            if runs - with_value > FEW:
                return None
        if runs == 0 or (last > LARGEST and not is_counted):
            return None
        condition = self._packages.condition(EVERY_NAMESPACE)
        with_value_in = condition.runs_with(Missing(field))
        if last > LARGEST:
            return self._at_most(WITHOUT.format(runs=with_value_in), condition)
        text = TOGETHER.format(runs=with_value_in)
        ids = self._connection.execute(text, condition.parameters).fetchone()[0]
        # Python computes the difference in half the time of SQLite, which sorts first.
        without = set(range(1, last + 1)).difference(json.loads(ids))
        return Few(len(without), json.dumps(sorted(without))) if len(without) <= FEW else None


def _both(one: Few, other: Few) -> Few | None:
    if one.size + other.size > FEW:
        return None
    ids = ",".join(few.ids[1:-1] for few in (one, other) if few.size)
    return Few(one.size + other.size, f"[{ids}]")
