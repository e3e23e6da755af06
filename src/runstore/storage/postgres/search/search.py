"""Search in texts of runs on a server, without an index on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from runstore.storage.files.objects import Objects
from runstore.storage.files.spool import Spool
from runstore.storage.fulltext.conditions import TextConditions
from runstore.storage.fulltext.run_texts import by_run
from runstore.storage.fulltext.search import fulfilled
from runstore.storage.postgres.database import ServerDatabase
from runstore.storage.postgres.search.contents import ServerTexts
from runstore.storage.postgres.search.trigrams import can_search

T = TypeVar("T")


class ServerSearch:
    """Search in the texts of the runs of one store whose output is in the database."""

    def __init__(
        self,
        database: ServerDatabase,
        objects: Objects,
        spool: Spool,
        *,
        tell: Callable[[str], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._spool = spool
        self._tell = tell

    def run(self, work: Callable[[TextConditions], T]) -> T:
        """Call a function with conditions on texts.

        Raises:
            FilterError: A regular expression takes too long, or reading all texts does.
            StoreError: The runs cannot be read.
        """
        # Listed first, so that files imported meanwhile are found in one place or in both.
        live = by_run(self._spool.output_files())
        has_index = can_search(self._database.driver)
        texts = ServerTexts(self._database, self._objects, live, self._tell, has_index=has_index)
        return fulfilled(texts, work)

    def forget(self) -> None:
        """Do nothing: an index on the server forgets removed contents at once."""
