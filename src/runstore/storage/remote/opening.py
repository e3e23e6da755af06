"""The contents of artifacts of a store on a server, in the place that the store has noted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from runstore.storage.files.objects import Objects
from runstore.storage.remote.places import DATABASE, check_folder, place_of

if TYPE_CHECKING:
    from runstore.storage.database import Database
    from runstore.storage.postgres.database import ServerDatabase


def objects_of(database: Database, copies: Path) -> Objects:
    """Return the contents of a store.

    Args:
        database: Its database.
        copies: The folder for copies on this machine.

    Raises:
        StoreUnavailableError: The database or the place is not available.
    """
    server = cast("ServerDatabase", database)
    place = server.place or place_of(server.driver, None)
    if place is None or place.name == DATABASE:
        from runstore.storage.postgres.objects import RowObjects

        return RowObjects(copies, server.driver)
    if place.is_folder:
        return Objects(check_folder(server.driver, place))
    from runstore.storage.remote.bucket_objects import BucketObjects

    return BucketObjects(copies, server.driver, place)
