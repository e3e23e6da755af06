"""The `store.json` files of a store.

A store in a folder has one, beside its database. A store on a server has one in each folder that
`ManagerStore` is used with, on any machine; each machine knows its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runstore.errors import UsageError, suppressed
from runstore.location import SERVER_NOTE, make_folder
from runstore.storage.backend import LISTS, STORE_JSON, Backend
from runstore.storage.blocks import BlockTable
from runstore.storage.files.safe_files import write_whole
from runstore.store_json.sync import BlockSync

_NAME_LENGTH = 16


class Lists:
    """The `store.json` files of one store on this machine; see `Backend.part`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._table = BlockTable(backend.database)
        self._known: dict[Path, BlockSync] = {}

    def every(self) -> Iterator[BlockSync]:
        """Yield the synchronisation of each file that exists."""
        for folder in self.folders():
            if (folder / STORE_JSON).exists():
                yield self._at(folder)

    def of_folder(self, folder: Path) -> BlockSync:
        """Return the synchronisation of the file in a folder, which may not exist yet.

        From now on, the file is updated after each change of the store.

        Raises:
            StoreUnavailableError: The folder cannot be created.
            UsageError: The file in the folder belongs to a store on another server.
        """
        sync = self._at(folder)
        if self._backend.server is not None:
            make_folder(folder)
            self._check_is_ours(sync)
            with suppressed(OSError):  # no file can be written there
                self._register(folder, f"{self._backend.server.shown}\n")
        return sync

    def _at(self, folder: Path) -> BlockSync:
        if self._backend.server is None:
            return self._known.setdefault(folder, BlockSync(folder, self._table))
        sync = BlockSync(folder, self._table, is_apart=True, waiting=self._waiting)
        return self._known.setdefault(folder, sync)

    def _waiting(self) -> set[str]:
        from runstore.storage.postgres.waiting import waiting_references

        return waiting_references(self._backend.path)

    def folders(self) -> list[Path]:
        """Return the folders that may have a file."""
        if self._backend.server is None:
            return [self._backend.path]
        with suppressed(OSError):
            return sorted(link.readlink() for link in (self._backend.path / LISTS).iterdir())
        return []

    def _check_is_ours(self, sync: BlockSync) -> None:
        """Raise an error before the runs of one server are added to another one."""
        if not sync.is_of_another_database():
            return
        with suppressed(OSError):
            other = (sync.folder / SERVER_NOTE).read_text(encoding="utf-8").strip()
            raise UsageError(
                f"{sync.path} belongs to {other}, not to {self._backend.place}.",
                kept="Nothing was changed.",
                hint=f"Use another folder. To add its runs to this store, delete {SERVER_NOTE}.",
            )

    def _register(self, folder: Path, note: str) -> None:
        path = folder / SERVER_NOTE
        if not path.exists() or path.read_text(encoding="utf-8") != note:
            write_whole(path, note, levels=0)
        links = self._backend.path / LISTS
        links.mkdir(mode=0o700, exist_ok=True)
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:_NAME_LENGTH]
        with suppress(FileExistsError):
            (links / name).symlink_to(folder)


def refresh_lists(backend: Backend, but: BlockSync | None = None) -> None:
    """Update each `store.json` of a store on this machine, but one; does not raise."""
    for sync in backend.part(Lists).every():
        if sync is not but:
            sync.follow()
