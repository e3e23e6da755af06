"""Captured facts by name, indexed beside the JSON of each run so that filters find them.

The facts of one group (`git`, `host` …) are the same in many runs: each set is stored once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

from runstore.errors import StoreError
from runstore.model.facts import FactValue
from runstore.model.values import blake2b, clean_text
from runstore.storage.driver import Connection, Driver
from runstore.storage.rows import facts_from_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Facts that are not indexed are scanned; from this number of runs on, indexing them is faster.
UNINDEXED_AT_MOST = 500
# Other programs can write between two batches.
BATCH = 1_000
PATIENCE_S = 0.5

COUNT_UNINDEXED = """
    SELECT count(*) FROM (
        SELECT id FROM runs WHERE facts IS NOT NULL AND facts_filed IS NULL LIMIT :limit
    ) n
"""
UNINDEXED = """
    SELECT id, facts FROM runs WHERE facts IS NOT NULL AND facts_filed IS NULL LIMIT :limit
"""
MARK_INDEXED = "UPDATE runs SET facts_filed = 1 WHERE id = :id"
FACTS_OF_ROW = "SELECT facts FROM runs WHERE id = :id"
IS_KNOWN = "SELECT 1 FROM run_facts WHERE set_id = :id LIMIT 1"
ADD_VALUE = """
    INSERT INTO fact_values (key, set_id, place, number, text) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (key, set_id, place) DO NOTHING
"""
LINK = """
    INSERT INTO run_facts (set_id, run_id) VALUES (?, ?) ON CONFLICT (set_id, run_id) DO NOTHING
"""
UNLINK = "DELETE FROM run_facts WHERE set_id = ? AND run_id = ?"
REMOVE_VALUE = "DELETE FROM fact_values WHERE key = ? AND set_id = ?"

Cell = tuple[float | None, str | None]
Values = Mapping[str, FactValue]


def index_facts(connection: Connection, run_id: int, facts: Values, before: Values) -> None:
    """Index the facts of a run, within the caller's transaction, which marks them as indexed."""
    sets, old = _sets(facts), _sets(before)
    gone = {key: old[key] for key in old.keys() - sets.keys()}
    connection.lock_facts(sets.keys(), gone.keys())
    _unlink(connection, run_id, gone)
    known = connection.first_rows([(IS_KNOWN, {"id": set_id}) for set_id in sets])
    for (set_id, group), found in zip(sets.items(), known, strict=True):
        if found is None:
            connection.executemany(ADD_VALUE, _rows(set_id, group))
        connection.execute(LINK, (set_id, run_id))


def release_facts(connection: Connection, run_id: int) -> None:
    """Remove the indexed facts of a run, within the caller's transaction.

    This must be called before a run is permanently removed.
    """
    row = connection.execute(FACTS_OF_ROW, {"id": run_id}).fetchone()
    if row is not None and row[0] is not None:
        _unlink(connection, run_id, _sets(_values(row[0])))


def _unlink(connection: Connection, run_id: int, sets: Mapping[int, Values]) -> None:
    """Remove sets from a run, and delete sets that no other run has."""
    for set_id in sets:
        connection.execute(UNLINK, (set_id, run_id))
    known = connection.first_rows([(IS_KNOWN, {"id": set_id}) for set_id in sets])
    for (set_id, group), found in zip(sets.items(), known, strict=True):
        if found is None:
            connection.executemany(REMOVE_VALUE, [(key, set_id) for key in group])


def _sets(facts: Values) -> dict[int, Values]:
    """Return the facts by group, each under a number derived from its contents."""
    groups: dict[str, dict[str, FactValue]] = {}
    for key in sorted(facts):
        groups.setdefault(key.partition(".")[0], {})[key] = facts[key]
    return {
        # 63 bits, because database engines lack unsigned 64-bit integers.
        int.from_bytes(blake2b(json.dumps(group).encode(), digest_size=8).digest(), "big") >> 1: (
            group
        )
        for group in groups.values()
    }


def _rows(set_id: int, group: Values) -> list[tuple[str, int, int, float | None, str | None]]:
    return [
        (key, set_id, place, number, text)
        for key, value in group.items()
        for place, (number, text) in enumerate(cells(value))
    ]


def index_unindexed_facts(driver: Driver) -> None:
    """Index facts that are not indexed, if there are many, such as all facts of an older store.

    If the database cannot be written now, filters still find these facts, but more slowly.
    """
    count = driver.fetch_one(COUNT_UNINDEXED, {"limit": UNINDEXED_AT_MOST + 1})[0]
    if count <= UNINDEXED_AT_MOST or driver.refusal is not None:
        return
    with suppress(StoreError), driver.hurried(PATIENCE_S):
        while _index_batch(driver):
            pass


def _index_batch(driver: Driver) -> bool:
    with driver.write() as connection:
        found = connection.execute(UNINDEXED, {"limit": BATCH}).fetchall()
        for run_id, text in found:
            index_facts(connection, run_id, _values(text), {})
            connection.execute(MARK_INDEXED, {"id": run_id})
    return len(found) == BATCH


def _values(text: str) -> Values:
    try:
        return facts_from_text(text).values
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # edited by hand; readers of the run report it


def cells(value: Any) -> Iterator[Cell]:
    """Yield the number and the text of each value of a fact for filters."""
    for one in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(one, bool):
            yield float(one), str(one).lower()
        elif isinstance(one, str):
            yield None, clean_text(one)
        elif isinstance(one, (int, float)):
            with suppress(OverflowError):
                yield float(one), None
