"""The parts of one store: database, objects, spool, and the tables in the database.

Recording, reading, maintenance and analysis take a `Backend`; users open a `Store`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from os.path import dirname, join

from runstore.errors import StoreUnavailableError
from runstore.model.once import once
from runstore.storage.database import Database
from runstore.storage.files.spool import OBJECTS, Spool
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.paths import DATABASE, absolute, mode_of, out_of_reach, path_of
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, TypeVar

    from runstore.current import StoreBlock
    from runstore.model.run import Run
    from runstore.storage.artifacts import ArtifactTable
    from runstore.storage.edits import EditTable
    from runstore.storage.files.objects import Objects
    from runstore.storage.fulltext.search import TextSearch
    from runstore.storage.metrics.table import MetricTable
    from runstore.storage.moves import Moves
    from runstore.storage.postgres.location import ServerLocation
    from runstore.storage.postgres.search.search import ServerSearch
    from runstore.storage.sqlite.paths import AnyPath
    from runstore.storage.trash import Trash

    T = TypeVar("T")

# Names in a store's folder: plain files of runs, and the list of all runs.
RUNS = "runs"
STORE_JSON = "store.json"
# In the folder beside a store on a server: links to the folders with its `store.json`.
LISTS = "lists"
# The end of the folder of runs that wait for their server: runstore/servers/…/waiting.
_WAITING = ("runstore", "servers", "waiting")
# Databases shared by copies from other processes, by the folder of their store.
_of_copies: weakref.WeakValueDictionary[str, Database] = weakref.WeakValueDictionary()


class Backend:
    """The parts of one store, each loaded and opened on first use.

    A copy in the same process is the same object. A copy in another process opens the database on
    first use, because a process pool hangs if its arguments cannot be unpickled. Its spool needs
    no database and accepts points without one.

    Attributes:
        folder: The folder of the store; for a store on a server, its folder on this machine.
        path: The same, as a `Path`.
        home: The same, also for the runs that wait on this machine for a server: a run there and
            one on the server belong to one store.
        server: The server, its database and the URL; None for a store in a folder.
        spool: Data in flight, not yet in the database.
        list_mark: A path that exists if this machine may have a `store.json` of the store.
        open_store: Opens the `Store` in a folder, as `Store.open` does.
        take_lines: Imports a file of lines that a run's program left in the spool.
        show_changes: Called after each transaction that wrote to the database; must not raise.
        let_go: Called before a block of the store is left: ends its runs that this process
            executes, with the exception that the block is left with, or without.
        maker: Creates the database of a store that may be missing; None if that is not allowed.
        is_fresh: Whether it was created here, and no run has started in it yet.

    Args:
        folder: See the attribute.
        server: See the attribute.
        database: The open database; if None, the existing one is opened on first use.
        show_changes: See the attribute.
    """

    def __init__(
        self,
        folder: AnyPath,
        database: Database | None = None,
        show_changes: Callable[[Backend], None] | None = None,
        server: ServerLocation | None = None,
    ) -> None:
        self.folder = folder = os.fspath(folder)
        self.home = dirname(folder) if _is_of_waiting(folder) else folder
        self.server = server
        self.list_mark = f"{folder}/{STORE_JSON if server is None else LISTS}"
        self.show_changes = show_changes or _show_nothing
        self.spool = Spool(folder, lambda: not self.is_in_place, self._knows_any)
        self.open_store: Callable[..., Any] = _open_nothing
        self.take_lines: Callable[[Backend, Path, Run], None] = _leave_lines
        self.let_go: Callable[[BaseException | None, StoreBlock], None] = _nothing_to_let_go
        self._parts: dict[Callable[[Backend], Any], Any] = {}
        self.maker: Callable[[], Database] | None = None
        self.is_fresh = False
        self._is_copy = database is None
        if database is not None:
            self.__dict__["database"] = self._watched(database)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, _memo: object) -> Backend:
        return self

    def __reduce__(self) -> tuple[type[Backend], tuple[Any, ...]]:
        return Backend, (absolute(self.folder), None, self.show_changes, self.server)

    @once
    def path(self) -> Path:
        """The folder of the store."""
        return with_room(lambda: path_of(self.folder))

    @property
    def url(self) -> str:
        """The location of the store for other processes, with the password, if any."""
        return absolute(self.folder) if self.server is None else self.server.given

    @property
    def place(self) -> str:
        """The location of the store for messages, without passwords."""
        return self.folder if self.server is None else self.server.shown

    def _watched(self, database: Database) -> Database:
        database.driver.after_commit = self._after_commit
        return database

    def _after_commit(self) -> None:
        self.show_changes(self)

    def close(self) -> None:
        """Close the connections; a copy leaves them open for other copies in this process."""
        if not self._is_copy:
            self.database.close()
            return
        opened = [name for name, one in vars(Backend).items() if isinstance(one, once)]
        for name in opened:
            self.__dict__.pop(name, None)
        self._parts.clear()

    def part(self, kind: Callable[[Backend], T]) -> T:
        """Return this store's instance of a class from a higher layer, created on first use."""
        known: T | None = self._parts.get(kind)
        return self._parts.setdefault(kind, kind(self)) if known is None else known

    def make(self) -> None:
        """Make a store that is missing, to record in it.

        Raises:
            StoreError: It cannot be made.
        """
        if self.maker is None or "database" in self.__dict__:
            return
        self.is_fresh = not self.is_there
        self.__dict__["database"] = self._watched(self.maker())
        self._is_copy = False

    @property
    def is_there(self) -> bool:
        """Whether there is a database; reading does not make one."""
        return self.server is not None or mode_of(join(self.folder, DATABASE)) != 0

    @once
    def database(self) -> Database:
        """The runs.

        Raises:
            StoreError: The database of a copy cannot be opened, or the store was not made yet.
        """
        if self.maker is not None and not self.is_there:
            raise no_store(self.folder)
        known = _of_copies.get(self.folder)
        if known is None or known.driver.is_closed or not known.driver.is_in_place:
            known = _of_copies[self.folder] = self._opened()
        return self._watched(known)

    def _opened(self) -> Database:
        if self.server is None:
            return database_in(self.folder, create=False)
        if self.maker is not None:
            return self.maker()
        from runstore.storage.postgres.database import ServerDatabase

        return ServerDatabase(self.server, create=False)

    def _knows_any(self, uids: set[str]) -> bool:
        return self.database.knows_any(uids)

    @property
    def is_in_place(self) -> bool:
        """Whether the open database is still at its path, neither deleted nor replaced."""
        opened = self.__dict__.get("database")
        return opened is None or opened.driver.is_in_place

    @once
    def objects(self) -> Objects:
        """The contents of artifacts and output."""
        from runstore.storage.files.objects import Objects

        if self.server is None:
            return Objects(self.path / OBJECTS)
        return with_room(self._objects_of_server)

    def _objects_of_server(self) -> Objects:
        from runstore.storage.remote.opening import objects_of

        return objects_of(self.database, self.path / OBJECTS)

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
    def texts(self) -> TextSearch | ServerSearch:
        """The full-text search in notes, errors and output."""
        if self.server is not None:
            from runstore.storage.postgres.database import ServerDatabase
            from runstore.storage.postgres.objects import RowObjects
            from runstore.storage.postgres.search.search import ServerSearch

            database, objects = self.database, self.objects
            if isinstance(database, ServerDatabase) and isinstance(objects, RowObjects):
                return ServerSearch(database, objects, self.spool, tell=warn)
        from runstore.storage.fulltext.search import TextSearch

        return TextSearch(self.database, self.objects, self.spool, tell=warn)


def database_in(folder: str, *, create: bool) -> Database:
    """Open the database of a store in a folder, creating a missing file if asked to."""
    if _is_of_waiting(folder):
        from runstore.storage.postgres.waiting import WaitingDatabase

        return WaitingDatabase(join(folder, DATABASE), create=create)
    return Database(join(folder, DATABASE), create=create)


def _is_of_waiting(folder: str) -> bool:
    """Check whether a folder is that of runs that wait for a server, by its name alone."""
    above, servers, *_, last = ("", "", *folder.split("/"))[-4:]
    return last == _WAITING[2] and (above, servers) == _WAITING[:2]


def no_store(folder: AnyPath) -> StoreUnavailableError:
    """Return the error about a folder without a store, or that cannot be reached."""
    hint = "Record a run first, or name another folder."
    above = dirname(folder)
    if mode_of(join(above, DATABASE)):
        hint = f"The folder is a store itself. Name it with: --store {above}"
    return out_of_reach(join(folder, DATABASE)) or StoreUnavailableError(
        f"There is no store at {folder}.", hint=hint
    )


def _show_nothing(_backend: Backend) -> None:
    """Do nothing: no mirror of the runs is attached to this store."""


def _open_nothing(path: Path, **_options: bool) -> Any:
    """Raise an error: no `Store` is attached to this backend."""
    raise no_store(path)


def _nothing_to_let_go(_error: BaseException | None, _block: StoreBlock) -> None:
    """Do nothing: this process executes no runs of this store."""


def _leave_lines(_backend: Backend, _path: Path, _run: Run) -> None:
    """Leave the file in the spool: the recording layer is not attached to this store."""
