"""The contents of artifacts of a store on a server, in the place that the store has noted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from runstore.storage.files.objects import Objects
from runstore.storage.remote.places import DATABASE, ContentsPlace, place_of

if TYPE_CHECKING:
    from runstore.storage.database import Database
    from runstore.storage.postgres.database import ServerDatabase
    from runstore.storage.postgres.driver import PostgresDriver


def objects_of(database: Database, copies: Path) -> Objects:
    """Return the contents of a store, with a folder for copies on this machine.

    Raises:
        StoreUnavailableError: The database or the place is not available.
    """
    server = cast("ServerDatabase", database)
    place = server.place or place_of(server.driver, None)
    return objects_at(server.driver, copies, place or ContentsPlace(DATABASE, ""))


def objects_at(
    driver: PostgresDriver, copies: Path, place: ContentsPlace, *, is_moving: bool = False
) -> Objects:
    """Return the contents in a place.

    While contents are moving, the store may name another place.

    Raises:
        StoreUnavailableError: The place is not available.
    """
    if place.name == DATABASE:
        from runstore.storage.postgres.objects import RowObjects

        return RowObjects(copies, driver, is_moving=is_moving)
    if place.is_folder:
        from runstore.storage.remote.shared_folder import SharedFolder

        return SharedFolder(driver, place)
    from runstore.storage.remote.bucket_objects import BucketObjects

    return BucketObjects(copies, driver, place, is_moving=is_moving)
