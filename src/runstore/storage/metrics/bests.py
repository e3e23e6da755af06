"""The best run of each experiment by a statistic of a metric."""

from __future__ import annotations

import sys

from runstore.model.metric_directions import Direction
from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.rows import as_number, as_text
from runstore.value_classes import NamedTuple

# With a single `min` or `max`, SQLite takes the other columns from the same row. Incomplete runs
# may have stopped at a meaningless value, and infinity is none, as in `repeats`.
BESTS = f"""
    SELECT e.name, {{best}}({{number}}), r.uid, r.reference
    FROM runs r CROSS JOIN metric_summaries m ON m.run_id = r.id AND m.set_index {{whose}}
        AND m.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?)
    JOIN experiments e ON e.id = r.experiment_id
    WHERE {sql.KEPT} AND r.status = 'complete' AND abs({{number}}) <= {sys.float_info.max!r}
    GROUP BY r.experiment_id
"""  # noqa: S608 - our own names
HAS_KEY = "SELECT 1 FROM metric_keys WHERE key = ?"
# NULL means NaN, which is neither small nor large.
_NUMBERS = {
    "last": "m.last",
    "first": "m.first",
    "min": "m.min",
    "max": "m.max",
    "mean": "m.total / nullif(m.count - m.nan_count, 0)",
    "count": "m.count",
}
# Metrics of runs themselves, found with one lookup each, and metrics of their parameter sets.
_OWNERS = ("= -1", ">= 0")


class BestRun(NamedTuple):
    """The best run of an experiment."""

    value: float
    uid: str
    reference: str


def has_metric(database: Database, key: str) -> bool:
    """Check whether any run has logged a metric with this key."""
    return database.driver.fetch_one(HAS_KEY, (key,)) is not None


def best_runs(
    database: Database, key: str, statistic: str, direction: Direction
) -> dict[str, BestRun]:
    """Return the best complete run of each experiment that has a metric, by experiment name."""
    found: dict[str, BestRun] = {}
    better = min if direction == "min" else max
    with database.driver.read() as connection:
        for whose in _OWNERS:
            text = BESTS.format(best=direction, number=_NUMBERS[statistic], whose=whose)
            for name, value, uid, reference in connection.execute(text, (key,)).fetchall():
                number = as_number(value)
                if number is None:
                    continue
                one = BestRun(number, as_text(uid), as_text(reference))
                known = found.get(as_text(name), one)
                found[as_text(name)] = better(known, one, key=lambda run: run.value)
    return found
