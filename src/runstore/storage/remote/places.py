"""The place of the contents of artifacts: the database, a folder or a bucket, for all machines.

The first program that stores contents notes their place in the database, and leaves a mark in it;
other programs use the same place. The mark prevents that a second store uses, and cleans up, the
same place, and that contents are written to a folder that is not mounted.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from runstore.errors import (
    MissingExtraError,
    StoreCorruptError,
    StoreLockedError,
    StoreUnavailableError,
    UsageError,
    genuine,
)
from runstore.extras import how_to_install
from runstore.storage.files.objects import MARK
from runstore.storage.files.safe_files import read_file
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.postgres.location import contents_place
from runstore.value_classes import NamedTuple

DATABASE = "the database"
_NOTED = "SELECT value FROM store_state WHERE name = 'objects'"
# Contents of older stores are in the database, without a note.
_NOTE = """
    INSERT INTO store_state (name, value)
    SELECT 'objects', $1 WHERE $2 = 1 OR NOT EXISTS (SELECT 1 FROM objects)
    ON CONFLICT (name) DO NOTHING RETURNING value
"""
_IS_USED = "SELECT EXISTS (SELECT 1 FROM artifacts) OR EXISTS (SELECT 1 FROM outputs)"
_IN_ROWS = "SELECT EXISTS (SELECT 1 FROM objects)"
_FORMER = "SELECT value FROM store_state WHERE name = 'objects_before'"
_CHANGE = """
    UPDATE store_state SET value = :new WHERE name = 'objects' AND value = :old
"""
_KEEP_FORMER = """
    INSERT INTO store_state (name, value) VALUES ('objects_before', :old)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_NAME = "INSERT INTO store_state (name, value) VALUES ('objects', :new)"
_MOVED = "moved to"
# For statements that save contents: the place that the store names now.
NAMED_NOW = "(SELECT value FROM store_state WHERE name = 'objects')"


class ContentsPlace(NamedTuple):
    """The place of contents, and the mark that it has.

    Attributes:
        name: `DATABASE`, an absolute path, or the URL of a bucket.
        mark: A text that belongs to this store alone.
        is_new: Whether it was noted just now.
        is_former: Whether contents were moved from it.
    """

    name: str
    mark: str
    is_new: bool = False
    is_former: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return os.path.isabs(self.name)  # noqa: PTH117 - a text

    @property
    def is_bucket(self) -> bool:
        """Whether it is a bucket."""
        return "://" in self.name


def noted(driver: PostgresDriver) -> ContentsPlace | None:
    """Return the place that the store has noted; None if there are no contents yet."""
    with driver.read() as connection:
        row = connection.execute(_NOTED).fetchone()
        if row is None and not connection.execute(_IN_ROWS).fetchone()[0]:
            return None
    return _parsed(" " + DATABASE if row is None else row[0])


def _parsed(text: str) -> ContentsPlace:
    mark, _, name = text.partition(" ")
    try:
        is_valid = name == DATABASE or contents_place(name) == name
    except UsageError:
        is_valid = False
    if not is_valid:
        raise StoreCorruptError(
            f"The store names {name!r} as the place of the contents of files.",
            kept="Nothing was changed.",
            hint="Correct the row 'objects' of the table store_state.",
        )
    return ContentsPlace(name, mark)


def place_of(driver: PostgresDriver, wanted: str | None) -> ContentsPlace | None:
    """Return the place of the contents of a store, and note it if there is none yet.

    Args:
        driver: The database.
        wanted: The place that the URL names; None if it names none.

    Raises:
        UsageError: The contents are in another place.
        MissingExtraError: The libraries for buckets are not installed.
    """
    if wanted is not None and ContentsPlace(wanted, "").is_bucket:
        check_extra(wanted)
    found = noted(driver)
    if found is None and wanted is not None:
        if driver.refusal is not None:
            return ContentsPlace(wanted, "")
        found = note(driver, wanted)
        if found.is_new and found.is_folder:
            check_folder(driver, found)
    if found is None or wanted in {None, found.name}:
        return found
    place = ContentsPlace(wanted or "", found.mark)
    if place.is_folder and found.mark:
        text = _text_in(Path(place.name)) or ""
        if _mark_of(text) == found.mark:
            return place  # the same folder by another path
    raise UsageError(
        f"The contents of files of this store are in {found.name}, not in {wanted}.",
        kept="Nothing was changed.",
        hint="Remove the option objects= from the URL. To move them: runstore migrate --objects",
    )


def check_extra(url: str) -> None:
    """Check that the libraries for a bucket are installed, without loading them.

    Raises:
        MissingExtraError: They are not.
    """
    from importlib.util import find_spec

    names = ("fsspec", "s3fs") if url.startswith("s3://") else ("fsspec",)
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{missing[0]} is not installed, which {url} requires.",
            kept="Nothing was changed.",
            hint=how_to_install("s3"),
        )


def note(driver: PostgresDriver, wanted: str) -> ContentsPlace:
    """Note the place of contents unless there is one; return the one that is noted."""
    text = f"{secrets.token_hex(8)} {wanted}"
    is_new = driver.call(_NOTE, [text, int(wanted == DATABASE)]) is not None
    found = noted(driver)
    return ContentsPlace(wanted, "") if found is None else found._replace(is_new=is_new)


def check_mark(
    driver: PostgresDriver,
    place: ContentsPlace,
    read: Callable[[], str | None],
    write: Callable[[str], None],
) -> None:
    """Check that a place has the mark of this store, and mark a new place.

    Args:
        driver: The database.
        place: The place.
        read: Returns the text of its mark; None if there is none.
        write: Writes it.

    Raises:
        StoreUnavailableError: The place belongs to another store, or is not there.
    """
    if not place.mark:
        return  # of a store that can only be read and has no note
    text = read()
    if text is None and not place.is_new and driver.fetch_one(_IS_USED)[0]:
        text = read()  # another program may have marked and used it since
        if text is None:
            raise StoreUnavailableError(
                f"{place.name} has no contents of this store: its file {MARK} is missing.",
                kept="It was not changed.",
                hint="Check that the folder is mounted, and that the bucket is the right one.",
            )
    if text is None:
        write(_text_of_mark(place))
        return
    if _mark_of(text) != place.mark:
        raise StoreUnavailableError(
            f"{place.name} has the contents of another store.",
            kept="It was not changed.",
            hint="Use a prefix or a folder of its own for each store.",
        )
    if _MOVED in text and not place.is_former:
        if not place.is_new:
            raise changed_place(text.partition(_MOVED)[2].strip())
        write(_text_of_mark(place))


def _text_of_mark(place: ContentsPlace) -> str:
    return f"runstore keeps contents of files here, for the store {place.mark}.\n"


def check_name(text: str | None, wanted: str) -> None:
    """Check that `NAMED_NOW` still names a place, after contents were saved in it.

    Raises:
        StoreUnavailableError: It names another one.
    """
    if text is not None and _parsed(text).name != wanted:
        raise changed_place(_parsed(text).name)


def changed_place(name: str) -> StoreUnavailableError:
    """Return the error of a program that saves contents in a former place."""
    return StoreUnavailableError(
        f"The contents of files of this store are in {name} now.",
        kept="Nothing was changed.",
        hint="Start the program again to use that place.",
    )


# Moving


def with_mark(now: ContentsPlace, name: str) -> ContentsPlace:
    """Return another place for the contents of a store."""
    return ContentsPlace(name, now.mark or secrets.token_hex(8), is_new=True)


def former(driver: PostgresDriver) -> ContentsPlace | None:
    """Return the place before the contents were moved; None if they were not."""
    row = driver.fetch_one(_FORMER)
    return None if row is None else _parsed(row[0])._replace(is_former=True)


def change(driver: PostgresDriver, old: ContentsPlace, new: ContentsPlace) -> None:
    """Name another place; contents are saved there from now on.

    Raises:
        StoreLockedError: Another program changed it at the same time.
    """
    texts = {"old": f"{old.mark} {old.name}", "new": f"{new.mark} {new.name}"}
    with driver.write() as connection:
        connection.execute(_KEEP_FORMER, texts)
        if old.mark and connection.execute(_CHANGE, texts).rowcount == 0:
            raise StoreLockedError(
                f"The contents of files were moved from {old.name} by another program.",
                kept="Nothing was changed.",
            )
        if not old.mark:  # of an older store
            connection.execute(_NAME, texts)


def leave_word(driver: PostgresDriver, old: ContentsPlace, new: ContentsPlace) -> None:
    """Note in a former folder or bucket that the contents were moved."""
    text = f"runstore: the contents of the store {new.mark} were {_MOVED} {new.name}\n"
    if old.is_folder:
        check_folder(driver, old).joinpath(MARK).write_text(text, encoding="utf-8")
    elif old.is_bucket:
        from runstore.storage.remote.bucket import Bucket

        Bucket(old.name).put_text(MARK, text)


def check_folder(driver: PostgresDriver, place: ContentsPlace) -> Path:
    """Return the folder of a place, after checking its mark.

    Raises:
        StoreUnavailableError: It belongs to another store, or is not there.
    """
    folder = Path(place.name)

    def write(text: str) -> None:
        try:
            folder.mkdir(exist_ok=True)
            folder.joinpath(MARK).write_text(text, encoding="utf-8")
        except genuine(OSError) as error:
            raise StoreUnavailableError(
                f"Contents cannot be written to {folder}: {error.strerror or error}.",
                kept="Nothing was changed.",
                hint="Check that the folder is mounted and that you may write to it.",
            ) from error

    check_mark(driver, place, lambda: _text_in(folder), write)
    return folder


def _text_in(folder: Path) -> str | None:
    try:
        return read_file(folder / MARK, at_most=1000).decode(errors="replace")
    except genuine(OSError):
        return None


def _mark_of(text: str) -> str | None:
    found = re.search(r"\b[0-9a-f]{16}\b", text)
    return None if found is None else found[0]
