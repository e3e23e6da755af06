"""Copying the folders of plain files that runs of full stores have."""

from __future__ import annotations

from pathlib import Path

from runstore.errors import StoreUnavailableError, genuine
from runstore.maintenance.copying import UNFINISHED, copy_tree
from runstore.maintenance.usage import amount_in, folders_named
from runstore.model.reference import folder_name
from runstore.model.results.deletion import Amount
from runstore.storage.backend import RUNS, Backend
from runstore.storage.files.safe_files import folder_at, make_folder
from runstore.storage.files.unfinished import UnfinishedFolder
from runstore.storage.sqlite.paths import sync_folder
from runstore.storage.transfer.records import references_of


def copy_run_folder(
    source: Backend, target: Backend, uid: str, *, removes_others: bool = True
) -> Amount:
    """Copy the folder of a run to another store, completely or not at all; durable on return.

    Links, pipes and devices in it are skipped with a warning.

    Args:
        source: The store of the run.
        target: The other store.
        uid: The uid of the run.
        removes_others: Whether folders of killed processes are removed, which lists all folders.

    Returns:
        The copied files; none if there is no folder, or the other store has one.

    Raises:
        StoreUnavailableError: The folder could not be written.
    """
    found = folders_named(source, _references(source, uid))
    names = _references(target, uid) if found else []
    if not names or folders_named(target, names):
        return Amount()
    runs = target.path / RUNS
    try:
        make_folder(runs, levels=1)
        with UnfinishedFolder(runs, UNFINISHED, removes_others=removes_others) as aside:
            with folder_at(Path(source.home, RUNS), levels=1) as folders:
                copy_tree(folders, found[0].name, aside.path)
            copied = runs / folder_name(names[0])
            (aside.path / found[0].name).rename(copied)
        sync_folder(runs)
    except genuine(OSError) as error:
        why = error.strerror or error
        raise StoreUnavailableError(
            f"The folder {found[0].name} could not be copied to {runs}: {why}.",
            kept="The run itself was transferred.",
            hint="Repeat the transfer to continue.",
        ) from error
    return amount_in(copied)


def _references(backend: Backend, uid: str) -> list[str]:
    with backend.database.driver.read() as connection:
        return references_of(connection, uid)
