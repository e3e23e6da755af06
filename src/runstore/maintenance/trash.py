"""Deleting, restoring and moving runs: what it frees, who will miss them, and taking it back."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.config import RUNS
from runstore.curifactory.sync import refresh_store_json
from runstore.errors import RunNotFoundError
from runstore.model.display.formatting import local_time
from runstore.model.reference import check_experiment_name, folder_name
from runstore.model.results.deletion import Amount, Deletion, Dependent, Freed
from runstore.model.run import Run
from runstore.reading.names import check_experiment, each_of, run_name, runs_named, the_one
from runstore.storage import statements as sql
from runstore.storage.files.safe_files import files_below, folder_at
from runstore.storage.integrity.references import References
from runstore.storage.trash import InTrash

if TYPE_CHECKING:
    from runstore.recording.active import ActiveRun
    from runstore.storage.edits import Undone
    from runstore.store import Store


def delete(
    store: Store,
    wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
    *,
    author: str,
    is_dry: bool,
    is_forced: bool,
) -> Deletion:
    """Put runs into the trash; see `Store.delete`."""
    runs = store.runs_of(wanted)
    uids = [run.uid for run in runs]
    names = {run.uid: names_of(store, run.uid, run.reference) for run in runs}
    frees, shared = freed_by(store, names)
    dependents = tuple(_dependents(store, runs))
    if not is_dry:
        store.trash_table.put(uids, author, is_forced=is_forced)
        refresh_store_json(store)
    return Deletion(runs=runs, frees=frees, shared=shared, dependents=dependents, is_dry=is_dry)


def restore(
    store: Store, wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun], *, author: str
) -> tuple[Run, ...]:
    """Take runs out of the trash; see `Store.restore`."""
    lookups = InTrash(store.database)
    runs = {}
    for name in map(run_name, each_of(wanted)):
        found = the_one(runs_named(lookups, name), name, f"the trash of {store.path}")
        runs[found.uid] = found
    store.trash_table.take_out(runs, author)
    refresh_store_json(store)
    return tuple(store.get(uid) for uid in runs)


def undone(
    store: Store, name: str | Run | ActiveRun | None, author: str, *, is_dry: bool
) -> tuple[Undone, ...]:
    """Take the last edit back; see `Store.undo`."""
    uid = None
    if name is not None:
        name = run_name(name)
        found = runs_named(store.database, name) or runs_named(InTrash(store.database), name)
        uid = the_one(found, name, store.path).uid
    if is_dry:
        return tuple(store.edits.last_operation(author, uid))
    last = store.edits.undo(author, uid)
    refresh_store_json(store)
    return tuple(last)


def moved(
    store: Store,
    wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
    experiment_name: str,
    author: str,
) -> tuple[Run, ...]:
    """Put runs under another experiment; see `Store.move`."""
    target = check_experiment_name(experiment_name)
    uids = [run.uid for run in store.runs_of(wanted)]
    store.moves.move(uids, target, author)
    refresh_store_json(store)
    return tuple(store.get(uid) for uid in uids)


def renamed(store: Store, old: str, new: str, author: str, *, is_merge: bool) -> int:
    """Give an experiment another name; see `Store.rename_experiment`."""
    check_experiment(store.database, old, store.path)
    count = store.moves.rename(old, check_experiment_name(new), author, is_merge=is_merge)
    refresh_store_json(store)
    return count


def reference_of(store: Store, uid: str) -> str:
    """Return the reference of a run, kept, in the trash or removed for good.

    Raises:
        RunNotFoundError: It was never in this store.
    """
    gone = (InTrash(store.database, among) for among in (sql.TRASHED, sql.PURGED))
    for lookups in (store.database, *gone):
        if run := lookups.run_by_uid(uid):
            return run.reference
    raise RunNotFoundError(f"There is no run {uid} in this store.")


def what_became_of(store: Store, name: str) -> RunNotFoundError | None:
    """Return the error that tells what became of a run that is not kept; None if nothing did."""
    if name == "latest":
        return None
    for among, kept, hint in (
        (sql.TRASHED, "It is in the trash.", "To have it back: runstore restore {}"),
        (sql.PURGED, "It was removed for good: only its name is left.", ""),
    ):
        for run in runs_named(InTrash(store.database, among), name)[:1]:
            at = "" if run.deleted_at is None else f" on {local_time(run.deleted_at)}"
            return RunNotFoundError(
                f"The run {run.reference} was deleted{at}.",
                kept=kept,
                hint=hint.format(shlex.quote(run.reference)),
            )
    return None


def _dependents(store: Store, runs: Iterable[Run]) -> Iterator[Dependent]:
    """Yield the runs that are kept and need one of those that are deleted."""
    deleted = {run.uid: run for run in runs}
    for run in deleted.values():
        for how, others in (
            ("read", store.readers_of(run.uid)),
            ("inside", store.children(run.uid)),
        ):
            yield from (Dependent(one, how, run) for one in others if one.uid not in deleted)


# What it frees


def freed_by(store: Store, runs: Mapping[str, Sequence[str]]) -> tuple[Freed, Amount]:
    """Return the files that only these runs need, and contents that others need as well.

    Args:
        store: Where they are.
        runs: The references that each of them has or had, by uid.
    """
    references = References(store.database)
    awaited = digests_in_flight(store)
    going, staying = Amount(), Amount()
    for digest in references.of_runs(runs):
        size_bytes = store.artifacts.objects.size_of(digest)
        size = Amount() if size_bytes is None else Amount(1, size_bytes)
        if digest in awaited or not references.users_of(digest) <= runs.keys():
            staying += size
        else:
            going += size
    folders = {folder for names in runs.values() for folder in folders_named(store, names)}
    return Freed(contents=going, folders=sum(map(amount_in, folders), Amount())), staying


def names_of(store: Store, uid: str, reference: str) -> list[str]:
    """Return the references that a run has or had."""
    return [reference, *store.moves.former_references(uid)]


def digests_in_flight(store: Store) -> set[str]:
    """Return the contents of artifacts that the database did not take yet."""
    return store.spool.awaited_digests()


def folders_named(store: Store, references: Iterable[str]) -> list[Path]:
    """Return the folders of plain files that there are for references."""
    runs, there = store.path / RUNS, []
    with suppress(OSError), folder_at(runs, levels=1) as found:
        for name in map(folder_name, references):
            with suppress(OSError):
                if stat.S_ISDIR(found.entry(name).st_mode):
                    there.append(runs / name)
    return there


def amount_in(folder: Path) -> Amount:
    """Return how many files a run's folder holds, and their size; links count as themselves.

    What cannot be read is left out.
    """
    total = Amount()
    with suppress(OSError), folder_at(folder, levels=2) as found:
        for one in files_below(found):
            total += Amount(1, one.st_size)
    return total
