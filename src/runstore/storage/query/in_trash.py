"""Search for runs in the trash."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from runstore.model.query.tree import Query
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.sort_keys import sort_keys, until_newest

FOUND = f"""
    SELECT q.id FROM (
        SELECT r.id AS id, r.deleted_at AS deleted_at {{keys}} FROM runs r
        WHERE {sql.TRASHED} AND {{where}}
    ) q ORDER BY {{order}}, q.id DESC
"""


def trashed_ids(connection: Connection, packages: PackageLists, query: Query) -> list[int]:
    """Return the row ids of matching runs, by default the most recently deleted first.

    The query has `not` only at its leaves.
    """
    condition = packages.condition()
    keys = sort_keys(until_newest(query.order), condition)
    listed = "".join(f", {key.of_run(condition)} AS k{n}" for n, key in enumerate(keys))
    order = [f"q.k{n} {key.direction} NULLS LAST" for n, key in enumerate(keys)]
    text = FOUND.format(
        keys=listed,
        where=condition.of(query.where),
        order=", ".join(order or ["q.deleted_at DESC"]),
    )
    return [row[0] for row in connection.execute(text, condition.parameters).fetchall()]
