"""Slow facts about a run, read in the background: code, packages, hardware.

Runs that wait for the same facts share one reading: a program that starts a thousand runs calls
git a few times, not a thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence

from runstore.capture.surroundings import Surroundings, code_facts, environment_facts
from runstore.errors import genuine
from runstore.model.facts import Facts
from runstore.recording import live_runs
from runstore.recording.recorder import Recorder
from runstore.storage.backend import Backend
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn_in_background
from runstore.value_classes import NamedTuple


class Capture(NamedTuple):
    """The facts to read for a run; `code` are changes that were read before its start."""

    backend: Backend
    uid: str
    quick: Facts
    where: Surroundings
    code: Facts | None

    def is_like(self, other: Capture) -> bool:
        """Check whether the facts of both are the same; both runs have started."""
        return self[2:] == other[2:]

    def do_with(self, alike: Sequence[Capture]) -> None:
        """Read the facts, and store them with this run and similar ones."""
        try:
            with_room(lambda: self._read_for((self, *alike)))
        except genuine(OSError, ImportError) as error:  # no descriptors, or at exit
            warn_in_background(f"Facts about {_name_of(self.uid)} could not be read: {error}")

    def _read_for(self, runs: Sequence[Capture]) -> None:
        facts = environment_facts(self.where)
        if "git.dirty" not in self.quick.values and "git.root" in self.quick.values:
            _keep(runs, facts)  # git is slow here: do not lose the rest
        code = code_facts(self.quick, self.where) if self.code is None else self.code
        _keep(runs, facts.merged(code))


def _keep(captures: Sequence[Capture], facts: Facts) -> None:
    for one in captures:
        what = f"facts about {_name_of(one.uid)}"
        one.backend.part(Recorder).keep_facts(one.uid, facts, what, tell=warn_in_background)


def _name_of(uid: str) -> str:
    """Return the name of a run without reading the database, which may have failed."""
    watched = live_runs.running(uid)
    return f"the run {uid}" if watched is None else watched.reference
