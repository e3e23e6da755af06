"""Unreferenced rows, and the space that they leave in the database file."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from runstore.storage.database import Database

# By table: the condition of an unreferenced row. These rows are written in the same transaction as
# the rows that refer to them.
ORPHANED_ROWS = {
    "documents": "hash NOT IN (SELECT hash FROM run_documents)",
    "param_values": """
        tree_key NOT IN (SELECT tree_key FROM run_params WHERE tree_key IS NOT NULL)
    """,
    "fact_values": "NOT EXISTS (SELECT 1 FROM run_facts f WHERE f.set_id = fact_values.set_id)",
    "previews": "NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = previews.digest)",
    "metric_keys": """
        NOT EXISTS (SELECT 1 FROM metric_summaries s WHERE s.key_id = metric_keys.id)
    """,
}


class OrphanRows:
    """The unreferenced rows of one store."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def counted(self) -> dict[str, int]:
        """Return their number by table, without tables that have none."""
        with self._driver.read() as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
                for table, where in ORPHANED_ROWS.items()
            }
        return {table: int(row[0]) for table, row in counts.items() if row[0]}

    def remove(self) -> dict[str, int]:
        """Remove them, and return their number by table."""
        found = self.counted()  # reading takes no lock, and usually there are none
        for table in found:
            with self._driver.write() as connection:
                statement = f"DELETE FROM {table} WHERE {ORPHANED_ROWS[table]}"
                found[table] = connection.execute(statement).rowcount
        return found
