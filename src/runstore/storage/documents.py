"""Hashes of captured texts, to compare texts of runs without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runstore.storage.database import Database

HASHES_OF_RUNS = """
    SELECT r.uid, d.name, d.hash FROM runs r JOIN run_documents d ON d.run_id = r.id
    WHERE r.uid IN ({uids})
"""
# SQLite allows 32,766 parameters per statement, PostgreSQL 65,535.
_AT_ONCE = 5000


def document_hashes(database: Database, uids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the hashes of captured texts by uid, then by name, e.g. `patch`.

    Runs without captured texts are omitted.
    """
    found: dict[str, dict[str, str]] = {}
    with database.driver.read() as connection:
        for begin in range(0, len(uids), _AT_ONCE):
            some = uids[begin : begin + _AT_ONCE]
            text = HASHES_OF_RUNS.format(uids=", ".join("?" * len(some)))
            for uid, name, digest in connection.execute(text, some).fetchall():
                found.setdefault(uid, {})[name] = digest
    return found
