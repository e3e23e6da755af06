"""The parts of one store: database, objects, spool, and the tables on the database.

Whoever records, reads, maintains or analyses takes a `Backend`; `Store` is the door for users.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from runstore.model.once import once
from runstore.storage.database import Database
from runstore.storage.files.spool import OBJECTS, Spool
from runstore.storage.sqlite.paths import DATABASE, parsed
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.artifacts import ArtifactTable
    from runstore.storage.edits import EditTable
    from runstore.storage.files.objects import Objects
    from runstore.storage.fulltext.search import TextSearch
    from runstore.storage.metrics.table import MetricTable
    from runstore.storage.moves import Moves
    from runstore.storage.trash import Trash

T = TypeVar("T")
# In the folder of a store: the folder of plain files of runs, and the list of all runs.
RUNS = "runs"
STORE_JSON = "store.json"
# Databases that copies from other processes share, by the folder of their store.
_of_copies: weakref.WeakValueDictionary[Path, Database] = weakref.WeakValueDictionary()


class Backend:
    """The parts of one store, each loaded and opened when it is first used.

    A copy in the same process is the same object. A copy in another process opens the database
    when it is first used, because a process pool hangs if its arguments cannot be unpickled. Its
    spool needs no database and accepts points without one.

    Attributes:
        path: The folder of the store.
        spool: What is in flight.
        take_lines: Takes in a file of lines that the program of a run left in the spool.
        show_changes: Called after each transaction that wrote to the database; raises nothing.

    Args:
        path: The folder.
        database: The open database; None opens the existing one when it is first used.
        show_changes: See the attribute.
    """

    def __init__(
        self,
        path: Path,
        database: Database | None = None,
        show_changes: Callable[[Backend], None] | None = None,
    ) -> None:
        self.path = parsed(path)
        self.show_changes = show_changes or _show_nothing
        self.spool = Spool(path)
        self.take_lines: Callable[[Backend, Path, Run], None] = _leave_lines
        self._parts: dict[Callable[[Backend], Any], Any] = {}
        self._is_copy = database is None
        if database is not None:
            self.__dict__["database"] = self._watched(database)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, _memo: object) -> Backend:
        return self

    def __reduce__(self) -> tuple[type[Backend], tuple[Any, ...]]:
        return Backend, (self.path.absolute(), None, self.show_changes)

    def _watched(self, database: Database) -> Database:
        database.driver.after_commit = self._after_commit
        return database

    def _after_commit(self) -> None:
        self.show_changes(self)

    def close(self) -> None:
        """Give back the connections; a copy leaves them to the other copies of this process."""
        if not self._is_copy:
            self.database.close()
            return
        opened = [name for name, one in vars(Backend).items() if isinstance(one, once)]
        for name in opened:
            self.__dict__.pop(name, None)
        self._parts.clear()

    def part(self, kind: Callable[[Backend], T]) -> T:
        """Return the object of a room above that belongs to this store, made once."""
        known: T | None = self._parts.get(kind)
        return self._parts.setdefault(kind, kind(self)) if known is None else known

    @once
    def database(self) -> Database:
        """The runs.

        Raises:
            StoreError: The database of a copy cannot be opened.
        """
        known = _of_copies.get(self.path)
        if known is None or known.driver.is_closed or not known.driver.file.is_in_place:
            known = _of_copies[self.path] = Database(self.path / DATABASE, create=False)
        return self._watched(known)

    @property
    def is_in_place(self) -> bool:
        """Whether the database is still the file that was opened, and not deleted or another."""
        return self.database.driver.file.is_in_place

    @once
    def objects(self) -> Objects:
        """The contents of artifacts and output."""
        from runstore.storage.files.objects import Objects

        return Objects(self.path / OBJECTS)

    @once
    def artifacts(self) -> ArtifactTable:
        """Artifacts, inputs and output of runs."""
        from runstore.storage.artifacts import ArtifactTable

        return ArtifactTable(self.database)

    @once
    def metrics(self) -> MetricTable:
        """The points of metrics."""
        from runstore.storage.metrics.table import MetricTable

        return MetricTable(self.database)

    @once
    def edits(self) -> EditTable:
        """Notes, tags and the history of edits."""
        from runstore.storage.edits import EditTable

        return EditTable(self.database)

    @once
    def moves(self) -> Moves:
        """Moves of runs between experiments."""
        from runstore.storage.moves import Moves

        return Moves(self.database)

    @once
    def trash(self) -> Trash:
        """The deleted runs."""
        from runstore.storage.trash import Trash

        return Trash(self.database)

    @once
    def texts(self) -> TextSearch:
        """The search in notes, errors and output."""
        from runstore.storage.fulltext.search import TextSearch

        return TextSearch(self.database, self.objects, self.spool, tell=warn)


def _show_nothing(_backend: Backend) -> None:
    """Nobody has opened this store who shows its runs elsewhere."""


def _leave_lines(_backend: Backend, _path: Path, _run: Run) -> None:
    """Leave a file in the spool: nobody who records runs has opened this store."""
