"""New keys of tags whose keys contained secrets, the same in tags and in their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runstore.model.values import free_name
from runstore.storage.driver import Connection
from runstore.storage.edits import TAG
from runstore.storage.rows import as_text

_KEYS = "SELECT key FROM tags WHERE run_id = ?"
_FIELDS = "SELECT field FROM events WHERE run_id = ?"


class TagKeys:
    """The keys of the tags of each run, without secrets and without duplicates.

    Two keys of a run may differ only in their secrets, and `undo` finds a tag by its key.
    """

    def __init__(self, masked: Callable[[str], str]) -> None:
        self._masked = masked
        self._by_run: dict[int, dict[str, str]] = {}

    def masked_field(self, field: str) -> str:
        """Return the field of an event with its key masked, if it is that of a tag."""
        if not field.startswith(TAG):
            return self._masked(field)
        return TAG + self._masked(field.removeprefix(TAG))

    def new_field(self, connection: Connection, run_id: int, field: str) -> str:
        """Return the new field of an event."""
        if not field.startswith(TAG):
            return self._masked(field)
        return TAG + self.new_key(connection, run_id, field.removeprefix(TAG))

    def new_key(self, connection: Connection, run_id: int, key: str) -> str:
        """Return the new key of a tag. The first call reads the keys before they are changed."""
        if run_id not in self._by_run:
            keys = [as_text(row[0]) for row in connection.execute(_KEYS, (run_id,)).fetchall()]
            fields = [as_text(row[0]) for row in connection.execute(_FIELDS, (run_id,)).fetchall()]
            keys += [one.removeprefix(TAG) for one in fields if one.startswith(TAG)]
            self._by_run[run_id] = self._unique(keys)
        return self._by_run[run_id][key]

    def _unique(self, keys: Iterable[str]) -> dict[str, str]:
        found = {key: self._masked(key) for key in keys}
        taken = {key for key, new in found.items() if key == new}
        for key, new in sorted(found.items()):
            if key != new:
                found[key] = free_name(new, taken)
                taken.add(found[key])
        return found
