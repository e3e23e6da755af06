"""References to contents: the files below `objects/` that runs require."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runstore.storage.database import Database
from runstore.storage.rows import as_int, as_text

REFERENCES = """
    SELECT digest, run_id FROM artifacts UNION ALL SELECT digest, run_id FROM outputs
"""
SIZED_REFERENCES = """
    SELECT r.uid, r.reference, 'artifact', a.path, a.digest, a.size_bytes
    FROM artifacts a JOIN runs r ON r.id = a.run_id
    UNION ALL
    SELECT r.uid, r.reference, 'output', o.part, o.digest, o.size_bytes
    FROM outputs o JOIN runs r ON r.id = o.run_id
"""
CONTENTS_OF_RUN = """
    SELECT digest, size_bytes FROM artifacts WHERE run_id = (SELECT id FROM runs WHERE uid = :uid)
    UNION
    SELECT digest, size_bytes FROM outputs WHERE run_id = (SELECT id FROM runs WHERE uid = :uid)
"""
USERS_OF_CONTENTS = """
    SELECT r.uid FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE a.digest = :digest
    UNION
    SELECT r.uid FROM outputs o JOIN runs r ON r.id = o.run_id WHERE o.digest = :digest
"""


class References:
    """The contents required by the runs of one store; deleted runs count until they are purged."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def needed(self, *, without: Collection[int] = ()) -> set[str]:
        """Return the digests that runs refer to, except for runs with these row ids."""
        found = self._driver.fetch_all(REFERENCES)
        return {as_text(digest) for digest, run_id in found if run_id not in without}

    def unneeded(self, digests: Iterable[str]) -> list[str]:
        """Return the unreferenced ones among some digests."""
        with self._driver.read() as connection:
            return [
                digest
                for digest in digests
                if connection.execute(USERS_OF_CONTENTS, {"digest": digest}).fetchone() is None
            ]

    def of_runs(self, uids: Iterable[str]) -> dict[str, int]:
        """Return the contents of runs: size in bytes by digest."""
        with self._driver.read() as connection:
            return {
                as_text(digest): as_int(size)
                for uid in uids
                for digest, size in connection.execute(CONTENTS_OF_RUN, {"uid": uid}).fetchall()
            }

    def users_of(self, digest: str) -> set[str]:
        """Return the uids of the runs that refer to contents."""
        found = self._driver.fetch_all(USERS_OF_CONTENTS, {"digest": digest})
        return {as_text(row[0]) for row in found}

    def every(self) -> list[tuple[str, str, str, str, str, int]]:
        """Return each reference: uid, reference of the run, kind, name, digest, size in bytes."""
        found = self._driver.fetch_all(SIZED_REFERENCES)
        return [
            (as_text(uid), as_text(run), kind, as_text(name), as_text(digest), as_int(size))
            for uid, run, kind, name, digest, size in found
        ]
