"""The runs that a transfer takes, and the numbers that it reserves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.rows import now_micros
from runstore.storage.statements import EXPERIMENT_ID
from runstore.storage.transfer.checking import HIGHEST_NUMBER, is_experiment
from runstore.storage.transfer.comparing import SeenRun, every_run

PURGED_RUNS = """
    SELECT r.uid, r.reference FROM runs r
    WHERE r.deleted_at IS NOT NULL AND r.purged_at IS NOT NULL AND r.block IS NULL
"""
COUNT_TO_TRANSFER = "SELECT count(*) FROM runs r WHERE r.purged_at IS NULL"


def count_candidates(database: Database) -> int:
    """Return the number of runs that were not permanently removed."""
    return int(database.driver.fetch_one(COUNT_TO_TRANSFER)[0])


class KnownRuns:
    """The runs of the receiving store, to compare those of the other store with."""

    def __init__(self, database: Database) -> None:
        self._fingerprints = {
            one.uid: one.fingerprint for one in every_run(database) if one.fingerprint is not None
        }
        self.purged: dict[Any, Any] = dict(database.driver.fetch_all(PURGED_RUNS))

    def has(self, run: SeenRun) -> bool:
        """Check whether a run of the other store is here, and equal."""
        return run.fingerprint is not None and run.fingerprint == self._fingerprints.get(run.uid)


def to_compare(database: Database, uids: Collection[str] | None) -> Iterator[SeenRun]:
    """Yield the runs that may be transferred, in the order of their creation.

    Without uids, these are all, kept or in the trash.
    """
    for run in every_run(database):
        is_wanted = uids is None or run.uid in uids
        if is_wanted and not run.is_purged:
            yield run


def raise_counters(source: Database, target: Database, names: Collection[str] | None) -> None:
    """Let no new run in the target get a number that was assigned in the source.

    This concerns the given experiments; all if None.
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

    def raise_all(connection: Connection) -> None:
        for name, number in sorted(higher.items()):
            values = {"name": name, "number": number, "now": now_micros()}
            connection.execute(EXPERIMENT_ID, values).fetchone()

    target.driver.transact(raise_all)
