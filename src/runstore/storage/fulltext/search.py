"""Searching in the texts of runs: opens the index, brings it up to date, and mends it."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runstore.errors import StoreError, StoreUnavailableError
from runstore.model.display.formatting import size_text
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
    """Searches in the texts of the runs of one store.

    Args:
        database: The runs.
        objects: Where output is once a run has ended.
        spool: Where it is until then.
        tell: Is told what a person has to know: that it takes long, or that there is no index.
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
        self._file = SearchFile(database.path)
        self._said: set[str] = set()

    def run(self, work: Callable[[TextConditions], T]) -> T:
        """Do something with conditions on texts, with the index where there is one.

        The work may be begun again: when the index turns out to be damaged.

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
                continue  # output was taken in, in this moment, and is elsewhere now
        return self._run_without_index(work, reason or "it is damaged again and again")

    def forget(self) -> None:
        """Take the index away, and with it what it holds of texts that are gone.

        The next search makes it anew.

        Raises:
            StoreUnavailableError: Somebody searches just now, or it cannot be removed.
        """
        try:
            self._remove()
        except UnusableIndexError as error:
            raise StoreUnavailableError(
                f"The search index was not removed: {error}.",
                kept="It is as it was.",
                hint="Try again when nobody searches.",
            ) from error

    def _remove(self) -> None:
        kept = self._file.remove()
        if kept:
            self._tell(f"{self._file.path} is no search index; it is {kept} now.")

    def _run_without_index(self, work: Callable[[TextConditions], T], reason: str) -> T:
        return self._run_on(RunTexts(self._database, self._objects, self._live()), reason, work)

    def _run_with_index(self, work: Callable[[TextConditions], T]) -> T:
        with self._file.opened() as connection:
            # Listed first: what is taken in meanwhile is found here or there, or in both.
            live = self._live()
            index = SearchIndex(connection, self._database, self._objects)
            reason = self._caught_up(index)
            connection.execute("BEGIN")  # what is searched stays the same meanwhile
            known = IndexState(connection, index.seen())
            return self._run_on(RunTexts(self._database, self._objects, live, known), reason, work)

    def _live(self) -> dict[str, list[Path]]:
        return by_run(self._spool.output_files())

    def _caught_up(self, index: SearchIndex) -> str:
        """Bring the index up to date; return why that cannot be, if it cannot."""
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
        self._tell(
            f"The search index takes in {runs:,} more runs with {size_text(size)} of output."
            " This is done once, and goes on where it was when it is interrupted."
        )

    def _run_on(self, texts: RunTexts, reason: str, work: Callable[[TextConditions], T]) -> T:
        if reason and texts.apart and reason not in self._said:
            self._said.add(reason)
            self._tell(
                f"There is no search index for {len(texts.apart):,} runs ({reason});"
                " their texts are looked through one by one."
            )
        conditions = TextConditions(texts)
        try:
            return work(conditions)
        except StoreError:
            if conditions.failure is not None:
                raise conditions.failure from None
            raise
        finally:
            conditions.close()
