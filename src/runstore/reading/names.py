"""Finding runs by the names that people type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from runstore.errors import (
    AmbiguousReferenceError,
    NotFoundError,
    RunNotFoundError,
    StoreError,
    UsageError,
    quoted,
    shown,
)
from runstore.model import arguments
from runstore.model import reference as names
from runstore.model.values import clean_text
from runstore.storage import statements as sql
from runstore.storage.backend import Backend
from runstore.storage.database import Database
from runstore.storage.stored_runs import Lookups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.reading.source import Source

_CANDIDATES_SHOWN = 10
IN_TRASH = "List the trash with: runstore trash"  # the hint for an unknown name


class RunWaitsError(RunNotFoundError):
    """The run waits on this machine for its server, which has no run of this name."""


def run_name(run: object) -> str:
    """Return the name or the uid to look up a run by.

    Args:
        run: A run, recorded or active, or any name of a run.

    Raises:
        UsageError: The value is neither.
    """
    name = run if isinstance(run, str) else getattr(run, "uid", None)
    if not isinstance(name, str):
        raise UsageError(
            f"Expected a run or its name (such as 'mnist#7'), got {shown(run)}.",
            hint="List the runs with: runstore ls",
        )
    return clean_text(str.__str__(name))


def each_of(wanted: object) -> tuple[object, ...]:
    """Return runs or their names as a list, also for a single one.

    Raises:
        UsageError: The value is not a run or a name, or several of these.
    """
    if isinstance(wanted, str) or isinstance(getattr(wanted, "uid", None), str):
        return (wanted,)
    if isinstance(wanted, bytes) or not isinstance(wanted, Iterable):
        run_name(wanted)  # the error for it
        return ()
    return tuple(wanted)


def runs_named(database: Lookups, text: str) -> Sequence[Run]:
    """Return the runs that match a name; see `Store.get` for the kinds of names."""
    return runs_called(database, text) or _begun(database, text)


def _begun(database: Lookups, text: str) -> Sequence[Run]:
    name = names.parse_run_name(clean_text(text))
    return database.runs_by_prefix(name.text) if isinstance(name, names.Identified) else []


def runs_called(database: Lookups, text: str) -> Sequence[Run]:
    """Return the runs with exactly this name, not those with this prefix."""
    name = names.parse_run_name(clean_text(text))
    if isinstance(name, names.Latest):
        newest = database.latest_run()
        return [newest] if newest else []
    if isinstance(name, names.Numbered):
        return database.runs_by_number(name.experiment_name, name.number)
    if isinstance(name, names.Bare):
        return _numbered_so(database, name.number)
    # Most names are references, and no uid has the form of one.
    found = database.runs_by_reference(name.text) if names.parse_reference(name.text) else []
    if not found:
        by_uid = database.run_by_uid(name.text)
        found = [by_uid] if by_uid else database.runs_by_reference(name.text)
    if not found and name.short is not None:
        found = database.runs_by_number(*name.short)
    if not found and name.number is not None:
        found = _numbered_so(database, name.number)
    return found or _with_ending(database, text)


def _with_ending(database: Lookups, text: str) -> Sequence[Run]:
    """Return the runs of `mnist#7~b456`: with that number, and a uid that ends so."""
    base, ending = names.split_ending(text) or ("", "")
    if not base:
        return []
    name = names.parse_run_name(base)
    if isinstance(name, names.Numbered) and name.number > 0:
        return database.runs_by_number_and_ending(name.experiment_name, name.number, ending)
    return [run for run in runs_called(database, base) if run.uid.endswith(ending)]


def _numbered_so(database: Lookups, number: int) -> list[Run]:
    """Return runs of this number in any experiment; a few if there are many."""
    found: list[Run] = []
    for experiment in database.experiment_names():
        found += database.runs_by_number(experiment, number)
        if len(found) > _CANDIDATES_SHOWN:
            break
    return found


def run_named(backend: Backend, name: object) -> Run:
    """Return the run with this name, as it is now; see `Store.get`.

    Raises:
        RunNotFoundError: No run matches.
        AmbiguousReferenceError: Several runs match; the error lists them.
    """
    from runstore.reading.liveness import settled

    text = run_name(name)
    found = settled(backend, runs_named(backend.database, text))
    if not found and (error := what_became_of(backend, text)):
        raise error
    if not found and backend.server is not None and _waits_here(backend, text):
        raise RunWaitsError(
            f"The run {quoted(text)} waits on this machine; it is not on the server yet.",
            kept=f"To read it, add: --store {backend.path}/waiting",
            hint="If it has ended, deliver it with: runstore push",
        )
    if not found:
        from runstore.reading.near_misses import hint_for_ending, hint_for_run

        base, sign, _ = text.rpartition("~")
        if alike := runs_called(backend.database, base) if sign else ():
            hint = hint_for_ending(backend.database, alike)
        else:
            hint = hint_for_run(backend.database, base if names.has_number(base) else text)
        raise RunNotFoundError(f"There is no run {quoted(text)} in {backend.place}.", hint=hint)
    return with_source(backend, [the_one(found, text, backend.place)])[0]


def _waits_here(backend: Backend, text: str) -> bool:
    """Check whether a run of this name waits on this machine for its server."""
    from runstore.storage.postgres.waiting import WaitingDatabase, is_waiting

    if not is_waiting(backend.path):
        return False
    with suppress(StoreError), WaitingDatabase.opened(backend.path) as database:
        return bool(runs_named(database, text))
    return False


def record_of(backend: Backend, uid: str) -> Run:
    """Return a run, even if it is in the trash.

    Raises:
        RunNotFoundError: The run was permanently deleted.
    """
    try:
        return run_named(backend, uid)
    except RunNotFoundError:
        from runstore.storage.trash import InTrash

        trashed = InTrash(backend.database).run_by_uid(uid)
        if trashed is None:
            raise
        return with_source(backend, [trashed])[0]


def run_of(backend: Backend, run: object) -> Run:
    """Return a run as it was read, or the run with a name; see `run_named`."""
    from runstore.model.run import Run

    return run if isinstance(run, Run) else run_named(backend, run)


def runs_of(backend: Backend, wanted: object) -> tuple[Run, ...]:
    """Return the runs for runs or names, each once; see `run_named`."""
    runs = [run_of(backend, one) for one in each_of(wanted)]
    return tuple({run.uid: run for run in runs}.values())


def kept_run(backend: Backend, uid: str) -> Run:
    """Return a run that was just written.

    Raises:
        RunNotFoundError: The run was deleted meanwhile.
    """
    run = backend.database.run_by_uid(uid)
    if run is None:
        raise RunNotFoundError(f"The run {uid} was deleted meanwhile.")
    return with_source(backend, [run])[0]


def with_source(backend: Backend, runs: Iterable[Run]) -> tuple[Run, ...]:
    """Set the source of newly read runs, so that they can read their data."""
    from runstore.model.run import read_from

    source = source_of(backend)
    return tuple(read_from(run, source) for run in runs)


def source_of(backend: Backend) -> Source:
    """Return what reads the data of runs in a store."""
    from runstore.reading.source import Source

    return backend.part(Source)


def as_now(backend: Backend, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return newly read runs with their current status, and with their source."""
    from runstore.reading.liveness import settled

    return with_source(backend, settled(backend, runs))


def children_of(backend: Backend, uid: str) -> tuple[Run, ...]:
    """Return the child runs of a run, oldest first."""
    return as_now(backend, backend.database.children(uid))


def readers_of(backend: Backend, uid: str) -> tuple[Run, ...]:
    """Return the runs that used artifacts of this run, oldest first."""
    found = [backend.database.run_by_uid(one) for one in backend.artifacts.readers_of(uid)]
    return as_now(backend, [run for run in found if run])


def what_became_of(backend: Backend, name: str) -> RunNotFoundError | None:
    """Return the error for a deleted run, with its state; None if there was no such run."""
    if name == "latest":
        return None
    import shlex

    from runstore.model.display.formatting import local_time
    from runstore.storage.trash import InTrash

    for among, kept, hint in (
        (sql.TRASHED, "It is in the trash.", "Restore it with: runstore restore {}"),
        (sql.PURGED, "It was deleted permanently; only its name is kept.", ""),
    ):
        for run in runs_named(InTrash(backend.database, among), name)[:1]:
            at = "" if run.deleted_at is None else f" on {local_time(run.deleted_at)}"
            return RunNotFoundError(
                f"The run {run.reference} was deleted{at}.",
                kept=kept,
                hint=hint.format(shlex.quote(run.reference)),
            )
    return None


def the_one(
    found: Sequence[Run],
    name: str,
    place: object,
    *,
    hint: str = "List the runs with: runstore ls",
) -> Run:
    """Return the only run found; the hint is for a name without one.

    Raises:
        RunNotFoundError: There is no run.
        AmbiguousReferenceError: There are several runs; the error lists them.
    """
    if not found:
        raise RunNotFoundError(
            f"There is no run {quoted(name)} in {place}.",
            hint=hint,
        )
    if len(found) > 1:
        raise _ambiguous(name, found)
    return found[0]


def _ambiguous(name: str, found: Sequence[Run]) -> AmbiguousReferenceError:
    newest = sorted(found, key=lambda run: run.started_at, reverse=True)
    same = len({run.reference for run in newest}) < len(newest)  # from files of other tools
    shown = tuple(f"{run.reference} ({run.uid})" if same else run.reference for run in newest)
    listed = ", ".join(shown[:_CANDIDATES_SHOWN])
    more = "" if len(shown) <= _CANDIDATES_SHOWN else ", …"
    is_experiment = any(run.experiment_name == name for run in newest)
    return AmbiguousReferenceError(
        f"{name!r} may mean several runs: {listed}{more}.",
        candidates=shown,
        hint=f"For the newest run of {name!r}, use {name}#-1."
        if is_experiment
        else f"Use a longer name, such as {_longer_name(newest)}.",
    )


def _longer_name(runs: Sequence[Run]) -> str:
    """Return the shortest name of the first run that the others do not have."""
    from runstore.model.display.short_names import short_names

    return short_names(runs)[0]


def check_experiment(database: Database, name: str, place: object) -> None:
    """Check that an experiment exists.

    Raises:
        NotFoundError: There is no such experiment; the message suggests the nearest name.
    """
    name = arguments.text(name, "experiment", "mnist")
    known = database.experiment_names()
    if name not in known:
        from runstore.reading.near_misses import hint_for_experiment

        raise NotFoundError(
            f"There is no experiment {quoted(name)} in {place}.",
            hint=hint_for_experiment(name, known),
        )
