"""Contents of artifacts as rows of the database, for stores without a shared folder or a bucket.

Each machine keeps copies in the folder of the store on that machine; contents that were verified
there are not fetched again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from runstore.errors import (
    InvalidValueError,
    NotFoundError,
    StoreCorruptError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.storage.driver import Connection
from runstore.storage.files.objects import Contents
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.remote.copies import CopiedObjects
from runstore.storage.remote.places import (
    DATABASE,
    ContentsPlace,
    changed_place,
    check_name,
    note,
    noted,
)
from runstore.storage.rows import is_digest

LARGEST_BYTES = 256 << 20
PART_BYTES = 4 << 20

# Only if all parts are there.
_SIZE = """
    SELECT o.size_bytes FROM objects o WHERE o.digest = :digest AND o.size_bytes = (
        SELECT coalesce(sum(octet_length(p.body)), 0) FROM object_parts p
        WHERE p.digest = o.digest
    )
"""
_PARTS = "SELECT count(*) FROM object_parts WHERE digest = :digest"
_PART = "SELECT body FROM object_parts WHERE digest = :digest AND part = :part"
_PUT_PART = """
    INSERT INTO object_parts (digest, part, body) VALUES (:digest, :part, :body)
    ON CONFLICT (digest, part) DO UPDATE SET body = excluded.body
"""
_PUT = """
    INSERT INTO objects (digest, size_bytes, saved_at)
    VALUES (:digest, :size_bytes, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    ON CONFLICT (digest) DO UPDATE SET
        size_bytes = excluded.size_bytes, saved_at = excluded.saved_at
    RETURNING (SELECT value FROM store_state WHERE name = 'objects')
"""
_EVERY = "SELECT digest FROM objects ORDER BY digest"
_REMOVE = """
    DELETE FROM objects o WHERE o.digest = :digest
        AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = o.digest)
        AND NOT EXISTS (SELECT 1 FROM outputs u WHERE u.digest = o.digest)
"""
_REMOVE_PARTS = """
    DELETE FROM object_parts p WHERE p.digest = :digest
        AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.digest = p.digest)
"""


class _Sent(threading.local):
    """Contents that this thread sent inside a block."""

    def __init__(self) -> None:
        self.sent: list[Contents] = []


class RowObjects(CopiedObjects):
    """The contents of one store, as rows with copies in a folder."""

    def __init__(self, folder: Path, driver: PostgresDriver, *, is_moving: bool = False) -> None:
        super().__init__(folder)
        self._driver = driver
        self._is_moving = is_moving
        self._is_noted = is_moving
        self._own = _Sent()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Prevent cleaning up on this machine inside the block, and check its contents afterwards.

        No lock of the database is held meanwhile: it would keep a connection of a pool busy for
        as long as a large file takes. Another machine may clean up between the contents and their
        reference; then they are sent once more.
        """
        outer, self._own.sent = self._own.sent, []
        try:
            with super().in_use():
                yield
            for kept in [*self._own.sent]:
                with suppress(StoreUnavailableError, StoreLockedError, StoreReadOnlyError):
                    self.share(*kept)
        finally:
            self._own.sent = outer

    def size_of(self, digest: str) -> int | None:
        """Return the size of these contents; None if missing."""
        if not is_digest(digest):
            return None
        row = self._driver.fetch_one(_SIZE, {"digest": digest})
        return None if row is None else int(row[0])

    def files(self) -> Iterator[Path]:
        """Yield the path of each copy and of each row."""
        copies = set(super().files())
        yield from copies
        rows = self._driver.fetch_all(_EVERY)
        yield from (path for row in rows if (path := self.path_of(row[0])) not in copies)

    def remove(self, path: Path) -> bool:
        """Remove a copy, and its row unless it is referenced; return whether there was either."""
        digest, rows = self.digest_at(path), 0
        if digest is not None:
            gone = {"digest": digest}

            def remove(connection: Connection) -> int:
                found = connection.execute(_REMOVE, gone).rowcount
                connection.execute(_REMOVE_PARTS, gone)
                return found

            rows = self._driver.transact(remove, is_once=True)
        return super().remove(path) or bool(rows)

    def stored_size(self, path: Path) -> int:
        """Return the size of a copy, or of a row without a copy on this machine."""
        try:
            return super().stored_size(path)
        except FileNotFoundError:
            size = self.size_of(self.digest_at(path) or "")
            if size is None:
                raise
            return size

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > LARGEST_BYTES:
            raise InvalidValueError(
                f"A file of {size_bytes:,} bytes cannot be kept in the database; the limit is"
                f" {LARGEST_BYTES:,}.",
                hint="Keep contents in a shared folder or in a bucket; see the option objects=.",
            )

    def _send(self, kept: Contents, source: BinaryIO) -> None:
        self._note()
        self._own.sent.append(kept)
        where = {"digest": kept.digest}
        row = self._driver.fetch_one(_SIZE, where)
        if row is None:
            self._send_parts(kept, source)

        def put(connection: Connection) -> None:
            values = {**where, "size_bytes": kept.size_bytes}
            named = connection.execute(_PUT, values).fetchone()[0]
            if not self._is_moving:
                check_name(named, DATABASE)

        self._driver.transact(put, of=())

    def _send_parts(self, kept: Contents, source: BinaryIO) -> None:
        found, part = hashlib.sha256(), 0
        while body := source.read(PART_BYTES):
            found.update(body)
            values = {"digest": kept.digest, "part": part, "body": body}
            self._driver.transact(partial(_put_part, values), of=())
            part += 1
        if found.hexdigest() != kept.digest:
            raise StoreUnavailableError(
                "The file was changed while it was saved.", kept="Its contents were not stored."
            )

    def _note(self) -> None:
        """Note that contents are in the database.

        Raises:
            StoreUnavailableError: They are in another place since this program opened the store.
        """
        if not self._is_noted:
            self._check_place(note(self._driver, DATABASE))
            self._is_noted = True

    def _check_place(self, place: ContentsPlace | None) -> None:
        if not self._is_moving and place is not None and place.name != DATABASE:
            raise changed_place(place.name)

    def _fetch(self, wanted: Contents) -> None:
        where, found = {"digest": wanted.digest}, hashlib.sha256()
        with self._driver.read() as connection:
            if connection.execute(_SIZE, where).fetchone() is None:
                self._check_place(noted(self._driver))
                raise NotFoundError(
                    f"The contents {wanted.digest[:12]}… are not in the database.",
                    hint="Save the same contents again.",
                )
            count = connection.execute(_PARTS, where).fetchone()[0]
        with self._copying(wanted) as path:
            with path.open("xb") as file:
                for part in range(count):
                    row = self._driver.fetch_one(_PART, {**where, "part": part})
                    body = b"" if row is None else row[0]
                    found.update(body)
                    file.write(body)
            if found.hexdigest() != wanted.digest:
                raise StoreCorruptError(
                    f"The contents {wanted.digest[:12]}… in the database were changed or damaged.",
                    kept="They were not changed; other contents are not affected.",
                    hint="Save the same contents again to repair them.",
                )


def _put_part(values: Mapping[str, Any], connection: Connection) -> None:
    connection.execute(_PUT_PART, values)
