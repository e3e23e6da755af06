"""Removal of secrets from the rows of a database, in every text of every table."""
# ruff: noqa: S608 - the names of tables and columns come from the schema, in quotes

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from runstore.model.params.parameter_set import tree_hash
from runstore.model.scrubbing import Wanted, WantedByRules
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Driver, StoredTable, one_moment
from runstore.storage.integrity.history import is_intact, link_anew
from runstore.storage.rows import as_text
from runstore.storage.scrub.tag_keys import TagKeys

# Texts written by users; the rules for captured texts do not apply to them.
_OF_USERS = frozenset({
    "runs.notes", "params.text", "params.key", "param_values.tree", "run_params.name",
    "experiments.name", "metric_keys.key", "previews.body", "runs.reference",
    "reference_aliases.reference", "store_state.value", "known_files.location",
})  # fmt: skip
# Of these, names that an older version took from commands; renaming is left to users.
_NAMES = frozenset({"experiments.name"})
# Keys derived from their contents.
_NEVER = frozenset({
    "param_values.tree_key", "run_params.tree_key", "documents.hash", "metric_chunks.chunk",
    "metric_chunks.digest", "metric_levels.blocks", "metric_levels.digest",
    "metric_summaries.digest", "events.link", "runs.last_link", "objects.digest",
    "object_parts.digest", "object_parts.body",
})  # fmt: skip
_RUN_OF_EVENT = "SELECT run_id FROM events WHERE id = ?"
_FIELD_OF_EVENT = "SELECT run_id, field FROM events WHERE id = ?"
_FIELD, _KEY = ("events", "field"), ("tags", "key")
UNINDEX_FACTS = "UPDATE runs SET facts_filed = NULL WHERE id = ?"
# The facts of a run are indexed by value; changed ones are indexed again later.
_INDEX_FACTS_AGAIN = (
    "DELETE FROM run_facts WHERE run_id IN (SELECT id FROM runs WHERE facts_filed IS NULL)",
    "DELETE FROM fact_values WHERE set_id NOT IN (SELECT set_id FROM run_facts)",
)
_ATTEMPTS = 100


class RowScrubber:
    """Replaces secrets in the rows of a database.

    Attributes:
        left: Number of rows with names that contain secrets by today's rules, which are kept.
    """

    def __init__(self, driver: Driver, secrets: Wanted) -> None:
        self._driver = driver
        self._secrets = secrets
        self._is_by_rules = isinstance(secrets, WantedByRules)
        self._edited: dict[int, bool] = {}
        self._tag_keys = TagKeys(secrets.masked_of("tags.key"))
        self.left: Counter[str] = Counter()

    def counted(self) -> Counter[str]:
        """Return the number of rows with secrets, by table and column."""
        with self._driver.read() as connection, one_moment(connection):
            return self._worked(connection, is_dry=True)

    def removed(self) -> Counter[str]:
        """Replace the secrets atomically, and return the number of affected rows."""
        with self._driver.write() as connection:
            self._driver.overwrite_replaced(connection)
            found = self._worked(connection, is_dry=False)
            # A history that was broken before must stay broken.
            for run_id, was_intact in self._edited.items():
                if was_intact:
                    link_anew(connection, run_id)
            return found

    def _worked(self, connection: Connection, *, is_dry: bool) -> Counter[str]:
        found: Counter[str] = Counter()
        kinds = {"text"} if self._is_by_rules else {"text", "bytes"}
        for table in sorted(self._driver.tables(connection)):
            for column, kind in table.columns.items():
                name = f"{table.name}.{column}"
                if kind not in kinds or name in _NEVER:
                    continue
                is_kept = self._is_by_rules and name in _OF_USERS
                if is_kept and name not in _NAMES:
                    continue
                count = self._column(connection, table, column, is_dry=is_dry or is_kept)
                (self.left if is_kept else found).update({name: count} if count else {})
        if found["runs.facts"] and not is_dry:
            for text in _INDEX_FACTS_AGAIN:
                connection.execute(text)
        return found

    def _column(
        self, connection: Connection, table: StoredTable, column: str, *, is_dry: bool
    ) -> int:
        key = ", ".join(f'"{one}"' for one in table.key)
        where, values = self._filter(column, table.columns[column])
        statement = f'SELECT "{column}", {key} FROM "{table.name}" WHERE {where}'
        masked = (
            self._tag_keys.masked_field
            if (table.name, column) == _FIELD
            else self._secrets.masked_of(f"{table.name}.{column}")
        )
        # Only changes are kept in memory: there may be many captured texts.
        changes = [
            (place, after)
            for before, *place in self._driver.streamed(connection, statement, values)
            if (after := _after(before, masked)) != before
        ]
        for place, after in () if is_dry else changes:
            self._write(connection, table, column, place, after)
        return len(changes)

    def _filter(self, column: str, kind: str) -> tuple[str, tuple[str, ...]]:
        needles = self._secrets.needles
        if needles is None:
            return f'"{column}" IS NOT NULL', ()
        test = self._driver.containing(column, kind)
        return " OR ".join(test for _ in needles), needles

    def _write(
        self,
        connection: Connection,
        table: StoredTable,
        column: str,
        values: list[Any],
        after: Any,
    ) -> None:
        renew = _RENEWED.get((table.name, column))
        if renew is not None:
            renew(connection, values[0], after)
            return
        if (table.name, column) == ("runs", "facts"):
            connection.execute(UNINDEX_FACTS, values)
        if table.name == "events":
            (run_id,) = connection.execute(_RUN_OF_EVENT, values).fetchone()
            if run_id not in self._edited:
                self._edited[run_id] = is_intact(connection, run_id)
        if (table.name, column) in {_FIELD, _KEY}:
            after = self._new_key(connection, table, values)
        where = " AND ".join(f'"{one}" IS ?' for one in table.key)
        change = f", changed = {sql.NEXT_CHANGE}" if table.name == "runs" else ""
        text = f'UPDATE "{table.name}" SET "{column}" = ?{change} WHERE {where}'
        for attempt in range(_ATTEMPTS):
            connection.execute("SAVEPOINT before")
            try:
                # Looked at, because a server answers only then.
                _ = connection.execute(text, (_other(after, attempt), *values)).rowcount
            except self._driver.duplicates:
                if attempt == _ATTEMPTS - 1:
                    raise
                connection.execute("ROLLBACK TO SAVEPOINT before")
            else:
                connection.execute("RELEASE SAVEPOINT before")
                return

    def _new_key(self, connection: Connection, table: StoredTable, values: list[Any]) -> str:
        """Return the new key of a tag, or the new field of an event."""
        if table.name == "events":
            run_id, field = connection.execute(_FIELD_OF_EVENT, values).fetchone()
            return self._tag_keys.new_field(connection, run_id, as_text(field))
        row = dict(zip(table.key, values, strict=True))
        return self._tag_keys.new_key(connection, row["run_id"], row["key"])


def _after(before: Any, masked: Callable[[str], str]) -> Any:
    if isinstance(before, str):
        return masked(before)
    if isinstance(before, bytes):
        try:
            return masked(before.decode()).encode()
        except UnicodeDecodeError:
            return before  # numbers, pictures
    return before


def _other(after: Any, attempt: int) -> Any:
    """Return a unique text, because two names may differ only in their secrets."""
    # In the form of `free_name`.
    return f"{after}~{attempt + 1}" if attempt and isinstance(after, str) else after


def _renew_tree(connection: Connection, before: str, tree: Any) -> None:
    """Store the values of a parameter set under their new key."""
    key = tree_hash(tree)
    connection.execute(sql.INSERT_VALUES, (key, tree))
    connection.execute("UPDATE run_params SET tree_key = ? WHERE tree_key = ?", (key, before))
    if before != key:
        connection.execute("DELETE FROM param_values WHERE tree_key = ?", (before,))


def _renew_document(connection: Connection, before: str, body: Any) -> None:
    """Store a captured text under its new digest."""
    digest = hashlib.sha256(body.encode()).hexdigest()
    connection.execute(sql.ADD_DOCUMENT, {"hash": digest, "body": body})
    connection.execute("UPDATE run_documents SET hash = ? WHERE hash = ?", (digest, before))
    if before != digest:
        connection.execute("DELETE FROM documents WHERE hash = ?", (before,))


# Texts stored under a key derived from their contents.
_RENEWED: dict[tuple[str, str], Callable[[Connection, str, Any], None]] = {
    ("documents", "body"): _renew_document,
    ("param_values", "tree"): _renew_tree,
}
