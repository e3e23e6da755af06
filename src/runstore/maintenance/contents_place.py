"""Moving the contents of files of a store on a server to another place."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runstore.errors import NotFoundError, StoreCorruptError, UsageError
from runstore.model.display.suggestions import some_of
from runstore.model.results.deletion import Amount
from runstore.storage.files.spool import OBJECTS
from runstore.storage.integrity.references import References
from runstore.storage.postgres.location import contents_place
from runstore.storage.remote import places
from runstore.storage.remote.opening import objects_at
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.files.objects import Objects
    from runstore.storage.postgres.driver import PostgresDriver


def move_contents(backend: Backend, wanted: str) -> Amount:
    """Copy the contents of all runs to another place, which the store then names.

    Contents in the former place are kept. After an interruption, repeating the call continues; so
    it does for contents that programs saved in the former place meanwhile. Returns the number and
    the size of the copied files.

    Args:
        backend: The store.
        wanted: `database`, an absolute path, or the URL of a bucket.

    Raises:
        UsageError: It is not a place, or the store is in a folder.
        StoreUnavailableError: One of the places is not available; the store names the former one.
    """
    if backend.server is None:
        raise UsageError(
            f"The contents of {backend.place} are in the folder of the store.",
            kept="Nothing was changed.",
            hint="Move the whole folder, or push its runs to a store in PostgreSQL.",
        )
    name = places.DATABASE if wanted == "database" else contents_place(wanted)
    driver = cast("PostgresDriver", backend.database.driver)
    now = places.noted(driver) or places.note(driver, name)
    before = places.former(driver) if now.name == name else now
    if before is None:
        return Amount()
    copies = backend.path / OBJECTS
    after = places.with_mark(now, name)
    source = objects_at(driver, copies, before, is_moving=True)
    target = objects_at(driver, copies, after, is_moving=True)
    copied = _copy_missing(backend, source, target)
    if now.name != name:
        places.change(driver, now, after)
        places.leave_word(driver, before, after)
        copied += _copy_missing(backend, source, target)  # saved meanwhile
    return copied


def _copy_missing(backend: Backend, source: Objects, target: Objects) -> Amount:
    copied, lost = Amount(), []
    with target.in_use():
        for digest, (size, name) in _needed(backend).items():
            if target.holds(digest, size):
                continue
            try:
                with source.opened(digest, size) as file:
                    target.keep_open(file)
            except (NotFoundError, StoreCorruptError):
                lost.append(name)
            else:
                copied += Amount(1, size)
    if lost:
        warn(
            f"Missing or damaged in the former place, and not copied: {some_of(lost, 1)}."
            " To list them: runstore doctor."
        )
    return copied


def _needed(backend: Backend) -> dict[str, tuple[int, str]]:
    """Return the contents that runs refer to: size and a name, by digest."""
    return {
        digest: (size, f"{name} of {reference}")
        for _, reference, _, name, digest, size in References(backend.database).every()
    }
