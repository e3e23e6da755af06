"""The best run of each experiment by one number of one metric."""

from __future__ import annotations

from typing import NamedTuple

from runstore.model.metric_directions import Direction
from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.rows import as_number, as_text

# Beside a single `min` or `max`, SQLite takes other columns from the row that has it. Runs that
# did not complete may have stopped at a number that says nothing.
BESTS = f"""
    SELECT e.name, {{best}}({{number}}), r.uid, r.reference
    FROM runs r CROSS JOIN metric_summaries m ON m.run_id = r.id AND m.set_index {{whose}}
        AND m.key_id = (SELECT k.id FROM metric_keys k WHERE k.key = ?)
    JOIN experiments e ON e.id = r.experiment_id
    WHERE {sql.KEPT} AND r.status = 'complete' AND {{number}} IS NOT NULL
    GROUP BY r.experiment_id
"""  # noqa: S608 - our own names
HAS_KEY = "SELECT 1 FROM metric_keys WHERE key = ?"
# A null is NaN, which is neither small nor large.
_NUMBERS = {
    "last": "m.last",
    "first": "m.first",
    "min": "m.min",
    "max": "m.max",
    "mean": "m.total / nullif(m.count - m.nan_count, 0)",
    "count": "m.count",
}
# Of runs themselves, which is one look at each, and of their sets.
_OWNERS = ("= -1", ">= 0")


class BestRun(NamedTuple):
    """The run of an experiment that has the best number."""

    value: float
    uid: str
    reference: str


def has_metric(database: Database, key: str) -> bool:
    """Return whether a run ever logged a metric of this key."""
    with database.driver.read() as connection:
        return connection.execute(HAS_KEY, (key,)).fetchone() is not None


def best_runs(
    database: Database, key: str, statistic: str, direction: Direction
) -> dict[str, BestRun]:
    """Return the best complete run of each experiment that has a metric, by its name.

    Args:
        database: The open database.
        key: The key of the metric, of runs or of their sets.
        statistic: Which of its numbers: `last`, `first`, `min`, `max`, `mean` or `count`.
        direction: Whether small or large numbers are good.
    """
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
