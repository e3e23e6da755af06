"""Rows that nothing refers to any more, and the room that they leave in the database file."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from runstore.storage.database import Database

# Table, and the condition of a row that nothing refers to. Whoever writes one of these rows
# writes what refers to it in the same transaction.
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
    """Rows of one store that nothing refers to.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def counted(self) -> dict[str, int]:
        """Return how many there are, by table; tables without any are left out."""
        with self._driver.read() as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
                for table, where in ORPHANED_ROWS.items()
            }
        return {table: int(row[0]) for table, row in counts.items() if row[0]}

    def remove(self) -> dict[str, int]:
        """Remove them, and return how many there were, by table."""
        found = self.counted()  # a look takes no lock, and most often there is nothing
        for table in found:
            with self._driver.write() as connection:
                statement = f"DELETE FROM {table} WHERE {ORPHANED_ROWS[table]}"
                found[table] = connection.execute(statement).rowcount
        return found
