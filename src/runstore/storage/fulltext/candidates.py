"""Candidate documents of the index: documents that contain every required trigram.

They are fetched in ranges of runs, so that the cost of a frequent text depends on the runs that
are checked, and all at once if they are few.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, Union

from runstore.model.text.required_literals import Every, Needed, Some
from runstore.value_classes import NamedTuple

_LENGTH = 3
_RUNS_AT_ONCE = 1024
_TRIGRAMS_AT_MOST = 32  # of one text; more hardly add precision
# Maximum number of trigrams that begin with a text of one or two characters; if there are more,
# none is used.
_WAYS_AT_MOST = {1: 64, 2: 2_000}
_DEPTH_AT_MOST = 20  # SQLite's parser allows a hundred
_LAST = "\U0010ffff"

WITH_TEXTS = "SELECT rowid FROM trigrams WHERE trigrams MATCH ? AND rowid BETWEEN ? AND ?"
WITH_TEXTS_ANYWHERE = "SELECT rowid FROM trigrams WHERE trigrams MATCH ? LIMIT ?"
DOCUMENTS_OF_RUNS = """
    SELECT run_id, field, id FROM documents
    WHERE run_id BETWEEN ? AND ? AND field IN ({fields}) ORDER BY run_id, field, id
"""
RUNS_OF_DOCUMENTS = """
    SELECT DISTINCT run_id FROM documents
    WHERE id IN (SELECT value FROM json_each(?)) AND field IN ({fields})
"""
SEQUENCES = "SELECT term FROM words WHERE term >= ? AND term < ? LIMIT ?"


# The texts that a document must contain, as FTS5 expressions joined by `Every` and `Some`; None
# for no requirement. An empty `Some` matches no document.
Plan = Union[Needed, None]
_NEVER = Some(())


class Document(NamedTuple):
    """A document that may match: its field, and its id in the index."""

    field: int
    id: int


class TextCandidates(Protocol):
    """The documents of some fields that may match."""

    def of_run(self, run_id: int) -> Sequence[Document]:
        """Return the documents of a run that may match, those of a field in their order."""

    def runs(self, at_most: int) -> set[int] | None:
        """Return the runs that may match; None if they may be many."""


class PossibleDocuments:
    """The documents of some fields that may match, found by the index.

    Args:
        connection: The index, within a transaction.
        needed: The texts that a match must contain.
        fields: Numbers of the fields.
        in_one_document: Whether a single document must contain everything, or the run as a whole.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        needed: Needed,
        fields: Iterable[int],
        *,
        in_one_document: bool,
    ) -> None:
        self._connection = connection
        self._fields = ", ".join(map(str, fields))
        self._plan = _planned(connection, needed)
        if in_one_document and _depth(self._plan) < _DEPTH_AT_MOST:
            self._plan = _as_one(self._plan)
        self._few: set[int] | None = None
        self._blocks: dict[int, Mapping[int, list[Document]]] = {}

    def of_run(self, run_id: int) -> Sequence[Document]:
        """Return the documents of a run that may match, those of a field in their order."""
        if self._few is not None and run_id not in self._few:
            return ()
        # If the runs are few, each has its own block.
        length = _RUNS_AT_ONCE if self._few is None else 1
        block = run_id // length
        if block not in self._blocks:
            self._blocks[block] = self._of_block(block * length, length)
        return self._blocks[block].get(run_id, ())

    def _of_block(self, begin: int, length: int) -> Mapping[int, list[Document]]:
        statement = DOCUMENTS_OF_RUNS.format(fields=self._fields)
        bounds = (begin, begin + length - 1)
        rows = self._connection.execute(statement, bounds).fetchall()
        plan = self._plan
        if not rows or plan is None:
            return _by_run(rows)
        first, last = min(row[2] for row in rows), max(row[2] for row in rows)
        if isinstance(plan, str):
            held = self._held(plan, first, last)
            return _by_run(row for row in rows if row[2] in held)
        runs_of = {row[2]: row[0] for row in rows}

        def runs_with(expression: str) -> set[int]:
            held = self._held(expression, first, last)
            return {runs_of[one] for one in held if one in runs_of}

        runs = _evaluated(plan, runs_with)
        return _by_run(row for row in rows if runs is None or row[0] in runs)

    def _held(self, expression: str, first: int, last: int) -> set[int]:
        found = self._connection.execute(WITH_TEXTS, (expression, first, last)).fetchall()
        return {row[0] for row in found}

    def runs(self, at_most: int) -> set[int] | None:
        """Return the runs that may match; None if they may be many."""
        if self._few is None and self._plan is not None:
            found = _evaluated(self._plan, lambda one: self._runs_with(one, at_most))
            self._few, self._blocks = found, {}
        return self._few

    def _runs_with(self, expression: str, at_most: int) -> set[int] | None:
        limited = (expression, at_most + 1)
        rows = self._connection.execute(WITH_TEXTS_ANYWHERE, limited).fetchall()
        if len(rows) > at_most:
            return None
        statement = RUNS_OF_DOCUMENTS.format(fields=self._fields)
        ids = json.dumps([row[0] for row in rows])
        return {row[0] for row in self._connection.execute(statement, (ids,)).fetchall()}


def _by_run(rows: Iterable[Sequence[int]]) -> Mapping[int, list[Document]]:
    found: dict[int, list[Document]] = defaultdict(list)
    for run_id, field, document in rows:
        found[run_id].append(Document(field, document))
    return found


def _planned(connection: sqlite3.Connection, needed: Needed) -> Plan:
    """Return the query for the index, without requirements that it cannot answer."""
    if isinstance(needed, str):
        return _expression(connection, needed)
    plans = [_planned(connection, part) for part in needed.parts]
    if isinstance(needed, Every):
        asked = tuple(one for one in plans if one is not None)
        if _NEVER in asked:
            return _NEVER
        return Every(asked) if asked else None
    ways = tuple(one for one in plans if one is not None and one != _NEVER)
    return None if None in plans else Some(ways)


def _expression(connection: sqlite3.Connection, text: str) -> Plan:
    """Return the expression for documents that contain a text."""
    if len(text) >= _LENGTH:
        trigrams = list(dict.fromkeys(zip(text, text[1:], text[2:], strict=False)))
        count = min(len(trigrams), _TRIGRAMS_AT_MOST)
        chosen = (trigrams[n * len(trigrams) // count] for n in range(count))
        return " AND ".join(_quoted("".join(one)) for one in chosen)
    limit = _WAYS_AT_MOST[len(text)]
    bounds = (text, text + _LAST * _LENGTH, limit + 1)
    ways = connection.execute(SEQUENCES, bounds).fetchall()
    if len(ways) > limit:
        return None
    return " OR ".join(_quoted(term) for (term,) in ways) or _NEVER


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _depth(plan: Plan) -> int:
    if plan is None or isinstance(plan, str):
        return 0
    return 1 + max(map(_depth, plan.parts), default=0)


def _as_one(plan: Plan) -> Plan:
    """Return a plan as one expression, if one document must match all of it."""
    if plan is None or isinstance(plan, str) or plan == _NEVER:
        return plan
    word = " AND " if isinstance(plan, Every) else " OR "
    return word.join(f"({_as_one(part)})" for part in plan.parts)


def _evaluated(plan: Plan, runs_with: Callable[[str], set[int] | None]) -> set[int] | None:
    """Return the runs that match a plan; None for all."""
    if plan is None or isinstance(plan, str):
        return None if plan is None else runs_with(plan)
    found = [_evaluated(part, runs_with) for part in plan.parts]
    known = [one for one in found if one is not None]
    if isinstance(plan, Every):
        return set.intersection(*known) if known else None
    return None if len(known) < len(found) else set().union(*known)
