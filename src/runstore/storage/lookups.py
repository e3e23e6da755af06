"""Lookup of runs by uid, reference, number or prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runstore.storage import statements as sql

if TYPE_CHECKING:
    from runstore.model.run import Run

_MANY = 20  # matches of a prefix that are listed; more are only counted
AFTER_ANY_TEXT = "\U0010ffff"
AFTER_TILDE = "\x7f"


class Lookups:
    """Lookup of runs by name.

    Attributes:
        among: SQL condition of the runs to search: kept, trashed or purged.
    """

    among = sql.KEPT

    def select_runs(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        """Return the runs of a statement that selects `RUN_COLUMNS`."""
        raise NotImplementedError

    def experiment_names(self) -> list[str]:
        """Return the name of every experiment, in alphabetical order."""
        raise NotImplementedError

    def _found(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        if self.among is not sql.KEPT:
            statement = statement.replace(sql.KEPT, self.among)
        return self.select_runs(statement, parameters)

    def run_by_uid(self, uid: str) -> Run | None:
        """Return the run, or None."""
        found = self._found(sql.RUN_BY_UID, {"uid": uid})
        return found[0] if found else None

    def runs_by_reference(self, reference: str) -> list[Run]:
        """Return runs with this current or former reference; 21 at most."""
        parameters = {"reference": reference}
        shared = {"begin": f"{reference}~", "end": f"{reference}{AFTER_TILDE}"}
        return (
            self._found(sql.RUNS_BY_REFERENCE, parameters)
            or self._found(sql.RUNS_SHARING_REFERENCE, shared)
            or self._found(sql.RUNS_BY_ALIAS, parameters)
        )

    def runs_by_number_and_ending(
        self, experiment_name: str, number: int, ending: str
    ) -> list[Run]:
        """Return runs with this number, now or formerly, whose uid ends with these digits."""
        named = {"experiment": experiment_name, "number": number, "ending": f"%{ending}"}
        return self._found(sql.RUNS_BY_NUMBER_AND_ENDING, named) or [
            run for run in self._moved(experiment_name, number) if run.uid.endswith(ending)
        ]

    def runs_by_number(self, experiment_name: str, number: int) -> list[Run]:
        """Return runs with this number; negative numbers count from the newest, -1.

        If the experiment has no such run, return a run that had the number before it was moved.
        """
        if number < 0:
            parameters = {"experiment": experiment_name, "back": -number - 1}
            return self._found(sql.RUN_FROM_END, parameters)
        named = {"experiment": experiment_name, "number": number}
        return self._found(sql.RUNS_BY_NUMBER, named) or self._moved(experiment_name, number)

    def _moved(self, experiment_name: str, number: int) -> list[Run]:
        """Return runs that had this number before they were moved."""
        begin = f"{experiment_name}_{number}_"
        bounds = {"begin": begin, "end": begin + AFTER_ANY_TEXT}
        found = self._found(sql.RUNS_BY_ALIAS_PREFIX, bounds)
        return list({run.uid: run for run in found}.values())  # a run may have had several names

    def run_beside(self, run: Run, *, is_before: bool) -> Run | None:
        """Return the run with the next lower or higher number in the same experiment."""
        named = {"experiment": run.experiment_name, "number": run.run_number}
        found = self._found(sql.RUN_BEFORE_NUMBER if is_before else sql.RUN_AFTER_NUMBER, named)
        return found[0] if found else None

    def runs_by_prefix(self, prefix: str) -> list[Run]:
        """Return runs by a prefix of reference or uid; the newest if there are many."""
        bounds = {"begin": prefix, "end": prefix + AFTER_ANY_TEXT}
        found = self._found(sql.RUNS_BY_REFERENCE_PREFIX, bounds)
        if len(found) > _MANY:
            recent = self._found(sql.RECENT_RUNS_BY_PREFIX, bounds)
            found = recent if len(recent) > 1 else found
        return found or self._found(sql.RUNS_BY_UID_PREFIX, bounds)

    def latest_run(self) -> Run | None:
        """Return the newest run, or None."""
        found = self._found(sql.LATEST_RUN, {})
        return found[0] if found else None
