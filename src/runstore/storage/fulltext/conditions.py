"""Conditions on texts as SQL: a prefilter of runs, and checks of their texts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runstore.errors import RunstoreError, genuine
from runstore.model.query.tree import All, Compare, Field, Kind, Missing, Namespace, Node, Op
from runstore.storage.fulltext.run_texts import RunTexts
from runstore.storage.fulltext.verify import Check, OutputCheck
from runstore.storage.sqlite.functions import register, unregister
from runstore.value_classes import replace

# With more runs, SQL checks all runs instead of using the list.
_MANY = 5_000

Mark = Callable[[Any], str]


class TextConditions:
    """The conditions on texts of one search.

    A comparison that every match must fulfil only prefilters in SQL; the caller has to check these
    runs, see `left_to_look_at`. Other comparisons, within `or` and `not`, are checked by SQL.

    Attributes:
        texts: The texts of the runs.
        failure: The error of the index or a text, kept because a statement on runs would report it
            as an error of the database of runs.
    """

    def __init__(self, texts: RunTexts) -> None:
        self.texts = texts
        self.failure: Exception | None = None
        self._checks: dict[Compare, Check] = {}
        self._looked_at: set[Compare] = set()
        self._lent: dict[Check, int] = {}

    def node_of(self, check: Check) -> Node:
        """Return a node that represents a check in the tree of a query."""
        node = Compare(_CHECKED, Op.EQUAL, len(self._checks))
        self._checks[node] = check
        return node

    def left_to_look_at(self, where: Node) -> list[Callable[[int], bool]]:
        """Return the checks that the caller has to apply to each run found, by row id."""
        parts = [where]
        looks: list[Callable[[int], bool]] = []
        while parts:
            node = parts.pop()
            if isinstance(node, All):
                parts.extend(node.parts)
            elif isinstance(node, Compare) and node.field.namespace is Namespace.OUTPUT:
                self._looked_at.add(node)
                looks.append(_look(self._check_of(node), is_refused=node.is_negated))
        return looks

    def of_output(self, node: Compare | Missing, mark: Mark) -> str:
        """Return a comparison of the run `r`'s output as SQL, or a prefilter for it.

        `mark` adds a parameter and returns its placeholder.
        """
        if isinstance(node, Missing):
            return f"(NOT {self._is_there(mark)})"
        with self._watched():
            check = self._check_of(node)
            runs = check.runs(_MANY)
        is_looked_at = node in self._looked_at
        if node.is_negated:
            there = self._is_there(mark)
            return there if is_looked_at else f"({there} AND NOT {self._asked(check, mark)})"
        parts = [] if runs is None else [f"r.id IN {_among(runs, mark)}"]
        if not is_looked_at:
            parts.append(self._asked(check, mark))
        return f"({' AND '.join(parts) or '1 = 1'})"

    def runs(self, node: Compare | Missing, at_most: int) -> set[int] | None:
        """Return the runs that may match a comparison; None if they may be many."""
        if isinstance(node, Missing) or node.is_negated:
            return None
        with self._watched():
            return self._check_of(node).runs(at_most)

    def _check_of(self, node: Compare) -> Check:
        plain = replace(node, is_negated=False)
        check = self._checks.get(plain)
        if check is None:
            check = self._checks[plain] = OutputCheck(plain, self.texts)
        return check

    def _is_there(self, mark: Mark) -> str:
        kept = "SELECT 1 FROM outputs v WHERE v.run_id = r.id AND v.size_bytes > 0"
        return f"(EXISTS ({kept}) OR r.id IN {_among(self.texts.live_runs, mark)})"

    def _asked(self, check: Check, mark: Mark) -> str:
        if not self.texts.calls_python:
            guarded = self._guarded(check)
            return f"r.id IN {_among(filter(guarded, self.texts.runs_with_output()), mark)}"
        token = self._lent.get(check)
        if token is None:
            token = self._lent[check] = register(self._guarded(check))
        # As a subquery it is evaluated last, because it takes the longest.
        return f"(SELECT check_run({mark(token)}, r.id))"

    def _guarded(self, check: Check) -> Callable[[int], bool]:
        def fulfils(run_id: int) -> bool:
            with self._watched():
                return check(run_id)

        return fulfils

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except genuine(RunstoreError, OSError, sqlite3.Error) as error:
            self.failure = self.failure or error
            raise

    def close(self) -> None:
        """Unregister the functions that SQL could call."""
        for token in self._lent.values():
            unregister(token)


_CHECKED = Field(Namespace.OUTPUT, "checked", Kind.NUMBER)


def _look(check: Check, *, is_refused: bool) -> Callable[[int], bool]:
    return (lambda run_id: not check(run_id)) if is_refused else check


def _among(runs: Iterable[int], mark: Mark) -> str:
    ids = mark(json.dumps(sorted(runs)))
    return f"(SELECT value FROM json_each({ids}))"  # noqa: S608 - the mark of a parameter
