"""The last values of the metrics of many runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runstore.storage.database import Database
from runstore.storage.rows import as_number, as_optional_text, as_text
from runstore.storage.stored_runs import for_each

LAST_VALUES = """
    SELECT r.uid, s.name, k.key, v.last
    FROM runs r CROSS JOIN metric_summaries v ON v.run_id = r.id
    JOIN metric_keys k ON k.id = v.key_id
    LEFT JOIN run_params s ON s.run_id = v.run_id AND s.set_index = v.set_index
    WHERE r.uid IN ({ids}) ORDER BY v.run_id, v.set_index, v.key_id
"""


def last_values(
    database: Database, uids: Sequence[str]
) -> dict[str, dict[tuple[str | None, str], float]]:
    """Return the last value of every metric of runs; see `Store.last_values`."""
    found: dict[str, dict[tuple[str | None, str], float]] = {}
    with database.driver.read() as connection:
        for uid, name, key, last in for_each(connection, LAST_VALUES, uids):
            known = as_number(last)
            series = as_optional_text(name), as_text(key)
            found.setdefault(uid, {})[series] = math.nan if known is None else known
    return found
