"""Package versions: the captured lists that match a comparison."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING

from runstore.model.query.evaluate import holds
from runstore.model.query.tree import Compare, Missing, Namespace
from runstore.storage.driver import Connection
from runstore.storage.query.where import Condition

if TYPE_CHECKING:
    from runstore.storage.fulltext.conditions import TextConditions

# Jumps from each list to the next, because many runs share a list.
PACKAGES_DOCUMENTS = """
    WITH RECURSIVE lists(hash) AS (
        SELECT min(l.hash) FROM run_documents l WHERE l.name = 'packages'
        UNION ALL
        SELECT (
            SELECT min(l.hash) FROM run_documents l
            WHERE l.name = 'packages' AND l.hash > lists.hash
        ) FROM lists WHERE lists.hash IS NOT NULL
    )
    SELECT d.hash, d.body FROM lists JOIN documents d ON d.hash = lists.hash
"""


class PackageLists:
    """The captured lists of packages, and conditions on texts, cached for one search."""

    def __init__(self, connection: Connection, texts: TextConditions | None = None) -> None:
        self.texts = texts
        self._connection = connection
        self._known: dict[Compare | Missing, list[str]] = {}

    def condition(
        self, from_sets: Collection[Namespace] = (), *, in_order: bool = False
    ) -> Condition:
        """Return a new condition of this search."""
        return Condition(self.accepted, from_sets=from_sets, in_order=in_order, texts=self.texts)

    def accepted(self, node: Compare | Missing) -> list[str]:
        """Return the hashes of the lists whose version of a package matches a comparison."""
        if node not in self._known:
            found = self._connection.execute(PACKAGES_DOCUMENTS).fetchall()
            self._known[node] = [digest for digest, body in found if _is_accepted(node, body)]
        return self._known[node]


def package_version(body: str, name: str) -> str | None:
    """Return the version of a package in a captured list, or None."""
    found = _line_of(name).search(body)
    return None if found is None else found[1].partition(" @ ")[0]


@lru_cache(maxsize=64)
def _line_of(name: str) -> re.Pattern[str]:
    # Source: PEP 503, normalized names.
    words = re.split(r"[-_.]", name)
    return re.compile(
        rf"^{'[-_.]'.join(map(re.escape, words))}==(.*)$", re.MULTILINE | re.IGNORECASE
    )


def _is_accepted(node: Compare | Missing, body: str) -> bool:
    version = package_version(body, node.field.key)
    if version is None:
        return False
    return isinstance(node, Missing) or holds(node, version) is not node.is_negated
