"""Contents of artifacts as objects in a bucket, with copies in a folder of each machine.

The table `objects` has a row for each upload, with its time by the clock of the server. Contents
may be uploaded by one machine while another one cleans up: those that were saved within a day
are spared, and the row of contents that are being removed says so (a negative time), so that
nobody relies on them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runstore.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreLockedError,
    StoreUnavailableError,
)
from runstore.storage.files.locks import pause
from runstore.storage.files.objects import DAY_S, MARK, Contents, Objects
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.remote.bucket import Bucket, StoredObject
from runstore.storage.remote.copies import CopiedObjects, used_at
from runstore.storage.remote.places import (
    NAMED_NOW,
    ContentsPlace,
    check_mark,
    check_name,
)
from runstore.storage.rows import is_digest

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
# How long contents that are being removed are left to the program that removes them, which has
# half of that for its request.
_REMOVAL_S = 120
_REMOVAL_PATIENCE_S = 5.0
_USED = """
    EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = $1)
    OR EXISTS (SELECT 1 FROM outputs u WHERE u.digest = $1)
"""
# The time remains negative while another program removes them.
_CLAIM = f"""
    INSERT INTO objects AS o (digest, size_bytes, saved_at) VALUES ($1, $2, {_NOW})
    ON CONFLICT (digest) DO UPDATE SET size_bytes = excluded.size_bytes, saved_at =
        CASE WHEN -o.saved_at > {_NOW} - {_REMOVAL_S}000000 THEN o.saved_at
        ELSE excluded.saved_at END
    RETURNING saved_at, {NAMED_NOW}
"""  # noqa: S608 - our own texts
_CONDEMN = f"""
    INSERT INTO objects AS o (digest, size_bytes, saved_at)
    SELECT $1, 0, -{_NOW} WHERE NOT ({_USED})
    ON CONFLICT (digest) DO UPDATE SET saved_at = excluded.saved_at
        WHERE abs(o.saved_at) < {_NOW} - {DAY_S}000000
    RETURNING saved_at
"""
_FORGET = "DELETE FROM objects WHERE digest = $1 AND saved_at = $2 RETURNING 1"
_KNOWN_SIZE = "SELECT size_bytes FROM objects WHERE digest = :digest AND saved_at > 0"


class BucketObjects(CopiedObjects):
    """The contents of one store in a bucket."""

    is_locked = False

    def __init__(
        self,
        folder: Path,
        driver: PostgresDriver,
        place: ContentsPlace,
        *,
        is_moving: bool = False,
    ) -> None:
        super().__init__(folder)
        self._is_moving = is_moving
        self._driver = driver
        self._place = place
        self._checked = False
        self._bucket_opened = Bucket(place.name)
        # The objects that were listed last, by digest.
        self._listed: dict[str, StoredObject] = {}

    @property
    def _bucket(self) -> Bucket:
        """The bucket, after checking that it belongs to this store."""
        if not self._checked:
            bucket = self._bucket_opened
            check_mark(
                self._driver,
                self._place,
                lambda: bucket.text(MARK),
                lambda text: bucket.put_text(MARK, text),
            )
            self._checked = True
        return self._bucket_opened

    # Concurrent saving and cleaning up: without locks, by times in the database

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Do nothing: contents that were saved within a day are spared."""
        yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yield False: other machines cannot be locked out."""
        yield False

    def is_old(self, path: Path) -> bool:
        """Check whether contents were not saved or used within a day."""
        found = self._listed.get(self.digest_at(path) or "")
        if found is None:
            return time.time() - used_at(path) > DAY_S
        return found.modified_at is not None and time.time() - found.modified_at > DAY_S

    def _send(self, kept: Contents, source: BinaryIO) -> None:
        self._bucket_opened.check_saving()
        if not threading.main_thread().is_alive():
            self._send_in_child(kept)
            return
        self._claim(kept)
        self._bucket.deliver(source, _key(kept.digest), kept)
        self._claim(kept)

    def _send_in_child(self, kept: Contents) -> None:
        """Send a copy by another process: one that is exiting can start no more threads."""
        if Objects.size_of(self, kept.digest) is None:
            raise StoreUnavailableError("The program is exiting, and there is no copy to upload.")
        words = [sys.executable, "-m", "runstore.storage.remote.sending"]
        about = json.dumps([self._driver.location.given, *kept])
        begin = time.monotonic()
        ended = subprocess.run(words, input=about, capture_output=True, text=True, check=False)
        if ended.returncode:
            told = (ended.stderr.strip().splitlines() or ["The upload was interrupted."])[-1]
            self._bucket_opened.note_away(told, time.monotonic() - begin)
            raise StoreUnavailableError(told, kept="There is a copy on this machine.")

    def _claim(self, kept: Contents) -> None:
        """Keep contents from being removed for a day.

        Raises:
            StoreLockedError: Another program is removing them right now.
            StoreUnavailableError: Contents are saved in another place now.
        """
        deadline = time.monotonic() + _REMOVAL_PATIENCE_S
        while True:
            saved_at, named = self._driver.call(_CLAIM, kept)
            if not self._is_moving:
                check_name(named, self._place.name)
            if saved_at >= 0:
                return
            if time.monotonic() > deadline:
                raise StoreLockedError(
                    f"Another program is removing the contents {kept.digest[:12]}…"
                    f" from {self._place.name}.",
                    kept="There is a copy on this machine.",
                    hint="Try again in two minutes.",
                )
            pause(0.05)

    def holds(self, digest: str, size_bytes: int) -> bool:
        """Check whether these contents are stored; they are not removed for a day."""
        self._claim(Contents(digest, size_bytes))
        found = self._bucket.find(_key(digest))
        return found is not None and found.size_bytes == size_bytes

    # Reading

    def _fetch(self, wanted: Contents) -> None:
        bucket = self._bucket
        with self._copying(wanted) as path:
            self._read(bucket, wanted, path)

    def _read(self, bucket: Bucket, wanted: Contents, path: Path) -> None:
        """Read contents in the bucket to a new file, and compare their digest."""
        key = _key(wanted.digest)
        place = f"{self._place.name}/{key}"
        with path.open("xb") as file:
            try:
                found = bucket.read(key, file, wanted.size_bytes)
            except FileNotFoundError:
                raise _missing(place) from None
        if found != wanted:
            raise _damaged(place)

    def size_of(self, digest: str) -> int | None:
        """Return the size of these contents; None if missing."""
        if not is_digest(digest):
            return None
        row = self._driver.fetch_one(_KNOWN_SIZE, {"digest": digest})
        if row is not None:
            return int(row[0])
        found = self._bucket.find(_key(digest))
        return None if found is None else found.size_bytes

    def sizes(self) -> Callable[[str], int]:
        """Return a function that returns sizes, from one listing of the bucket."""
        bucket = self._bucket
        known = {one.key: one.size_bytes for one in bucket.entries()}

        def size(digest: str) -> int:
            self.path_of(digest)
            if (found := known.get(_key(digest))) is not None:
                return found
            one = bucket.find(_key(digest))  # uploaded just now
            if one is None:
                raise FileNotFoundError(digest)
            return one.size_bytes

        return size

    def check(self, digest: str, size_bytes: int) -> None:
        """Read contents in the bucket, without a copy, and compare their digest."""
        with self.aside() as path:
            self._read(self._bucket, Contents(digest, size_bytes), path)

    # Cleaning up

    def files(self) -> Iterator[Path]:
        """Yield the path of each copy, and the path that a copy of each object would have."""
        self._listed.clear()
        copies = set(super().files())
        for one in self._bucket.entries():
            path = self._path_of_key(one.key)
            if path is not None:
                self._listed[path.parent.name + path.name] = one
                copies.discard(path)
                yield path
        yield from copies

    def foreign(self) -> Iterator[str]:
        """Yield the URLs of other objects below the prefix; they are never changed."""
        for one in self._bucket.entries():
            if one.key != MARK and self._path_of_key(one.key) is None:
                yield f"{self._place.name}/{one.key}"

    def shown(self, path: Path) -> str:
        """Return the URL of an object that `files` yielded, or the path of a copy without one."""
        found = self._listed.get(self.digest_at(path) or "")
        return str(path) if found is None else f"{self._place.name}/{found.key}"

    def _path_of_key(self, key: str) -> Path | None:
        path = self.folder / key
        digest = self.digest_at(path)
        return path if digest is not None and key == _key(digest) else None

    def stored_size(self, path: Path) -> int:
        """Return the size of an object, or of a copy without one, that `files` yielded."""
        found = self._listed.get(self.digest_at(path) or "")
        return super().stored_size(path) if found is None else found.size_bytes

    def remove(self, path: Path) -> bool:
        """Remove a copy, and its object unless it is referenced or was saved within a day."""
        digest, is_removed = self.digest_at(path), False
        if digest in self._listed and self.is_old(path):
            begin = time.monotonic()
            row = self._driver.call(_CONDEMN, [digest])
            if row is None:
                return False
            bucket = self._bucket
            if time.monotonic() - begin < _REMOVAL_S / 2:
                is_removed = bucket.remove(_key(digest))
            self._driver.call(_FORGET, [digest, row[0]])
        return super().remove(path) or is_removed

    def remove_leftovers(self) -> None:
        """Remove uploads that were cut off more than a day ago."""
        self._bucket.remove_old_uploads()


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:]}"


def _missing(place: str) -> NotFoundError:
    return NotFoundError(
        f"There is no object {place}.",
        hint="Restore it from a backup of the bucket, or save the same contents again.",
    )


def _damaged(place: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{place} was changed or damaged: its contents have another digest.",
        kept="It was not changed; other contents are not affected.",
        hint="Save the same contents again to repair it, or restore them from a backup.",
    )
