"""Runs whose texts may fulfil a condition, one after the other."""

from __future__ import annotations

from runstore.model.query import Node
from runstore.storage import statements as sql
from runstore.storage.database import BEYOND_NEWEST
from runstore.storage.drivers import Connection
from runstore.storage.filters import Condition
from runstore.storage.packages import PackageLists
from runstore.storage.text_conditions import TextConditions

NEWEST = """
    SELECT r.id FROM runs r WHERE {kept} AND (r.started_at, r.id) < (?, ?) AND {where}
    ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""
_NO_LIMIT = -1


class TextRuns:
    """One search of texts.

    Args:
        connection: Where the runs are.
        packages: The captured lists of packages.
        where: What else is wanted of the runs.
        texts: The conditions on texts.
    """

    def __init__(
        self,
        connection: Connection,
        packages: PackageLists,
        where: Node,
        texts: TextConditions,
    ) -> None:
        self._connection = connection
        self._packages = packages
        self._where = where
        self._texts = texts

    def newest(self, limit: int, after: tuple[int, int] | None) -> list[int]:
        """Return the row ids of what matches as far as SQL can tell, the newest first."""
        condition = Condition(self._packages.accepted, in_order=True, texts=self._texts)
        where = condition.of(self._where)
        text = NEWEST.format(kept=sql.KEPT, where=where)
        parameters = [*(after or BEYOND_NEWEST), *condition.parameters, limit]
        return [row[0] for row in self._connection.execute(text, parameters).fetchall()]

    def every(self) -> list[int]:
        """Return the row ids of all that matches."""
        return self.newest(_NO_LIMIT, None)
