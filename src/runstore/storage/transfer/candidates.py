"""The runs that a transfer takes, and the numbers that it reserves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from runstore.storage.blocks import EXPERIMENT_ID
from runstore.storage.database import Database, now_micros
from runstore.storage.transfer.checking import HIGHEST_NUMBER, is_experiment, is_uid

UIDS_AFTER = """
    SELECT r.id, r.uid FROM runs r WHERE r.id > :after AND r.purged_at IS NULL
    ORDER BY r.id LIMIT 1000
"""
COUNT_TO_TRANSFER = "SELECT count(*) FROM runs r WHERE r.purged_at IS NULL"


def count_candidates(database: Database) -> int:
    """Return the number of runs that were not permanently removed."""
    with database.driver.read() as connection:
        return int(connection.execute(COUNT_TO_TRANSFER).fetchone()[0])


def every_uid(database: Database) -> Iterator[str]:
    """Yield the uids of all runs, kept or in the trash, in the order of their creation here."""
    after: Any = -(2**63)
    while True:
        with database.driver.read() as connection:
            some = connection.execute(UIDS_AFTER, {"after": after}).fetchall()
        if not some:
            return
        yield from (row[1] for row in some if is_uid(row[1]))
        after = some[-1][0]


def raise_counters(source: Database, target: Database, names: Collection[str] | None) -> None:
    """Let no new run in the target get a number that was assigned in the source.

    Args:
        source: The other store.
        target: The store to write to.
        names: The experiments; None for all.
    """
    known = target.last_run_numbers()
    higher = {
        name: number
        for name, number in source.last_run_numbers().items()
        if (names is None or name in names)
        and known.get(name, -1) < number < HIGHEST_NUMBER
        and is_experiment(name)
    }
    if not higher:
        return
    with target.driver.write() as connection:
        for name, number in sorted(higher.items()):
            values = {"name": name, "number": number, "now": now_micros()}
            connection.execute(EXPERIMENT_ID, values).fetchone()
