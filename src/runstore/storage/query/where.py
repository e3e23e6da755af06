"""Translation of a query's tree to SQL conditions on the run `r`, with parameters.

Every value and every name from a user is passed as a parameter. `model/query/evaluate.py` is the
equivalent in Python.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore.model.query.evaluate import is_nan
from runstore.model.query.exact import is_exact
from runstore.model.query.fields import keys_of, parts_of
from runstore.model.query.tree import All, Any, Compare, Field, Missing, Namespace, Node, Not, Op
from runstore.model.status import Status
from runstore.storage import statements as sql
from runstore.storage.query.operators import FALSE, IS_NUMBER, ComparisonBuilder, joined

if TYPE_CHECKING:
    from runstore.storage.fulltext.conditions import TextConditions

_COLUMNS: Mapping[str, str] = {
    "cli": "r.cli",
    "commit": "r.commit_hash",
    "duration": "((r.ended_at - r.started_at) / 1000000.0)",
    "ended_at": "r.ended_at",
    "error": "r.error",
    "exit_code": "r.exit_code",
    "experiment_name": "r.experiment_id",  # never missing; the name is in another table
    "full_store": "r.full_store",
    "hostname": "r.hostname",
    "last_seen_at": sql.LAST_SEEN,
    "notes": "r.notes",
    "parent_uid": "r.parent_uid",
    "reference": "r.reference",
    "run_number": "r.run_number",
    "started_at": "r.started_at",
    "status": "r.status",
    "traceback": "r.traceback",
    "uid": "r.uid",
    "workdir_dirty": "r.workdir_dirty",
}
# Columns of the tables with the values of a namespace, by the part of the field.
_PARTS: Mapping[Namespace, Mapping[str, str]] = {
    Namespace.METRIC: {
        "last": "v.last",
        "first": "v.first",
        "min": "v.min",
        "max": "v.max",
        "mean": "(v.total / nullif(v.count - v.nan_count, 0))",
        "count": "v.count",
    },
    Namespace.ARTIFACT: {
        "path": "v.path",
        "size": "v.size_bytes",
        "type": "v.media_type",
        "digest": "v.digest",
    },
    Namespace.INPUT: {
        "path": "v.name",
        "size": "v.size_bytes",
        "digest": "v.digest",
        "location": "v.location",
        "source": "v.source_uid",
    },
}
# Facts by name; and facts of runs that are not indexed yet.
_INDEXED = "fact_values v CROSS JOIN run_facts l ON l.set_id = v.set_id WHERE v.key = {key}"
_UNINDEXED = (
    f"runs p CROSS JOIN json_each({sql.READABLE_FACTS.format(run='p')}, {{path}}) v"
    " WHERE p.facts IS NOT NULL AND p.facts_filed IS NULL AND v.type <> 'null'"
)
_FACTS = f"""(
    SELECT l.run_id AS run_id, v.number AS number, v.text AS text FROM {_INDEXED}
    UNION ALL SELECT p.id, {sql.FACT_NUMBER}, {sql.FACT_TEXT} FROM {_UNINDEXED}
) v WHERE (1 = 1)"""
_CELL = ("v.number", "v.text")
# The numbers that a comparison refuses.
_OUTSIDE: Mapping[Op, Sequence[str]] = {
    Op.EQUAL: ("<", ">"),
    Op.BELOW: (">=",),
    Op.AT_MOST: (">",),
    Op.ABOVE: ("<=",),
    Op.AT_LEAST: ("<",),
}
# This condition selects a small index: most runs are complete.
_INCOMPLETE = "r.status <> 'complete'"
# Columns with their own index, which would return runs out of order.
INDEXED = frozenset({"parent_uid", "reference", "status", "uid"})
EVERY_NAMESPACE = frozenset(Namespace)


class Condition(ComparisonBuilder):
    """Builds the condition of one query.

    Args:
        versions: Returns the hashes of package lists in which a package's version matches a
            comparison.
        from_sets: Namespaces whose values are searched in all runs at once, which is faster if few
            match; the other namespaces are searched run by run.
        in_order: Whether runs are scanned in their order, so that no other index of runs may be
            used.
        texts: The conditions on texts, if the query has some.
    """

    def __init__(
        self,
        versions: Callable[[Compare | Missing], Sequence[str]],
        *,
        from_sets: Collection[Namespace] = (),
        in_order: bool = False,
        texts: TextConditions | None = None,
    ) -> None:
        super().__init__()
        self._versions = versions
        self._texts = texts
        self._from_sets = from_sets
        self._in_order = in_order

    def of(self, node: Node) -> str:
        """Return the condition of a tree, adding its parameters in order."""
        if isinstance(node, (All, Any)):
            parts = [self.of(part) for part in node.parts]
            if not parts:
                return "(1 = 1)" if isinstance(node, All) else FALSE
            return joined("AND" if isinstance(node, All) else "OR", parts)
        if isinstance(node, Not):
            return self._negated(node.inner)
        if node.field.namespace is Namespace.OUTPUT and self._texts is not None:
            return self._texts.of_output(node, self._mark)
        if isinstance(node, Missing):
            return self._missing(node)
        return self._compare(node)

    def _negated(self, node: Node) -> str:
        if isinstance(node, Missing) and node.field.namespace is Namespace.RUN:
            return f"({self._column(node.field)} IS NOT NULL)"  # the words of partial indexes
        return f"({self.of(node)} IS NOT TRUE)"

    def _missing(self, node: Missing) -> str:
        field = node.field
        if field.namespace is Namespace.RUN:
            return f"({self._column(field)} IS NULL)"
        return f"(NOT {self._among(node)})"

    def _compare(self, node: Compare) -> str:
        if node.field.namespace is Namespace.RUN:
            return self._of_run(node)
        return self._among(node)

    def _of_run(self, node: Compare) -> str:
        if node.field.key == "experiment_name":
            sign = "+" if self._in_order else ""
            inner = self._checked(node, "x.name", "x.name")
            return f"({sign}r.experiment_id IN (SELECT x.id FROM experiments x WHERE {inner}))"
        column = self._column(node.field)
        is_there = f"{column} IS NOT NULL AND "
        if column == "r.status" and not _accepts(node, Status.COMPLETE.value):
            is_there = f"{_INCOMPLETE} AND "
        return f"({is_there}{self._checked(node, column, column)})"

    def _column(self, field: Field) -> str:
        column = column_of_run(field)
        return f"+{column}" if self._in_order and field.key in INDEXED else column

    def _among(self, node: Compare | Missing) -> str:
        """Return the condition that one of a field's values matches."""
        if node.field.namespace in self._from_sets:
            # The unary plus keeps SQLite in the order of the runs.
            sign = "+" if self._in_order else ""
            return f"({sign}r.id IN ({self.runs_with(node)}))"
        tables = self.values_of_run(node.field)
        inner = self._inner(node, self.cells(node.field))
        # The limit keeps PostgreSQL from reading the values of all runs, whatever it expects.
        return f"(EXISTS (SELECT 1 FROM {tables} AND {inner} LIMIT 1))"

    def runs_with(
        self, node: Compare | Missing, *, is_refused: bool = False, is_limited: bool = False
    ) -> str:
        """Return a statement for the ids of runs with a value that matches, or does not.

        A `Missing` matches any value. If limited, only some of the runs are read.
        """
        if node.field.namespace is Namespace.FACT:
            # Two statements, because SQLite would combine all facts before it filters them.
            indexed = f"SELECT l.run_id FROM {_INDEXED.format(key=self._mark(node.field.key))}"
            indexed += f" AND {self._inner(node, _CELL, is_refused=is_refused)}"
            path = self._mark(_fact_path(node.field))
            unindexed = f"SELECT p.id FROM {_UNINDEXED.format(path=path)}"
            cells = (sql.FACT_NUMBER, sql.FACT_TEXT)
            unindexed += f" AND {self._inner(node, cells, is_refused=is_refused)}"
            return f"{indexed} UNION ALL {unindexed}"
        if node.field.namespace is Namespace.PARAM and node.field.part:
            # Each is a part of an index.
            keys = (f"{one} AND v.indexed = 1" for one in self._keys(node.field, ""))
            found = [f"params v WHERE {one}{self._set(node.field)}" for one in keys]
            return " UNION ALL ".join(f"SELECT v.run_id FROM {one}" for one in found)
        is_one = node.field.namespace is not Namespace.PARAM or len(keys_of(node.field)) == 1
        end = sql.BY_INDEX if is_limited and is_one else ""
        if isinstance(node, Compare) and is_refused is not node.is_negated and _is_range(node):
            found = [f"{one}{end}" for one in self._outside(node)]
            return " UNION ALL ".join(f"SELECT n.run_id FROM ({one}) n" for one in found)
        tables = self.values_of_all(node.field)
        inner = self._inner(node, self.cells(node.field), is_refused=is_refused)
        return f"SELECT v.run_id FROM {tables} AND {inner}{end}"

    def _outside(self, node: Compare) -> Iterator[str]:
        """Yield statements for parameters that are not in a range: each is a part of an index."""
        for sign in _OUTSIDE[node.op]:
            tables = self.values_of_all(node.field)
            yield f"SELECT v.run_id FROM {tables} AND v.number {sign} {self._mark(node.value)}"
        # Texts, and truth values, which are numbers with a text.
        for other in ("v.number IS NULL", f"v.number IN (0, 1) AND NOT {IS_NUMBER}"):
            yield f"SELECT v.run_id FROM {self.values_of_all(node.field)} AND {other}"

    def _inner(
        self, node: Compare | Missing, cells: tuple[str, str], *, is_refused: bool = False
    ) -> str:
        if node.field.namespace is Namespace.PACKAGE:
            inner = f"v.hash IN ({self._marks(self._versions(node))})"
        else:
            inner = "(1 = 1)" if isinstance(node, Missing) else self._checked(node, *cells)
        return f"({inner} IS NOT TRUE)" if is_refused else inner

    def cells(self, field: Field) -> tuple[str, str]:
        """Return the SQL of a value's number and of its text, which may be the same."""
        if field.namespace is Namespace.FACT and Namespace.FACT not in self._from_sets:
            return sql.FACT_NUMBER, sql.FACT_TEXT
        if field.namespace in {Namespace.PARAM, Namespace.FACT}:
            return _CELL
        if field.namespace is Namespace.TAG:
            return sql.TAG_NUMBER, "v.value"
        if field.namespace is Namespace.SET:
            return f"v.{field.key}", f"v.{field.key}"
        column = _PARTS[field.namespace][field.part] if field.namespace in _PARTS else "NULL"
        return column, column

    def values_of_run(self, field: Field) -> str:
        """Return the table `v` of a namespace, restricted to the field and the run `r`."""
        if field.namespace is Namespace.FACT:
            path = self._mark(_fact_path(field))
            facts = sql.READABLE_FACTS.format(run="r")
            return f"json_each({facts}, {path}) v WHERE v.type <> 'null'"
        # The unary plus keeps SQLite from scanning the parameters of all runs for one run.
        return f"{self._tables(field, '+')} AND v.run_id = r.id"

    def values_of_all(self, field: Field) -> str:
        """Return the table `v` of a namespace, restricted to the field."""
        if field.namespace is Namespace.FACT:
            key = self._mark(field.key)
            return _FACTS.format(key=key, path=self._mark(_fact_path(field)))
        return self._tables(field, "")

    def _tables(self, field: Field, sign: str) -> str:
        if field.namespace is Namespace.SET:
            return f"run_params v WHERE v.{field.key} IS NOT NULL"
        if field.namespace is Namespace.PARAM:
            keys = joined("OR", list(self._keys(field, sign)))
            # See `param_index`: the index covers only these.
            among = "" if sign else " AND v.indexed = 1"
            return f"params v WHERE {keys}{among}{self._set(field)}"
        if field.namespace is Namespace.METRIC:
            key_id = f"(SELECT k.id FROM metric_keys k WHERE k.key = {self._mark(field.key)})"
            return f"metric_summaries v WHERE v.key_id = {key_id}{self._set(field)}"
        if field.namespace is Namespace.TAG:
            return f"tags v WHERE v.key = {self._mark(field.key)}"
        if field.namespace is Namespace.PACKAGE:
            return "run_documents v WHERE v.name = 'packages'"
        table = "artifacts" if field.namespace is Namespace.ARTIFACT else "inputs"
        name = _PARTS[field.namespace]["path"]
        where = f"{name} = {self._mark(field.key)}" if field.key else "(1 = 1)"
        return f"{table} v WHERE {where} AND {_PARTS[field.namespace][field.part]} IS NOT NULL"

    def _keys(self, field: Field, sign: str) -> Iterator[str]:
        """Yield the conditions on the name of a parameter, of which one must hold."""
        keys = keys_of(field)
        yield f"{sign}v.key IN ({self._marks(keys)})"
        for low, high in (bounds for key in keys if field.part for bounds in parts_of(key)):
            yield f"({sign}v.key >= {self._mark(low)} AND {sign}v.key < {self._mark(high)})"

    def _set(self, field: Field) -> str:
        if field.set_name is None:
            return ""
        # Metrics of no set have the index -1. As a sum, see `candidates.py`.
        return (
            " AND v.set_index + 0 >= 0"
            " AND EXISTS (SELECT 1 FROM run_params s WHERE s.run_id = v.run_id"
            f" AND s.set_index = v.set_index AND s.name = {self._mark(field.set_name)})"
        )


def column_of_run(field: Field) -> str:
    """Return the SQL of a field of the run itself, except its experiment's name."""
    return _COLUMNS[field.key]


def _fact_path(field: Field) -> str:
    # A quote would end the name within a path, and no fact has one in its name.
    return '$.values."{}"'.format(field.key.replace('"', ""))


def _is_range(node: Compare) -> bool:
    """Check whether a comparison accepts the parameters in one range of numbers."""
    is_number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    is_known = node.field.namespace is Namespace.PARAM and node.op in _OUTSIDE
    return is_number and is_known and not (is_nan(node.value) or is_exact(node.value))


def _accepts(node: Compare, status: str) -> bool:
    options = node.value if isinstance(node.value, tuple) else (node.value,)
    if node.op not in {Op.EQUAL, Op.IN}:
        return True
    return (status in options) is not node.is_negated
