"""Which runs answer to a name that a person typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.errors import (
    AmbiguousReferenceError,
    NotFoundError,
    RunNotFoundError,
    UsageError,
)
from runstore.model import arguments
from runstore.model import reference as names
from runstore.model.values import clean_text
from runstore.storage.database import Database
from runstore.storage.lookups import Lookups

if TYPE_CHECKING:
    from runstore.model.run import Run

_CANDIDATES_SHOWN = 10


def run_name(run: object) -> str:
    """Return the name or the uid by which a run is looked up.

    Args:
        run: A run, kept or executed here, or any name of one.

    Raises:
        UsageError: It is neither.
    """
    name = run if isinstance(run, str) else getattr(run, "uid", None)
    if not isinstance(name, str):
        raise UsageError(
            f"Expected a run or its name (such as 'mnist#7'), got {run!r:.60}.",
            hint="List the runs with: runstore ls",
        )
    return clean_text(str.__str__(name))


def each_of(wanted: object) -> tuple[object, ...]:
    """Return runs or their names, of which one may stand alone.

    Raises:
        UsageError: It is neither a run, nor a name, nor several of them.
    """
    if isinstance(wanted, str) or isinstance(getattr(wanted, "uid", None), str):
        return (wanted,)
    if isinstance(wanted, bytes) or not isinstance(wanted, Iterable):
        run_name(wanted)  # the error that names it
        return ()
    return tuple(wanted)


def runs_named(database: Lookups, text: str) -> Sequence[Run]:
    """Return the runs that a name may mean; see `Store.get` for the kinds of names."""
    name = names.parse_run_name(text)
    if isinstance(name, names.Latest):
        newest = database.latest_run()
        return [newest] if newest else []
    if isinstance(name, names.Numbered):
        return database.runs_by_number(name.experiment_name, name.number)
    by_uid = database.run_by_uid(name.text)
    found = [by_uid] if by_uid else database.runs_by_reference(name.text)
    if not found and name.short is not None:
        found = database.runs_by_number(*name.short)
    return found or database.runs_by_prefix(name.text)


def the_one(found: Sequence[Run], name: str, place: Path | str) -> Run:
    """Return the only run found.

    Raises:
        RunNotFoundError: There is none.
        AmbiguousReferenceError: There are several; the error lists them.
    """
    if not found:
        raise RunNotFoundError(
            f"There is no run {name!r} in {place}.",
            hint="List the runs with: runstore ls",
        )
    if len(found) > 1:
        raise _ambiguous(name, found)
    return found[0]


def _ambiguous(name: str, found: Sequence[Run]) -> AmbiguousReferenceError:
    newest = sorted(found, key=lambda run: run.started_at, reverse=True)
    same = len({run.reference for run in newest}) < len(newest)
    shown = tuple(f"{run.reference} ({run.uid})" if same else run.reference for run in newest)
    listed = ", ".join(shown[:_CANDIDATES_SHOWN])
    more = "" if len(shown) <= _CANDIDATES_SHOWN else ", …"
    return AmbiguousReferenceError(
        f"{name!r} may mean several runs: {listed}{more}.",
        candidates=shown,
        hint="Type more of the one you mean.",
    )


def check_experiment(database: Database, name: str, place: Path) -> None:
    """Refuse the name of an experiment that there is not.

    Raises:
        NotFoundError: There is no such experiment; the nearest name is told.
    """
    name = arguments.text(name, "experiment", "mnist")
    known = database.experiment_names()
    if name not in known:
        from runstore.model.display.suggestions import hint_of

        raise NotFoundError(
            f"There is no experiment {name!r} in {place}.", hint=hint_of(name, known, otherwise="")
        )


def author_named(author: object) -> str:
    """Return who makes an edit: the author who is named, else the user of this process.

    Raises:
        UsageError: The author is not a text.
    """
    return arguments.text_or_none(author, "author", "ada") or current_author()


def current_author() -> str:
    """Return the user that edits are signed with."""
    try:
        import getpass

        return clean_text(getpass.getuser())  # of a variable, which may hold any bytes
    except (KeyError, OSError, ImportError):
        return "unknown"
