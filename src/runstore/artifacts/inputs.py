"""Inputs of runs: files, folders, URLs, and artifacts of other runs."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runstore.artifacts.folders import FolderFiles, files_in
from runstore.artifacts.sources import NOT_RECORDED, checked_source, opened, unreadable_source
from runstore.errors import InvalidValueError, StoreError, genuine
from runstore.inflight.deferred import Deferred
from runstore.model import arguments
from runstore.model.artifacts import Artifact, Input
from runstore.model.values import clean_text
from runstore.storage.artifacts import FileFacts
from runstore.storage.backend import Backend
from runstore.storage.database import PATIENCE_S
from runstore.storage.files.objects import hashed
from runstore.storage.rows import from_micros
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn

# A file that changed just now may change again without a new time.
_SETTLED_NS = 2_000_000_000
_NAME_LIMIT = 1024


class Lineage:
    """Records the inputs of the runs of one store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._table = backend.artifacts

    def use(
        self, uid: str, source: Any, name: str | None = None, *, digest: bool | str = True
    ) -> Input:
        """Record data as an input of a run; see `ActiveRun.use`."""
        name = arguments.name_or_none(name, "name", "training data", at_most=_NAME_LIMIT)
        if not isinstance(digest, bool):
            digest = arguments.text(digest, "digest", "e3b0c442…")
        if isinstance(source, Artifact):
            from runstore.storage.trash import reference_of

            owner = reference_of(self._backend.database, source.run_uid)
            used = Input(
                name=name or f"{owner}/{source.path}",
                digest=source.digest,
                size_bytes=source.size_bytes,
                modified_at=source.saved_at,
                location=None,
                source_uid=source.run_uid,
                used_at=datetime.now(timezone.utc),
            )
        else:
            used = self._used_file(uid, arguments.path(source, "source"), name, digest=digest)
        self.note(uid, used)
        return used

    def _used_file(self, uid: str, given: str, name: str | None, *, digest: bool | str) -> Input:
        from runstore.artifacts.masking import masked_location

        if not given:  # as a path it would be the working directory
            raise InvalidValueError("The path is empty.", kept=NOT_RECORDED)
        given_digest = digest if isinstance(digest, str) else None
        size, modified, location = None, None, given
        if "://" not in given:
            found = checked_source(Path(given), is_input=True)
            location = str(found.absolute())
            try:
                if found.is_dir() and (listed := self._files_in(found)).left_out:
                    warn(listed.told(found))
                size, modified_ns = self.extent(found)
                if digest is True:
                    given_digest = with_room(lambda: self.digest_of(found))
            except genuine(OSError) as error:
                raise unreadable_source(found, error, kept=NOT_RECORDED) from error
            modified = from_micros(modified_ns // 1000)
        source = None
        if given_digest:
            with suppress(StoreError):  # if the store cannot be read now, this is skipped
                source = self._table.saved_by(given_digest, but=uid)
        return Input(
            name=masked_location(clean_text(name or given))[:_NAME_LIMIT],
            digest=given_digest,
            size_bytes=size,
            modified_at=modified,
            location=masked_location(clean_text(location)),
            source_uid=source,
            used_at=datetime.now(timezone.utc),
        )

    def _files_in(self, folder: Path) -> FolderFiles:
        # The store changes with every run. To close a file of its database, even once it was only
        # read, would release all locks that this process has on it.
        return files_in(folder, follows=True, without=self._backend.path)

    def extent(self, path: Path) -> tuple[int, int]:
        """Return the size of a file or of all files of a folder, and the last change in ns.

        Raises:
            OSError: It does not exist, or cannot be read.
        """
        if not path.is_dir():
            about = path.stat()
            return about.st_size, about.st_mtime_ns
        found = [file.stat() for _, file in self._files_in(path).files]
        latest = max((one.st_mtime_ns for one in found), default=path.stat().st_mtime_ns)
        return sum(one.st_size for one in found), latest

    def digest_of(
        self, path: Path, may_read: Callable[[int], bool] = lambda _: True
    ) -> str | None:
        """Return the digest of a file, or of a folder's list of files.

        Args:
            path: The file or folder.
            may_read: Called with the size of each new or changed file before it is read; if it
                returns False, there is no digest.
        """
        if not path.is_dir():
            return self._digest_of_file(path, may_read)
        listed = hashlib.sha256()
        for inner, file in self._files_in(path).files:
            digest = self._digest_of_file(file, may_read)
            if digest is None:
                return None
            listed.update(f"{digest} {inner}\n".encode(errors="surrogateescape"))
        return listed.hexdigest()

    def _digest_of_file(self, path: Path, may_read: Callable[[int], bool]) -> str | None:
        """Return a file's digest, reading the file only if it is new or changed."""
        with opened(path) as file:
            about = os.fstat(file.fileno())
            facts = FileFacts(
                about.st_size,
                about.st_mtime_ns,
                f"{about.st_dev}:{about.st_ino}:{about.st_ctime_ns}",
            )
            location = clean_text(str(path.absolute()))
            with suppress(StoreError):
                if known := self._table.digest_of_file(location, facts):
                    return known
            if not may_read(about.st_size):
                return None
            digest, _ = hashed(file)
        is_settled = time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > _SETTLED_NS
        if is_settled and not self._backend.spool.has_kept:
            with suppress(StoreError), self._backend.database.driver.hurried(PATIENCE_S):
                self._table.remember_file(location, facts, digest)
        return digest

    def note(self, uid: str, used: Input) -> None:
        """Record an input of a run, in the spool if the database cannot be written."""
        self._backend.part(Deferred).unless(
            lambda: self._table.put_input(uid, used),
            lambda error: self._backend.part(Deferred).input(uid, used, error),
        )
