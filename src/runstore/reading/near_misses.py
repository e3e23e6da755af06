"""Hints about names of runs and experiments that the store does not have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from runstore.model import reference as names
from runstore.model.display.short_names import distinct_names
from runstore.model.display.suggestions import hint_of, nearest, some_of
from runstore.model.query.tree import Namespace
from runstore.model.status import STATUS_WORDS, Status
from runstore.model.values import clean_text
from runstore.storage.database import Database
from runstore.storage.metrics.bests import has_metric
from runstore.storage.query.names import StoredNames

if TYPE_CHECKING:
    from runstore.model.run import Run

_LIST = "List the runs with: runstore ls"
_FIELDS = ("params.", "metrics.", "tags.")
# Other programs' words for the newest run.
_NEWEST = frozenset({"last", "newest", "recent", "head", "current", "@"})
_NUMBER = re.compile(r"[0-9]{1,18}")  # both engines have integers of 64 bits


def hint_for_run(database: Database, text: str) -> str:
    """Return a hint with the likely run for a wrong name, or the command to list runs."""
    if (
        hint := _of_newest(text)
        or _of_field(text)
        or _of_place(text)
        or _of_metric(database, text)
    ):
        return hint
    name = names.parse_run_name(clean_text(text))
    known = database.experiment_names()
    if isinstance(name, names.Numbered):
        return _of_number(database, name.experiment_name, known) or _LIST
    if isinstance(name, names.Identified):
        parts = names.parse_reference(text) or name.short
        experiment = text if parts is None else parts[0]
        if parts is not None or text in known:
            return _of_number(database, experiment, known) or _LIST
        for experiment, number in _numbered(text, known):
            if runs := database.runs_by_number(experiment, number):
                (called,) = distinct_names(runs[:1], database.namesakes([runs[0].uid]))
                return f"Did you mean {called!r}?"
        if near := nearest(text, known):
            return f"Did you mean the newest run of {near!r}, {near}#-1?"
    return _LIST


def _numbered(text: str, known: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield the experiments and numbers that a name such as `mnist7` or `mnist-7` may mean."""
    for name in known:
        number = text.removeprefix(name).lstrip("-: /")
        if text.startswith(name) and _NUMBER.fullmatch(number):
            yield name, int(number)


def _of_newest(text: str) -> str:
    """Return a hint for a word for the newest run, which is only missing if there is no run."""
    if text == names.LATEST:
        return "There are no runs yet; record one with: runstore exec -- COMMAND"
    return "The newest run is called: latest" if text.lower() in _NEWEST else ""


def hint_for_ending(database: Database, alike: Sequence[Run]) -> str:
    """Return the names of the runs with the name before the `~` of a wrong `mnist#7~b456`."""
    called = distinct_names(alike, database.namesakes([run.uid for run in alike]))
    if len(alike) > 1:
        return f"Did you mean one of {some_of(called)}?"
    return f"The uid of {called[0]} ends with {alike[0].uid[-4:]!r}."


def _of_number(database: Database, experiment: str, known: Collection[str]) -> str:
    """Return a hint for a number that an experiment does not have."""
    if experiment not in known:
        near = nearest(experiment, known)
        return f"There is no experiment {experiment!r}. Did you mean {near!r}?" if near else ""
    newest = database.runs_by_number(experiment, -1)
    if not newest:
        return f"All runs of {experiment!r} were deleted, moved or renamed."
    (called,) = distinct_names(newest, database.namesakes([newest[0].uid]))
    return f"The newest run of {experiment!r} is {called}."


def hint_for_experiment(name: str, known: Collection[str]) -> str:
    """Return a hint with the likely experiment or filter for a wrong name."""
    word = name.lower()
    status = STATUS_WORDS.get(word, word)
    if status in list(Status):
        return f"For a status, write the filter: 'status = {status}'"
    return _of_field(name) or _of_place(name) or hint_of(name, known, most=10)


def _of_field(name: str) -> str:
    """Return how to write a filter, if a name is the beginning of one without quotes."""
    if not name.startswith(_FIELDS):
        return ""
    if " " in name:
        return f"For a filter: store.find({name!r})"
    is_present = f"'{name} is not missing'"
    if name.startswith("tags."):
        return f"Put a filter in quotes: {is_present}"
    return f"Put a filter in quotes: '{name} > 0.1' or {is_present}"


def _of_place(name: str) -> str:
    """Return how to name a store, if a name is the path of a folder."""
    is_path = name in {".", ".."} or name.startswith(("/", "./", "../", "~/"))
    return f"To use the store of a folder, write: --store {quote(name)}" if is_path else ""


def _of_metric(database: Database, name: str) -> str:
    """Return how to name a metric, if a name is one."""
    if has_metric(database, name):
        return f"{name!r} is a metric; name it with an option: -m {quote(name)}"
    names = StoredNames(database.driver).every(Namespace.METRIC)
    alike = [key for key in names if key.endswith(f"/{name}")]
    if len(alike) == 1:
        return f"{alike[0]!r} is a metric; name it with an option: -m {quote(alike[0])}"
    return f"Metrics are named with an option, such as -m: {some_of(alike)}" if alike else ""
