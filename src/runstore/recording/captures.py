"""What takes long to know of a run: code, packages, hardware; read in the background.

Runs that wait for the same facts get them from one reading: a program that starts a thousand runs
asks git some times, not a thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runstore.capture import Surroundings, code_facts, environment_facts
from runstore.errors import StoreError
from runstore.model.facts import Facts
from runstore.storage.database import Database
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn


class Capture(NamedTuple):
    """A run whose facts are to be read.

    Attributes:
        database: Where they are kept.
        uid: The run.
        quick: What was captured before its start.
        where: Where it started.
        code: Its changes of code, if they were read before its start.
    """

    database: Database
    uid: str
    quick: Facts
    where: Surroundings
    code: Facts | None

    def is_like(self, other: Capture) -> bool:
        """Tell whether the facts of both are the same; both have started by now."""
        return self[2:] == other[2:]

    def do_with(self, alike: Sequence[Capture]) -> None:
        """Read the facts, and keep them with this run and with those that are like it."""
        try:
            with_room(lambda: self._read_for((self, *alike)))
        except (OSError, ImportError) as error:  # no descriptors; or the interpreter is ending
            warn(f"Facts about the run {self.uid} could not be read: {error}")

    def _read_for(self, runs: Sequence[Capture]) -> None:
        facts = environment_facts(self.where)
        if "git.dirty" not in self.quick.values and "git.root" in self.quick.values:
            _keep(runs, facts)  # git is slow here: the rest should not be lost with it
        code = code_facts(self.quick, self.where) if self.code is None else self.code
        _keep(runs, facts.merged(code))


def _keep(captures: Sequence[Capture], facts: Facts) -> None:
    for one in captures:
        try:
            one.database.attach_facts(one.uid, facts)
        except StoreError as error:
            warn(f"Some facts about the run {one.uid} could not be kept: {error}")
