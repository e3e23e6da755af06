"""Conditions on texts as SQL: which runs may fulfil them, and a look at those."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runstore.errors import RunstoreError
from runstore.model.query import Compare, Missing
from runstore.storage.drivers.functions import lend, take_back
from runstore.storage.run_texts import RunTexts
from runstore.storage.text_checks import Check, OutputCheck

# So few runs are looked up one by one; from more, those are chosen that come first.
_FEW = 50
# More are not told to SQL: it asks for each run.
_MANY = 5_000

Mark = Callable[[Any], str]


class TextConditions:
    """The conditions on texts of one search.

    Attributes:
        failure: What went wrong with the index or a text: within a statement about runs it would
            be taken for an error of these.

    Args:
        texts: The texts of the runs.
    """

    def __init__(self, texts: RunTexts) -> None:
        self.texts = texts
        self.failure: Exception | None = None
        self._checks: dict[Compare, Check] = {}
        self._lent: dict[Check, int] = {}

    def of_output(self, node: Compare | Missing, mark: Mark) -> str:
        """Return a comparison of what a run `r` printed.

        Args:
            node: The comparison.
            mark: Takes a value as a parameter, and returns its mark.
        """
        if isinstance(node, Missing):
            return f"(NOT {self._is_there(mark)})"
        check = self._checks.get(node)
        if check is None:
            with self._watched():
                check = self._checks[node] = OutputCheck(node, self.texts)
        if not node.is_negated:
            return self.of_check(check, mark)
        return f"({self._is_there(mark)} AND {self.of_check(check, mark)} IS NOT TRUE)"

    def _is_there(self, mark: Mark) -> str:
        live = _among(self.texts.live_runs, mark)
        kept = "SELECT 1 FROM outputs v WHERE v.run_id = r.id AND v.size_bytes > 0"
        return f"(EXISTS ({kept}) OR r.id IN {live})"

    def of_check(self, check: Check, mark: Mark) -> str:
        """Return a check of the run `r`, made only where it may be fulfilled."""
        token = self._lent.get(check)
        if token is None:
            token = self._lent[check] = lend(self._guarded(check))
        with self._watched():
            runs = check.runs(_MANY)
        if runs is None:
            return f"({_asked(token, mark)})"
        # The sign keeps the engine from looking at all of them before it puts them in order.
        sign = "" if len(runs) <= _FEW else "+"
        return f"({sign}r.id IN {_among(runs, mark)} AND {_asked(token, mark)})"

    def _guarded(self, check: Check) -> Callable[[int], bool]:
        def fulfils(run_id: int) -> bool:
            with self._watched():
                return check(run_id)

        return fulfils

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (RunstoreError, OSError, sqlite3.Error) as error:
            self.failure = self.failure or error
            raise

    def close(self) -> None:
        """Take back what SQL could call."""
        for token in self._lent.values():
            take_back(token)


def _asked(token: int, mark: Mark) -> str:
    # As a subquery it is asked last: nothing else takes as long.
    return f"(SELECT fulfils({mark(token)}, r.id))"


def _among(runs: Iterable[int], mark: Mark) -> str:
    ids = mark(json.dumps(sorted(runs)))
    return f"(SELECT value FROM json_each({ids}))"  # noqa: S608 - the mark of a parameter
