"""Quick comparison of all runs of two stores, without reading them.

A fingerprint covers the place, the state and the times of a run, and for each table the number of
its rows and their extremes. Runs with equal fingerprints are equal: every edit is an event with a
time of its own, a copy that has an event has all earlier ones as well, and recorded data changes
the end of a run or is noted in an event.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from runstore.model.status import Status
from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.value_classes import NamedTuple

# Rows at once: some megabytes.
_RUNS_AT_ONCE = 20_000
# The text of facts is only measured, because it is long, and a secret may be masked in one store.
ROWS_AFTER = f"""
    SELECT r.id, r.uid, r.status, e.name, r.run_number, r.started_at, r.ended_at, r.last_seen_at,
        r.deleted_at, r.purged_at, r.exit_code, r.params_hash, r.commit_hash, r.parent_uid,
        r.workdir_dirty, r.pid, length(r.notes), length(r.error), length(r.cli), length(r.facts),
        length(r.block), r.full_store
    FROM runs r JOIN experiments e ON e.id = r.experiment_id
    WHERE r.id > :after ORDER BY r.id LIMIT {_RUNS_AT_ONCE}
"""
# By table: the columns of the fingerprint.
COMPARED = {
    "run_params": "max(tree_key), min(tree_key)",
    "run_documents": "max(hash), min(hash)",
    "events": """
        max(at), min(at), sum(length(coalesce(old, ''))), sum(length(coalesce(new, '')))
    """,
    "reference_aliases": "count(experiment_id)",
    "tags": "sum(length(key)), sum(length(value))",
    "artifacts": "max(saved_at), max(digest), min(digest)",
    "inputs": "max(used_at)",
    "outputs": "max(digest), min(digest)",
    "metric_summaries": "max(last_at), max(count), min(count), max(last_step)",
}
PARTS_BETWEEN = {
    table: f"""
        SELECT run_id, count(*), {columns} FROM {table}
        WHERE run_id > :after AND run_id <= :last GROUP BY run_id
    """
    for table, columns in COMPARED.items()
}
_FINAL = frozenset(one.value for one in Status if one.is_final)
_UID, _STATUS, _PURGED_AT, _FULL_STORE = 1, 2, 9, 21


class SeenRun(NamedTuple):
    """A run at a glance.

    Attributes:
        uid: Its uid, of any type.
        fingerprint: Its fingerprint, valid within this process; None for a run that has not ended.
        is_purged: Whether it was permanently removed.
        is_full_store: Whether it may have a folder of plain files.
    """

    uid: Any
    fingerprint: int | None
    is_purged: bool
    is_full_store: bool


def every_run(database: Database) -> Iterator[SeenRun]:
    """Yield all runs at a glance, in the order of their creation in this store."""
    after: Any = -(2**63)
    while True:
        with database.driver.read() as connection, one_moment(connection):
            some = connection.execute(ROWS_AFTER, {"after": after}).fetchall()
            parts = _parts(connection, after, some[-1][0]) if some else {}
        if not some:
            return
        for row in some:
            fingerprint = hash((*row[_UID:], *parts[row[0]])) if row[_STATUS] in _FINAL else None
            is_purged = row[_PURGED_AT] is not None
            yield SeenRun(row[_UID], fingerprint, is_purged, bool(row[_FULL_STORE]))
        after = some[-1][0]


def _parts(connection: Connection, after: Any, last: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for number, statement in enumerate(PARTS_BETWEEN.values()):
        for row in connection.execute(statement, {"after": after, "last": last}).fetchall():
            found[row[0]].append((number, *row[1:]))
    return found
