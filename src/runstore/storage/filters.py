"""A query's tree to SQL: conditions on the run `r`, and their parameters.

Every value and every name that a user wrote travels as a parameter. `model/query_match.py` says
in Python what this says in SQL.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any as AnyValue

from runstore.model.patterns import like_parts
from runstore.model.query import (
    All,
    Any,
    Compare,
    Field,
    Kind,
    Missing,
    Node,
    Not,
    Op,
    Order,
    Room,
)
from runstore.model.query_fields import keys_of
from runstore.model.query_match import TRUTH, number_in
from runstore.model.status import Status

_COLUMNS: Mapping[str, str] = {
    "cli": "r.cli",
    "commit": "r.commit_hash",
    "duration": "((r.ended_at - r.started_at) / 1000000.0)",
    "ended_at": "r.ended_at",
    "error": "r.error",
    "exit_code": "r.exit_code",
    "full_store": "r.full_store",
    "hostname": "r.hostname",
    "last_seen_at": "r.last_seen_at",
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
# Columns of the table that a room's values are in, by the part of the field.
_PARTS: Mapping[Room, Mapping[str, str]] = {
    Room.METRIC: {
        "last": "v.last",
        "first": "v.first",
        "min": "v.min",
        "max": "v.max",
        "mean": "(v.total / nullif(v.count - v.nan_count, 0))",
        "count": "v.count",
    },
    Room.ARTIFACT: {
        "path": "v.path",
        "size": "v.size_bytes",
        "type": "v.media_type",
        "digest": "v.digest",
    },
    Room.INPUT: {
        "path": "v.name",
        "size": "v.size_bytes",
        "digest": "v.digest",
        "location": "v.location",
        "source": "v.source_uid",
    },
}
_BOOLS = "('false', 'true')"
_FALSE = "(1 = 0)"
_FACT_NUMBER = "(CASE WHEN v.type = 'text' THEN NULL ELSE v.value END)"
_FACT_TEXT = (
    "(CASE v.type WHEN 'text' THEN v.value WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' END)"
)
# An index holds these alone: most runs are complete.
_INCOMPLETE = "r.status <> 'complete'"


class Condition:
    """Builds the condition of one query.

    Args:
        versions: Returns the packages documents, by hash, in which a package has a version that
            a comparison accepts.
        from_sets: Whether values are looked for in all runs at once, which is quicker where few
            match, or in each run by itself, which is quicker where many do.
    """

    def __init__(
        self, versions: Callable[[Compare | Missing], Sequence[str]], *, from_sets: bool
    ) -> None:
        self._versions = versions
        self._from_sets = from_sets
        self.parameters: list[AnyValue] = []

    def of(self, node: Node) -> str:
        """Return the condition of a tree; its parameters are added in the order of their marks."""
        if isinstance(node, (All, Any)):
            parts = [self.of(part) for part in node.parts]
            return _joined("AND" if isinstance(node, All) else "OR", parts) if parts else "(1 = 1)"
        if isinstance(node, Not):
            return f"({self.of(node.inner)} IS NOT TRUE)"
        if isinstance(node, Missing):
            return self._missing(node)
        return self._compare(node)

    def _missing(self, node: Missing) -> str:
        field = node.field
        if field.room is Room.RUN:
            return f"({self._column(field)} IS NULL)"
        return f"(NOT {self._among(field, node, lambda: '(1 = 1)')})"

    def _compare(self, node: Compare) -> str:
        field = node.field
        if field.room is Room.RUN:
            return self._of_run(node)
        return self._among(field, node, lambda: self._checked(node, *_cells(field)))

    def _of_run(self, node: Compare) -> str:
        column = self._column(node.field)
        if node.field.key == "experiment_name":
            inner = self._checked(node, "x.name", "x.name")
            return f"(r.experiment_id IN (SELECT x.id FROM experiments x WHERE {inner}))"
        is_there = f"{column} IS NOT NULL AND "
        if node.field.key == "status" and not _accepts(node, Status.COMPLETE.value):
            is_there = f"{_INCOMPLETE} AND "
        return f"({is_there}{self._checked(node, column, column)})"

    @staticmethod
    def _column(field: Field) -> str:
        return _COLUMNS.get(field.key, "r.id")

    def _among(self, field: Field, node: Compare | Missing, condition: Callable[[], str]) -> str:
        """Return that one of a field's values fulfils a condition."""
        if field.room is Room.PACKAGE:
            hashes = self._marks(self._versions(node))
            tables = f"run_documents v WHERE v.name = 'packages' AND v.hash IN ({hashes})"
            inner = "(1 = 1)"
        else:
            tables = self.tables(field)
            inner = condition()
        if self._from_sets:
            return f"(r.id IN (SELECT v.run_id FROM {tables} AND {inner}))"
        return f"(EXISTS (SELECT 1 FROM {tables} AND v.run_id = r.id AND {inner}))"

    def tables(self, field: Field) -> str:
        """Return the table `v` of a room, narrowed down to the field."""
        if field.room is Room.SET:
            return "run_params v WHERE (1 = 1)"
        if field.room is Room.PARAM:
            # The sign keeps the engine from the parameters of all runs, where it is about one.
            key = "v.key" if self._from_sets else "+v.key"
            where = f"{key} IN ({self._marks(keys_of(field))})"
            return f"params v WHERE {where}{self._set(field)}"
        if field.room is Room.METRIC:
            key_id = f"(SELECT k.id FROM metric_keys k WHERE k.key = {self._mark(field.key)})"
            return f"metric_summaries v WHERE v.key_id = {key_id}{self._set(field)}"
        if field.room is Room.TAG:
            return f"tags v WHERE v.key = {self._mark(field.key)}"
        if field.room is Room.FACT:
            # A quote ends the name within a path, and no fact has one in its name.
            path = '$.values."{}"'.format(field.key.replace('"', ""))
            return (
                "(SELECT f.id AS run_id, j.type AS type, j.value AS value FROM runs f,"
                f" json_each(f.facts, {self._mark(path)}) j) v WHERE v.type <> 'null'"
            )
        table = "artifacts" if field.room is Room.ARTIFACT else "inputs"
        name = _PARTS[field.room]["path"]
        where = f"{name} = {self._mark(field.key)}" if field.key else "(1 = 1)"
        return f"{table} v WHERE {where} AND {_PARTS[field.room][field.part]} IS NOT NULL"

    def _set(self, field: Field) -> str:
        if field.set_name is None:
            return ""
        return (
            " AND EXISTS (SELECT 1 FROM run_params s WHERE s.run_id = v.run_id"
            f" AND s.set_index = v.set_index AND s.name = {self._mark(field.set_name)})"
        )

    def _mark(self, value: AnyValue) -> str:
        self.parameters.append(value)
        return "?"

    def _marks(self, values: Iterable[AnyValue]) -> str:
        return ", ".join([self._mark(value) for value in values]) or "NULL"

    # One value

    def _checked(self, node: Compare, number: str, text: str) -> str:
        """Return a comparison of one value, with its negation."""
        options = node.value if isinstance(node.value, tuple) else (node.value,)
        op = Op.EQUAL if node.op is Op.IN else node.op
        kind = node.field.kind
        ways = [
            self._cell(op, one, number, text)
            if kind is Kind.CELL
            else self._plain(op, one, number)
            for one in options
        ]
        held = _joined("OR", ways)
        return f"(({held}) IS NOT TRUE)" if node.is_negated else f"({held})"

    def _plain(self, op: Op, wanted: AnyValue, column: str) -> str:
        if op in _TEXTUAL:
            return self._text(op, str(wanted), column)
        if _is_nan(wanted):
            return f"({column} IS NULL)" if op is Op.EQUAL else _FALSE
        return f"{column} {op.value} {self._mark(wanted)}"

    def _cell(self, op: Op, wanted: AnyValue, number: str, text: str) -> str:
        if op in _TEXTUAL:
            return self._text(op, str(wanted), f"coalesce({text}, number_text({number}))")
        if isinstance(wanted, bool):
            if op is not Op.EQUAL:
                return _FALSE
            return f"({number} IS NOT NULL AND {text} = {self._mark(TRUTH[wanted])})"
        if isinstance(wanted, str):
            return self._quoted(op, wanted, number, text)
        if _is_nan(wanted):
            return f"({number} IS NULL AND {text} = 'nan')" if op is Op.EQUAL else _FALSE
        return self._number(op, wanted, number, text)

    def _number(self, op: Op, wanted: float, number: str, text: str) -> str:
        is_number = f"({text} IS NULL OR {text} NOT IN {_BOOLS})"
        return f"({number} {op.value} {self._mark(wanted)} AND {is_number})"

    def _quoted(self, op: Op, wanted: str, number: str, text: str) -> str:
        """Return a comparison with a text in quotes; numbers may be quoted."""
        ways = [f"({number} IS NULL AND {text} {op.value} {self._mark(wanted)})"]
        if op is Op.EQUAL:
            if wanted == "None":
                ways.append(f"({number} IS NULL AND {text} IS NULL)")
            told = wanted.lower() if wanted.lower() in TRUTH else wanted
            ways.append(f"({number} IS NOT NULL AND {text} = {self._mark(told)})")
        as_number = number_in(wanted)
        if as_number is not None:
            ways.append(self._number(op, as_number, number, text))
        return f"({' OR '.join(ways)})"

    def _text(self, op: Op, wanted: str, text: str) -> str:
        if op is Op.CONTAINS:
            return f"instr({text}, {self._mark(wanted)}) > 0"
        if op is Op.MATCHES:
            return f"matches({self._mark(wanted)}, {text})"
        if op is Op.ILIKE:
            return f"{text} LIKE {self._mark(_escaped(wanted))} ESCAPE '\\'"
        return f"{text} GLOB {self._mark(_globbed(wanted))}"


def _joined(word: str, parts: Sequence[str]) -> str:
    """Join conditions as a balanced tree: SQLite takes a chain of a thousand for too deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(word, parts[:middle])} {word} {_joined(word, parts[middle:])})"


_TEXTUAL = frozenset({Op.CONTAINS, Op.MATCHES, Op.LIKE, Op.ILIKE})


def _cells(field: Field) -> tuple[str, str]:
    """Return the SQL of a value's number and of its text; the same where it is no cell."""
    if field.room is Room.PARAM:
        return "v.number", "v.text"
    if field.room is Room.TAG:
        return "number_of(v.value)", "v.value"
    if field.room is Room.FACT:
        return _FACT_NUMBER, _FACT_TEXT
    if field.room is Room.SET:
        return f"v.{field.key}", f"v.{field.key}"
    column = _PARTS[field.room][field.part] if field.room in _PARTS else "NULL"
    return column, column


def _accepts(node: Compare, status: str) -> bool:
    options = node.value if isinstance(node.value, tuple) else (node.value,)
    if node.op not in {Op.EQUAL, Op.IN}:
        return True
    return (status in options) is not node.is_negated


def _is_nan(wanted: AnyValue) -> bool:
    return isinstance(wanted, float) and math.isnan(wanted)


def _globbed(pattern: str) -> str:
    """Return a `like` pattern as GLOB has it, which tells capitals from small letters."""
    signs = {("%", True): "*", ("_", True): "?"}
    return "".join(
        signs.get(part) or (f"[{part[0]}]" if part[0] in "*?[" else part[0])
        for part in like_parts(pattern)
    )


def _escaped(pattern: str) -> str:
    return "".join(
        one if is_wild or one not in "%_\\" else f"\\{one}" for one, is_wild in like_parts(pattern)
    )


def sort_values(condition: Condition, order: Order) -> Iterator[str]:
    """Yield the SQL of what a key sorts by: for cells the number, and then the text."""
    field = order.field
    if field.room is Room.RUN:
        name = "(SELECT x.name FROM experiments x WHERE x.id = r.experiment_id)"
        yield name if field.key == "experiment_name" else _COLUMNS[field.key]
        return
    first = "max" if order.is_descending else "min"
    for column in dict.fromkeys(_cells(field)):
        yield f"(SELECT {first}({column}) FROM {condition.tables(field)} AND v.run_id = r.id)"
