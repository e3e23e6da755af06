"""Look-up of earlier runs before a run starts, and the reaction to the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runstore import background
from runstore.analysis.reruns.distance import Distance
from runstore.analysis.reruns.identity import (
    are_same_sets,
    call_of,
    code_of,
    is_code_read,
)
from runstore.analysis.reruns.inputs import FilesNow
from runstore.analysis.reruns.similarity import kept, likeness, likeness_of_kept
from runstore.analysis.reruns.subjects import ComparedRun, Similar
from runstore.analysis.reruns.texts import done_text, running_text, unchecked_text, untold_text
from runstore.capture.program.command import reads_a_file
from runstore.capture.surroundings import Surroundings, code_facts
from runstore.errors import AlreadyRanError, AlreadyRanWarning, UsageError
from runstore.model.code.documents import CODE_DOCUMENTS
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.once import once
from runstore.model.params.parameter_set import ParameterSet, has_values, lowest_hash
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.reading.names import as_now
from runstore.storage.prior_runs import EarlierRuns, PriorRun, Sought
from runstore.storage.rows import to_micros
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.config import IfDone
    from runstore.storage.backend import Backend

# Of earlier runs with the same parameters and code so many of the newest are looked at.
_LOOKED_AT = 20
# Runs of each kind among which the nearest is looked for.
_NEAR_AT_MOST = 100


class Earlier:
    """The earlier runs of a run that is about to start.

    Looked up at the time it was asked for; `nearest` when it is used first.

    Attributes:
        code: Facts from git about the code beyond the commit; None if git was not asked.
        running: A run that is doing the same now, elsewhere; None if `same` is known.
        unknown: The reason if no run can be known to be the same, as part of a sentence; empty
            otherwise.
    """

    def __init__(
        self, backend: Backend, planned: ComparedRun, code: Facts | None, *, exactly: bool
    ) -> None:
        self._backend = backend
        self._planned = planned
        self._exactly = exactly
        run = planned.run
        # Without parameters nothing identifies the runs of one program: they may be a loop.
        self._is_loop = "command.arguments" in run.facts.values and not has_values(
            run.parameter_sets
        )
        self._at = planned.run.started_at
        self._files = FilesNow(backend)
        self.code = code
        self.unknown = _unknown(planned, exactly=exactly)
        self._sought = None if self.unknown else _sought(planned)
        self.found = self._same()
        self.running = None if self.found else self._running()

    def __repr__(self) -> str:
        return f"<Earlier same={self.same!r} running={self.running!r}>"

    @property
    def same(self) -> Run | None:
        """The newest complete run with the same parameters, code and inputs."""
        return self.found.run if self.found else None

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Inputs of that run that cannot be checked, such as URLs."""
        return self.found.unchecked if self.found else ()

    def _same(self) -> Similar | None:
        if self._sought is None:
            return None
        from runstore.capture.machine.process import current_process

        this = current_process()
        for row_id in EarlierRuns(self._backend.database).done(self._sought, _LOOKED_AT):
            for run in self._captured(row_id, this):
                if self._is_loop and run.process == this:
                    continue
                if are_same_sets(run.parameter_sets, self._planned.run.parameter_sets):
                    found = self._likeness(run)
                    if found.is_same:
                        return found
        return None

    def _captured(self, row_id: int, this: ProcessIdentity) -> list[Run]:
        """Return a run; one of this process once all that is captured of it is written."""
        found = self._runs([row_id])
        if all(is_code_read(run.facts) or run.process != this for run in found):
            return found
        background.wait_until_done()
        return self._runs([row_id])

    def _running(self) -> Run | None:
        if self._sought is None:
            return None
        from runstore.capture.machine.process import current_process

        ids = EarlierRuns(self._backend.database).unfinished(self._sought, _LOOKED_AT)
        for run in as_now(self._backend, self._runs(ids)):
            # A run that this process executes is one that this code knows of.
            if run.status.is_final or run.process == current_process():
                continue
            if self._likeness(run).is_same:
                return run
        return None

    @once
    def nearest(self) -> Similar | None:
        """The nearest earlier run with its differences; None if the experiment is new.

        The one with parameters that differ in the fewest values; among equals one of the same
        commit, then a complete one, then the newest.
        """
        if self.found:
            return self.found
        runs = _nearest(self._backend, self._planned.run, before=self._at, limit=1)
        return self._likeness(runs[0]) if runs else None

    def compared_with(self, run: Run) -> Similar:
        """Return the differences between an earlier run and the one about to start."""
        return self._likeness(run)

    def _likeness(self, run: Run) -> Similar:
        old = kept(self._backend, run)
        return likeness(self._backend, old, self._planned, self._files, exactly=self._exactly)

    def _runs(self, ids: Sequence[int]) -> list[Run]:
        return _read(self._backend, ids)


def look_up(
    backend: Backend,
    experiment_name: str,
    sets: tuple[ParameterSet, ...],
    facts: Facts,
    *,
    exactly: bool,
    where: Surroundings | None,
) -> Earlier:
    """Return the earlier runs.

    Args:
        backend: The store.
        experiment_name: Of the run that is about to start.
        sets: Its parameter sets.
        facts: Facts of `quick_facts`.
        exactly: Whether all of the command counts, or its program alone.
        where: Its surroundings; None if nothing is captured.

    Raises:
        UsageError: Nothing was captured.
    """
    if where is None:
        raise UsageError(
            "With capture=False the code is unknown, so earlier runs cannot be recognized.",
            kept="Nothing was started.",
            hint="Leave out capture=False, or if_done.",
        )
    code = None
    if "git.root" in facts.values:
        code = code_facts(facts, where)
        facts = facts.merged(code)
    planned = Run(
        uid="",
        experiment_name=experiment_name,
        run_number=0,
        reference=experiment_name,
        timestamp="",
        status=Status.QUEUED,
        started_at=datetime.now(timezone.utc),
        parameter_sets=sets,
        commit=_text(facts.values.get("git.commit")),
        workdir_dirty=bool(facts.values.get("git.dirty")),
        facts=facts,
    )
    hashes = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in facts.documents.items()
    }
    return Earlier(
        backend,
        ComparedRun(planned, hashes, facts.documents.get),
        code,
        exactly=exactly,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _unknown(planned: ComparedRun, *, exactly: bool) -> str:
    """Return the reason if no run can be the same as this one; empty otherwise."""
    code = code_of(planned.run.commit, planned.run.facts, planned.documents)
    if code.problem:
        return f"the code is not known: {code.problem}"
    call = call_of(planned.run.facts)
    if exactly:
        if reads_a_file():
            return "standard input is a file, which was not compared"
        if call.arguments is None:
            why = planned.run.facts.unknown.get("command.arguments")
            return "the arguments are not known" + (f": {why}" if why else "")
        return ""
    return "" if call.program else "which program runs is not known"


def _sought(planned: ComparedRun) -> Sought | None:
    """Return the subject of the look-up; None without a commit."""
    run = planned.run
    if run.commit is None:
        return None
    documents = (planned.documents.get(name, "") for name in CODE_DOCUMENTS)
    return Sought(run.experiment_name, lowest_hash(run.parameter_sets), run.commit, *documents)


def stop_or_warn(earlier: Earlier, if_done: IfDone) -> None:
    """Report the same run, or refuse to run it again.

    Raises:
        AlreadyRanError: The same was run before, and is to be skipped, or is an error.
    """
    if earlier.same is None:
        if earlier.running is not None:
            warn(f"{running_text(earlier.running)} This one runs as well.", AlreadyRanWarning)
        elif earlier.unknown and if_done != "warn":
            # A program that skips finished runs would wait in vain.
            warn(untold_text(earlier.unknown), AlreadyRanWarning)
        return
    text = f"{done_text(earlier.same)} {unchecked_text(earlier.unchecked)}".strip()
    if if_done == "warn":
        warn(f"{text} It is run again.", AlreadyRanWarning)
    else:
        again = "To run it again, pass if_done='run', or --if-done run on the command line."
        go_on = "To continue with the next configuration, catch runstore.AlreadyRanError. "
        raise AlreadyRanError(
            text,
            run=earlier.same,
            kept="Nothing was started.",
            hint=go_on + again if if_done == "skip" else again,
        )


def similar(backend: Backend, run: Run, limit: int) -> tuple[Similar, ...]:
    """Return the runs of an experiment that are nearest to one of its runs, nearest first."""
    new = kept(backend, run)
    found = _nearest(backend, run, before=None, limit=limit)
    return tuple(likeness_of_kept(backend, kept(backend, one), new) for one in found)


def _nearest(backend: Backend, run: Run, *, before: datetime | None, limit: int) -> list[Run]:
    distance = Distance(run.parameter_sets)
    candidates = EarlierRuns(backend.database).candidates(
        run.experiment_name, run.parameter_sets, _NEAR_AT_MOST
    )
    latest = None if before is None else to_micros(before)

    def rank(one: PriorRun) -> tuple[int, bool, bool, int]:
        is_other_commit = run.commit is None or one.commit != run.commit
        is_done = one.status == Status.COMPLETE
        return distance.to(one.sets), is_other_commit, not is_done, -one.started_at

    ranked = sorted(
        (one for one in candidates if latest is None or one.started_at < latest), key=rank
    )
    # One more, for the run itself is among its own neighbours.
    runs = _read(backend, [one.id for one in ranked[: limit + 1]])
    return [one for one in runs if one.uid != run.uid][:limit]


def _read(backend: Backend, ids: Iterable[int]) -> list[Run]:
    return list(as_now(backend, list(backend.database.runs_by_id(list(ids)).values())))
