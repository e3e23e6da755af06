"""Replacement and removal of contents, with all references to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstore.storage import statements as sql
from runstore.storage.artifacts import PUT_PREVIEW

if TYPE_CHECKING:
    from runstore.model.artifacts import Preview
    from runstore.storage.database import Database
    from runstore.storage.files.objects import Contents

NAMES = """
    SELECT a.path || ' of ' || r.reference FROM artifacts a JOIN runs r ON r.id = a.run_id
    WHERE a.digest = :digest
    UNION
    SELECT 'output of ' || r.reference FROM outputs o JOIN runs r ON r.id = o.run_id
    WHERE o.digest = :digest
"""
MEDIA_TYPE = "SELECT media_type FROM artifacts WHERE digest = :digest LIMIT 1"
REPLACE = tuple(
    f"UPDATE {table} SET digest = :now, size_bytes = :size_bytes WHERE digest = :digest"  # noqa: S608 - a constant
    for table in ("artifacts", "outputs", "inputs")
)
CHANGED = f"""
    UPDATE runs SET changed = {sql.NEXT_CHANGE} WHERE id IN (
        SELECT run_id FROM artifacts WHERE digest = :digest
        UNION SELECT run_id FROM outputs WHERE digest = :digest
    )
"""  # noqa: S608 - a constant
REMOVE = tuple(
    f"DELETE FROM {table} WHERE digest = :digest"  # noqa: S608 - a constant
    for table in ("artifacts", "outputs", "previews")
)


class ContentsTable:
    """The artifacts, outputs and inputs with given contents."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def names_of(self, digest: str) -> list[str]:
        """Return the artifacts and outputs with these contents, also of runs in the trash."""
        found = self._driver.fetch_all(NAMES, {"digest": digest})
        return sorted(row[0] for row in found)

    def media_type_of(self, digest: str) -> str | None:
        """Return the media type of an artifact with these contents."""
        row = self._driver.fetch_one(MEDIA_TYPE, {"digest": digest})
        return None if row is None else row[0]

    def replace(self, digest: str, now: Contents, preview: Preview | None) -> None:
        """Replace contents in all artifacts, outputs and inputs."""
        values = {"digest": digest, "now": now.digest, "size_bytes": now.size_bytes}
        with self._driver.write() as connection:
            self._driver.overwrite_replaced(connection)
            connection.execute(CHANGED, {"digest": digest})
            for text in REPLACE:
                connection.execute(text, values)
            connection.execute(REMOVE[2], {"digest": digest})
            if preview is not None:
                seen = {
                    "digest": now.digest,
                    "media_type": preview.media_type,
                    "body": preview.body,
                }
                connection.execute(PUT_PREVIEW, seen)

    def remove(self, digest: str) -> None:
        """Remove contents from all runs; inputs keep the digest."""
        with self._driver.write() as connection:
            self._driver.overwrite_replaced(connection)
            connection.execute(CHANGED, {"digest": digest})
            for text in REMOVE:
                connection.execute(text, {"digest": digest})
