"""How many runs have a name, and what some runs have under all names."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from runstore.model.query.tree import Room
from runstore.storage.database import Database
from runstore.storage.rows import as_text

# Counting more would read all of an index.
COUNTED_AT_MOST = 1_000
_WITH_KEY = {
    Room.PARAM: "SELECT 1 FROM params v WHERE v.key = ? AND v.indexed = 1 AND v.set_index = 0",
    Room.METRIC: (
        "SELECT 1 FROM metric_summaries v"
        " WHERE v.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?)"
    ),
    Room.TAG: "SELECT 1 FROM tags v WHERE v.key = ?",
    Room.FACT: (
        "SELECT 1 FROM fact_values f CROSS JOIN run_facts l ON l.set_id = f.set_id"
        " WHERE f.key = ? AND f.place = 0"
    ),
}
_COUNT = "SELECT count(*) FROM ({} LIMIT ?)"
_AMONG = "(SELECT DISTINCT j.value AS id FROM json_each(?) j) c"
_VALUES_OF = {
    Room.PARAM: (
        f"SELECT v.run_id, v.key, v.number, v.text FROM {_AMONG}"
        " CROSS JOIN params v ON v.run_id = c.id LIMIT ?"
    ),
    Room.METRIC: (
        f"SELECT v.run_id, k.key, v.last, v.count FROM {_AMONG}"
        " CROSS JOIN metric_summaries v ON v.run_id = c.id"
        " CROSS JOIN metric_keys k ON k.id = v.key_id LIMIT ?"
    ),
    Room.TAG: (
        f"SELECT v.run_id, v.key, v.value, NULL FROM {_AMONG}"
        " CROSS JOIN tags v ON v.run_id = c.id LIMIT ?"
    ),
}


class KeyValues:
    """Reads names and values of one store.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def runs_with(self, room: Room, key: str) -> tuple[int | None, bool]:
        """Return how many runs have a name, and whether there may be more.

        Runs in the trash count; None for what all runs have.
        """
        if room not in _WITH_KEY:
            return None, False
        statement = _COUNT.format(_WITH_KEY[room])
        with self._driver.read() as connection:
            row = connection.execute(statement, (key, COUNTED_AT_MOST)).fetchone()
        return row[0], row[0] == COUNTED_AT_MOST

    def of_runs(
        self, room: Room, ids: Sequence[int], limit: int
    ) -> Iterator[tuple[int, str, object, object]]:
        """Yield the row id, the key and two columns of each value of some runs.

        They are the number and the text of a parameter, the last value and the count of points
        of a metric, the text of a tag and None.

        Args:
            room: Parameters, metrics or tags.
            ids: The rows of the runs.
            limit: Values at most.
        """
        with self._driver.read() as connection:
            found = connection.execute(_VALUES_OF[room], (json.dumps(list(ids)), limit)).fetchall()
        for row_id, key, one, other in found:
            yield row_id, as_text(key), one, other
