"""Starting a run: validation, capture and writing, in this order."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from importlib import import_module

from runstore import background, current
from runstore.capture.machine.process import current_process
from runstore.capture.program.command import command_line
from runstore.config import checked_if_done
from runstore.errors import ConflictError, RunstoreError, UsageError, genuine, shown
from runstore.inflight import take_in
from runstore.model import arguments
from runstore.model import reference as names
from runstore.model.facts import Facts
from runstore.model.params.build import parameter_set, parameter_sets
from runstore.model.status import Status
from runstore.model.values import check_text
from runstore.recording import live_runs
from runstore.recording.active import ActiveRun
from runstore.recording.execution import StartedRun
from runstore.recording.readiness import CAPTURE, NAMES, be_ready
from runstore.recording.recorder import Recorder
from runstore.recording.request import StartRequest, checked_command
from runstore.storage.backend import Backend
from runstore.storage.new_runs import NewRun
from runstore.storage.rows import from_micros, now_micros
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import afterwards, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.analysis.reruns.lookup import Earlier
    from runstore.capture.surroundings import Surroundings
    from runstore.model.params.parameter_set import ParameterSet

# The tag with the display name of a run.
NAME = "name"
_NO_FACTS = Facts()
# Looked up once, because the lookup of a missing variable takes long.
_IS_OF_COMMAND = current.COMMAND_VARIABLE in os.environ


def start(backend: Backend, asked: StartRequest, store: Any) -> ActiveRun:
    """Start a run; see `Store.start`."""
    name = names.check_experiment_name(asked.experiment_name)
    tag_names: dict[str, str] = {}
    sets, tags = _sets_of(asked), tags_of(asked, tag_names)
    notes, cli = check_text(asked.notes, "notes"), check_text(asked.cli, "cli")
    parent_uid = _parent_uid(backend, asked.parent, name)
    if asked.argv is not None:
        asked = asked._replace(argv=checked_command(asked.argv))
    _make(backend)
    where, facts = _quick_facts(backend, asked)
    earlier = None
    if asked.if_done != "run" and current.AGAIN_VARIABLE not in os.environ:
        checked_if_done(asked.if_done)
        earlier = _not_done_before(backend, asked, sets, facts, where)
    loading = None if where is None or asked.is_other_process else where.loading(facts)
    if loading is not None:
        facts = facts.merged(loading.facts)
    started_at = now_micros()
    new = NewRun(
        uid=asked.uid or names.new_uid(),
        experiment_name=name,
        status=Status.LIVE if asked.live else Status.RUNNING,
        started_at=started_at,
        timestamp=names.local_timestamp(started_at),
        parameter_sets=sets,
        parent_uid=parent_uid,
        notes=notes,
        cli=command_line(cli, asked.argv),
        full_store=asked.full_store,
        process=current_process(),
        facts=facts,
        tags=tags,
    )
    try:
        # Once it exists, its end is ensured, even if a warning is an error.
        with afterwards(), live_runs.Beginning():
            run = _taken_over(backend, new, asked, store)
            if run is None:
                number, reference = backend.database.start_run(new)
                run = ActiveRun(backend, _started_run(new, number, reference), store=store)
        run.earlier = earlier
        execution = run.execution
        execution.tag_names = tag_names
        execution.is_first, backend.is_fresh = backend.is_fresh, False
        execution.lineage |= current.lineage_of(parent_uid)
        execution.loading = loading
        if run.uid != new.uid:
            new = new._replace(uid=run.uid)
        if _is_filled_later(asked.params):
            execution.params_to_come = asked.params
        if asked.capture and asked.argv is None and "IPython" in sys.modules:
            backend.part(Recorder).keep_cells(new.uid)
            execution.has_cells = True
        if where is not None:
            _capture_later(backend, new.uid, facts, where, earlier.code if earlier else None)
    except BaseException as error:  # of a signal handler, or any other
        end_unreturned(backend, new.uid, error)
        raise
    return run


def _is_filled_later(params: Any) -> bool:
    """Check whether parameters are an empty mapping, which the program fills after the start."""
    is_mapping = type(params) is dict or isinstance(params, MutableMapping)
    return is_mapping and not params


def _make(backend: Backend) -> None:
    """Create the store if it is missing."""
    backend.make()
    if backend.is_fresh:
        take_in(backend)  # a spool may be older than its database


def _sets_of(asked: StartRequest) -> tuple[ParameterSet, ...]:
    """Return the parameter sets of a run, with its seed in each.

    Raises:
        UsageError: A set already has a different seed.
    """
    sets, seed = parameter_sets(asked.params), asked.seed
    if seed is None:
        return sets
    from runstore.model.params.added import with_added

    added = parameter_set({"seed": seed})
    try:
        return tuple(with_added((one,), added, None)[0] for one in sets) or (added,)
    except ConflictError as error:
        raise UsageError(
            f"seed={shown(seed)} and params disagree: {error.what}",
            kept="No run was recorded.",
            hint="Pass the seed once.",
        ) from None


def tags_of(asked: StartRequest, tag_names: dict[str, str]) -> dict[str, str]:
    """Return the initial tags of a run, including its name; see `masked_tags` for the names."""
    if asked.tags is None and asked.name is None:
        return {}
    from runstore.artifacts.masking import tags_to_keep

    tags = {} if asked.tags is None else tags_to_keep(asked.tags, tag_names)
    if asked.name is not None:
        own = {NAME: arguments.text(asked.name, "name", "baseline")}
        tags |= tags_to_keep(own, tag_names)
    return tags


def end_unreturned(backend: Backend, uid: str, error: BaseException) -> None:
    """Write the end of a run that is not returned, because an exception interrupted its start.

    It can be any exception of a signal handler. If the store rejected the run, there is no run.
    """
    with live_runs.Undisturbed(), suppress(RunstoreError):
        watched = live_runs.running(uid)
        if watched is not None:
            watched.end_with_process(error)
        elif not isinstance(error, RunstoreError):
            kept = backend.database.run_by_uid(uid)
            if kept and not kept.status.is_final and kept.process == current_process():
                ActiveRun(backend, kept).execution.end_by(error)


def _capture_later(
    backend: Backend, uid: str, facts: Facts, where: Surroundings, code: Facts | None
) -> None:
    """Read the rest in the background; a failure does not affect the run."""
    try:
        with_room(lambda: import_module("runstore.recording.captures"))
        from runstore.recording.captures import Capture

        background.do_later(Capture(backend, uid, facts, where, code))
    except genuine(OSError, ImportError) as error:  # no descriptors, or the interpreter is ending
        warn(f"Facts about the run {uid} could not be read: {error}")


def _quick_facts(backend: Backend, asked: StartRequest) -> tuple[Surroundings | None, Facts]:
    """Return the surroundings and the quick facts of a new run; empty without capture."""
    if not asked.capture:
        return None, _NO_FACTS
    be_ready(CAPTURE)
    from runstore.capture.surroundings import Surroundings, quick_facts

    where = Surroundings.here(
        argv=asked.argv, store=backend.path, is_other_process=asked.is_other_process
    )
    return where, quick_facts(where, argv=asked.argv)


def _not_done_before(
    backend: Backend,
    asked: StartRequest,
    sets: tuple[ParameterSet, ...],
    facts: Facts,
    where: Surroundings | None,
) -> Earlier:
    """Return the earlier runs of the same work.

    Raises:
        AlreadyRanError: The same was run before, and must not be repeated.
    """
    from runstore.analysis.reruns.lookup import look_up, stop_or_warn
    from runstore.model.params.parameter_set import has_values

    # A script that records no parameters has them on its command line.
    exactly = not (asked.is_told_by_params or (asked.argv is None and has_values(sets)))
    earlier = look_up(backend, asked.experiment_name, sets, facts, exactly=exactly, where=where)
    stop_or_warn(earlier, asked.if_done)
    return earlier


def _parent_uid(backend: Backend, parent: Any, experiment_name: str) -> str | None:
    if parent is not None:
        be_ready(NAMES)
        from runstore.reading.names import run_name, run_named

        return run_named(backend, parent).uid if isinstance(parent, str) else run_name(parent)
    around = current.innermost()
    while around is not None and not _is_parent(backend, around, experiment_name):
        around = around.surrounding
    return current.parent_uid() if around is None else around.uid


def _is_parent(backend: Backend, run: current.Executed, experiment_name: str) -> bool:
    """Check whether an active run is the parent of a run that starts now."""
    if run.status.is_final or run.store_path != backend.home:
        return False
    # A notebook cell that is executed again starts a sibling; the first run is unfinished.
    return run.is_block or run.experiment_name != experiment_name


def _taken_over(
    backend: Backend, new: NewRun, asked: StartRequest, store: Any
) -> ActiveRun | None:
    """Return the run of this command, if `runstore exec` started it; else None."""
    is_plain = asked.argv is None and asked.cli is None and not (asked.full_store or asked.live)
    if not _IS_OF_COMMAND or asked.parent is not None or not is_plain:
        return None
    if current.COMMAND_VARIABLE not in os.environ or current.innermost() is not None:
        return None
    from runstore.model.params.parameter_set import has_values
    from runstore.recording.joining.command_run import run_of_this_command, take_over

    outer = run_of_this_command(backend)
    if asked.seed is not None and asked.params is None:
        new = new._replace(parameter_sets=())  # a seed alone replaces no other parameters
    kept = None if outer is None else take_over(backend, new, outer)
    if outer is None or kept is None:
        return None
    run = ActiveRun(backend, kept, store=store)
    if new.tags:
        run.tags.update(new.tags)
    # It always ends with the command.
    run.execution.ends_with_process = True
    run.execution.command_run = outer
    run.execution.has_read_params = not has_values(new.parameter_sets)
    if asked.seed is not None and asked.params is None:
        run.add_params(seed=asked.seed)
    # `runstore exec` samples system metrics.
    run.execution.__dict__["wants_samples"] = False
    return run


def _started_run(new: NewRun, number: int, reference: str) -> StartedRun:
    return StartedRun(
        uid=new.uid,
        reference=reference,
        experiment_name=new.experiment_name,
        run_number=number,
        timestamp=new.timestamp,
        started_at=from_micros(new.started_at),
        parameter_sets=new.parameter_sets,
        notes=new.notes,
        status=new.status,
    )
