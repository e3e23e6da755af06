"""Captured facts by their names, filed beside the JSON of each run, so that filters find them.

Facts of one group (`git`, `host` …) are the same in many runs: each set of them is kept once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Union

from runstore.errors import StoreError
from runstore.model.facts import FactValue
from runstore.model.values import blake2b, clean_text
from runstore.storage.driver import Connection, Driver
from runstore.storage.rows import facts_from_text

# What is not filed is looked through one by one; from so many runs on, filing them is quicker.
LOOSE_AT_MOST = 500
# Other programs get to write between two batches.
BATCH = 1_000
PATIENCE_S = 0.5

COUNT_LOOSE = """
    SELECT count(*) FROM (
        SELECT id FROM runs WHERE facts IS NOT NULL AND facts_filed IS NULL LIMIT :limit
    ) n
"""
LOOSE = """
    SELECT id, facts FROM runs WHERE facts IS NOT NULL AND facts_filed IS NULL LIMIT :limit
"""
MARK_FILED = "UPDATE runs SET facts_filed = 1 WHERE id = :id"
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

Cell = tuple[Union[float, None], Union[str, None]]
Values = Mapping[str, FactValue]


def file_facts(connection: Connection, run_id: int, facts: Values, before: Values) -> None:
    """File the facts of a run, within the caller's transaction, which marks them as filed.

    Args:
        connection: Where to.
        run_id: The run.
        facts: Its facts from now on.
        before: Those it had until now.
    """
    sets, old = _sets(facts), _sets(before)
    _unlink(connection, run_id, {key: old[key] for key in old.keys() - sets.keys()})
    for set_id, group in sets.items():
        if connection.execute(IS_KNOWN, {"id": set_id}).fetchone() is None:
            connection.executemany(ADD_VALUE, _rows(set_id, group))
        connection.execute(LINK, (set_id, run_id))


def release_facts(connection: Connection, run_id: int) -> None:
    """Forget what is filed of a run, within the caller's transaction.

    Whoever removes a run for good has to call it before.
    """
    row = connection.execute(FACTS_OF_ROW, {"id": run_id}).fetchone()
    if row is not None and row[0] is not None:
        _unlink(connection, run_id, _sets(_values(row[0])))


def _unlink(connection: Connection, run_id: int, sets: Mapping[int, Values]) -> None:
    """Take sets from a run; a set that no other run has is gone then."""
    for set_id, group in sets.items():
        connection.execute(UNLINK, (set_id, run_id))
        if connection.execute(IS_KNOWN, {"id": set_id}).fetchone() is None:
            connection.executemany(REMOVE_VALUE, [(key, set_id) for key in group])


def _sets(facts: Values) -> dict[int, Values]:
    """Return the facts group by group, each with the number that stands for it."""
    groups: dict[str, dict[str, FactValue]] = {}
    for key in sorted(facts):
        groups.setdefault(key.partition(".")[0], {})[key] = facts[key]
    return {
        # 63 bits: engines have no larger numbers without a sign.
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


def file_loose_facts(driver: Driver) -> None:
    """File what waits to be filed where it is much, such as all facts of an older store.

    Where the database cannot be written now, filters find these facts as well, but slower.
    """
    with driver.read() as connection:
        count = connection.execute(COUNT_LOOSE, {"limit": LOOSE_AT_MOST + 1}).fetchone()[0]
    if count <= LOOSE_AT_MOST or driver.refusal is not None:
        return
    with suppress(StoreError), driver.hurried(PATIENCE_S):
        while _file_batch(driver):
            pass


def _file_batch(driver: Driver) -> bool:
    with driver.write() as connection:
        found = connection.execute(LOOSE, {"limit": BATCH}).fetchall()
        for run_id, text in found:
            file_facts(connection, run_id, _values(text), {})
            connection.execute(MARK_FILED, {"id": run_id})
    return len(found) == BATCH


def _values(text: str) -> Values:
    try:
        return facts_from_text(text).values
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # it was changed by hand; whoever reads the run learns of it


def cells(value: Any) -> Iterator[Cell]:
    """Yield the number and the text of each value of a fact, as a filter sees it."""
    for one in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(one, bool):
            yield float(one), str(one).lower()
        elif isinstance(one, str):
            yield None, clean_text(one)
        elif isinstance(one, (int, float)):
            with suppress(OverflowError):
                yield float(one), None
