"""Runs by what people call them: uid, reference, number, the beginning of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runstore.storage import statements as sql

if TYPE_CHECKING:
    from runstore.model.run import Run

_MANY = 20  # matches of a prefix, beyond which only some are told
AFTER_ANY_TEXT = "\U0010ffff"


class Lookups:
    """Finds runs by name.

    Attributes:
        among: The condition of the runs that are looked through: kept, trashed or purged.
    """

    among = sql.KEPT

    def select_runs(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        """Return the runs of one of the statements that select `RUN_COLUMNS`."""
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
        """Return runs of this reference, of today or from before a move; 21 at most."""
        parameters = {"reference": reference}
        return self._found(sql.RUNS_BY_REFERENCE, parameters) or self._found(
            sql.RUNS_BY_ALIAS, parameters
        )

    def runs_by_number(self, experiment_name: str, number: int) -> list[Run]:
        """Return runs of this number; a negative one counts from the newest, -1.

        Where the experiment has none, a run that had the number there before it was moved.
        """
        if number < 0:
            parameters = {"experiment": experiment_name, "back": -number - 1}
            return self._found(sql.RUN_FROM_END, parameters)
        named = {"experiment": experiment_name, "number": number}
        begin = f"{experiment_name}_{number}_"
        bounds = {"begin": begin, "end": begin + AFTER_ANY_TEXT}
        return self._found(sql.RUNS_BY_NUMBER, named) or self._found(
            sql.RUNS_BY_ALIAS_PREFIX, bounds
        )

    def run_beside(self, run: Run, *, is_before: bool) -> Run | None:
        """Return the run with the next lower or higher number in a run's experiment."""
        named = {"experiment": run.experiment_name, "number": run.run_number}
        found = self._found(sql.RUN_BEFORE_NUMBER if is_before else sql.RUN_AFTER_NUMBER, named)
        return found[0] if found else None

    def runs_by_prefix(self, prefix: str) -> list[Run]:
        """Return runs whose reference or uid begins so, the newest where there are many."""
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
