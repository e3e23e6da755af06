"""Deletion, restoration and moves of runs, with their effects, and undo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from runstore.maintenance.usage import freed_by, names_of
from runstore.model.reference import check_experiment_name
from runstore.model.results.deletion import Deletion, Dependent
from runstore.model.run import Run
from runstore.reading.names import (
    IN_TRASH,
    check_experiment,
    children_of,
    each_of,
    readers_of,
    run_name,
    run_named,
    runs_named,
    runs_of,
    the_one,
)
from runstore.storage.trash import InTrash

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.edits import Undone


def delete(
    backend: Backend,
    wanted: object,
    *,
    author: str,
    is_dry: bool,
    is_forced: bool,
) -> Deletion:
    """Move runs to the trash; see `Store.delete`."""
    runs = runs_of(backend, wanted)
    uids = [run.uid for run in runs]
    names = {run.uid: names_of(backend, run.uid, run.reference) for run in runs}
    frees, shared = freed_by(backend, names)
    dependents = tuple(_dependents(backend, runs))
    if not is_dry:
        backend.trash.put(uids, author, is_forced=is_forced)
    return Deletion(runs=runs, frees=frees, shared=shared, dependents=dependents, is_dry=is_dry)


def restore(
    backend: Backend,
    wanted: object,
    *,
    author: str,
) -> tuple[Run, ...]:
    """Restore runs from the trash; see `Store.restore`."""
    lookups = InTrash(backend.database)
    runs = {}
    for name in map(run_name, each_of(wanted)):
        found = the_one(
            runs_named(lookups, name), name, f"the trash of {backend.place}", hint=IN_TRASH
        )
        runs[found.uid] = found
    backend.trash.take_out(runs, author)
    return tuple(run_named(backend, uid) for uid in runs)


def undone(backend: Backend, name: object, author: str, *, is_dry: bool) -> tuple[Undone, ...]:
    """Undo the last edit; see `Store.undo`."""
    uid = None
    if name is not None:
        name = run_name(name)
        found = runs_named(backend.database, name) or runs_named(InTrash(backend.database), name)
        uid = the_one(found, name, backend.place).uid
    if is_dry:
        return tuple(backend.edits.last_operation(author, uid))
    return tuple(backend.edits.undo(author, uid))


def moved(
    backend: Backend,
    wanted: object,
    experiment_name: str,
    author: str,
) -> tuple[Run, ...]:
    """Move runs to another experiment; see `Store.move`."""
    target = check_experiment_name(experiment_name)
    uids = [run.uid for run in runs_of(backend, wanted)]
    backend.moves.move(uids, target, author)
    return tuple(run_named(backend, uid) for uid in uids)


def renamed(backend: Backend, old: str, new: str, author: str, *, is_merge: bool) -> int:
    """Rename an experiment; see `Store.rename_experiment`."""
    check_experiment(backend.database, old, backend.place)
    return backend.moves.rename(old, check_experiment_name(new), author, is_merge=is_merge)


def _dependents(backend: Backend, runs: Iterable[Run]) -> Iterator[Dependent]:
    """Yield the kept runs that depend on a deleted one."""
    deleted = {run.uid: run for run in runs}
    for run in deleted.values():
        for how, others in (
            ("read", readers_of(backend, run.uid)),
            ("inside", children_of(backend, run.uid)),
        ):
            yield from (Dependent(one, how, run) for one in others if one.uid not in deleted)
