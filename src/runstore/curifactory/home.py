"""The folder of a manager's `store.json`, and the store with its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runstore.config import is_there
from runstore.location import find_place, folder_of_project, server_at, server_of_project
from runstore.storage.sqlite.paths import DATABASE
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.postgres.location import ServerLocation

_warned: set[Path] = set()


class Home(NamedTuple):
    """The folder of `store.json`, as passed and as an absolute path, and the server, if any."""

    text: str
    folder: Path
    server: ServerLocation | None

    @property
    def location(self) -> str | Path:
        """The location of the store with the runs."""
        return self.folder if self.server is None else self.server.given

    @property
    def shown(self) -> str:
        """The location of the store with the runs, for messages."""
        return str(self.folder) if self.server is None else self.server.shown


def home_at(location: str = "") -> Home:
    """Return the home of a manager's runs.

    Args:
        location: A folder, or the URL of a server; empty for the store of the project. If the
            store of the project is on a server, a folder without a database has its runs there.
    """
    if not location:
        place = find_place()
        return _in(place, None) if isinstance(place, str) else _on(place)
    if (server := server_at(location)) is not None:
        return _on(server)
    folder, server = Path(location).absolute(), server_of_project()
    if server is not None and is_there(folder / DATABASE):
        _warn_of_database(folder)
        server = None
    return Home(location, folder, server)


def _in(folder: str, server: ServerLocation | None) -> Home:
    return Home(folder, Path(folder).absolute(), server)


def _on(server: ServerLocation) -> Home:
    """Return the folder of the project; one below it if that is a store of its own."""
    folder = Path(folder_of_project())
    if is_there(folder / DATABASE):
        folder = folder / "servers" / server.folder.name
    return _in(str(folder), server)


def _warn_of_database(folder: Path) -> None:
    if folder not in _warned:
        _warned.add(folder)
        warn(
            f"The runs of {folder} are recorded in its own database, not on the server of the"
            " project. To move them, push them, and delete the database."
        )
