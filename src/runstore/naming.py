"""Which runs answer to a name that a person typed."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path

from runstore.errors import AmbiguousReferenceError, NotFoundError, RunNotFoundError
from runstore.model import reference as names
from runstore.model.run import Run
from runstore.model.values import clean_text
from runstore.storage.database import Database
from runstore.storage.lookups import Lookups

_CANDIDATES_SHOWN = 10


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
    known = database.experiment_names()
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        raise NotFoundError(
            f"There is no experiment {name!r} in {place}.",
            hint=f"Did you mean {close[0]!r}?" if close else "",
        )


def current_author() -> str:
    """Return the user that edits are signed with."""
    try:
        return clean_text(getpass.getuser())  # of a variable, which may hold any bytes
    except (KeyError, OSError, ImportError):
        return "unknown"
