"""Search in the texts of runs: opens the index, updates it, and rebuilds it if it is damaged."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runstore.errors import StoreError, StoreUnavailableError
from runstore.model.display.formatting import counted, size_text
from runstore.storage.database import Database
from runstore.storage.files.objects import Objects
from runstore.storage.files.spool import Spool
from runstore.storage.fulltext.conditions import TextConditions
from runstore.storage.fulltext.index import SearchIndex
from runstore.storage.fulltext.index_file import (
    DamagedIndexError,
    SearchFile,
    UnusableIndexError,
    is_broken,
)
from runstore.storage.fulltext.run_texts import IndexState, RunTexts, by_run

T = TypeVar("T")
_SLOW_S = 2.0
_TRIES = 3


class TextSearch:
    """Search in the texts of the runs of one store.

    `tell` receives messages for users: that indexing takes long, or that there is no index.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        spool: Spool,
        *,
        tell: Callable[[str], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._spool = spool
        self._tell = tell
        self._file = SearchFile(Path(database.file))
        self._said: set[str] = set()

    def run(self, work: Callable[[TextConditions], T]) -> T:
        """Call a function with conditions on texts, using the index if there is one.

        The function may be called again if the index turns out to be damaged.

        Raises:
            FilterError: A regular expression takes too long.
            StoreError: The runs cannot be read.
        """
        reason = ""
        for _ in range(_TRIES):
            try:
                if reason:
                    return self._run_without_index(work, reason)
                try:
                    return self._run_with_index(work)
                except DamagedIndexError:
                    self._remove()
            except UnusableIndexError as error:
                reason = str(error)
            except FileNotFoundError:
                continue  # output was imported just now, and has another path
        return self._run_without_index(work, reason or "it was damaged repeatedly")

    def forget(self) -> None:
        """Remove the index, including its data of removed texts.

        The next search creates it again.

        Raises:
            StoreUnavailableError: It is in use, or cannot be removed.
        """
        try:
            self._remove()
        except UnusableIndexError as error:
            raise StoreUnavailableError(
                f"The search index was not removed: {error}.",
                kept="It was not changed.",
                hint="Try again when no search is running.",
            ) from error

    def _remove(self) -> None:
        kept = self._file.remove()
        if kept:
            self._tell(f"{self._file.path} was not a search index; it was moved to {kept}.")

    def _run_without_index(self, work: Callable[[TextConditions], T], reason: str) -> T:
        return self._run_on(RunTexts(self._database, self._objects, self._live()), reason, work)

    def _run_with_index(self, work: Callable[[TextConditions], T]) -> T:
        with self._file.opened() as connection:
            # Listed first, so that files imported meanwhile are found in one place or in both.
            live = self._live()
            index = SearchIndex(connection, self._database, self._objects)
            reason = self._caught_up(index)
            connection.execute("BEGIN")  # a snapshot for the whole search
            known = IndexState(connection, index.seen())
            return self._run_on(RunTexts(self._database, self._objects, live, known), reason, work)

    def _live(self) -> dict[str, list[Path]]:
        return by_run(self._spool.output_files())

    def _caught_up(self, index: SearchIndex) -> str:
        """Update the index; return the reason if that fails, or an empty text."""
        slow_at = time.monotonic() + _SLOW_S

        def say_if_slow() -> None:
            nonlocal slow_at
            if time.monotonic() > slow_at:
                slow_at = math.inf
                self._say_what_is_left(index)

        try:
            index.catch_up(say_if_slow)
        except sqlite3.OperationalError as error:
            if is_broken(error):
                raise
            return str(error)
        return ""

    def _say_what_is_left(self, index: SearchIndex) -> None:
        runs, size = index.left()
        if not runs:
            return
        self._tell(
            f"Adding {counted(runs, 'run')} with {size_text(size)} of output to the search index."
            " This is done once, and continues from there if it is interrupted."
        )

    def _run_on(self, texts: RunTexts, reason: str, work: Callable[[TextConditions], T]) -> T:
        if reason and texts.apart and reason not in self._said:
            self._said.add(reason)
            self._tell(
                f"There is no search index for {counted(len(texts.apart), 'run')} ({reason});"
                " their texts are searched one by one."
            )
        return fulfilled(texts, work)


def fulfilled(texts: RunTexts, work: Callable[[TextConditions], T]) -> T:
    """Call a function with conditions on these texts; errors of texts are raised as they are."""
    conditions = TextConditions(texts)
    try:
        return work(conditions)
    except StoreError:
        if conditions.failure is not None:
            raise conditions.failure from None
        raise
    finally:
        conditions.close()
