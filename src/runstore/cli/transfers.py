"""Transfer of runs to or from another store: its progress, and the lines and JSON about it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore.cli import output
from runstore.cli.amounts import amount_as_json, bytes_text
from runstore.cli.context import for_this_store
from runstore.cli.words import filter_text, is_filter, runs_meant, tell_hints
from runstore.config import working_directory
from runstore.errors import StoreUnavailableError, UsageError
from runstore.model.display.formatting import counted, size_text
from runstore.model.display.suggestions import some_of
from runstore.model.results.transfers import ACTIVE, DAMAGED, DELETED, FOREIGN, REFUSED
from runstore.storage.sqlite.paths import can_be_entered

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from runstore.model.results.transfers import Progress, Transfer
    from runstore.storage.files.spool import Record
    from runstore.store import Store
    from runstore.waiting import WaitingRuns

_NAMES_SHOWN = 5
_PATIENCE_S = 60.0  # for another program that delivers the same runs
_QUICK_S = 1.0  # quicker transfers need no progress bar


def check_new_place(other: str) -> None:
    """Check that a store that does not exist can be created: only as a new folder, by its path.

    Raises:
        UsageError: It is the name of something else, or a folder with other files.
    """
    if "://" in other:
        return
    path = Path(other).expanduser()
    if can_be_entered(path):
        if any(path.iterdir()):
            raise UsageError(
                f"{other} has other files, but no store.",
                kept="Nothing was transferred.",
                hint=f"Name a store or a new folder, such as {os.path.join(other, 'runs')}.",  # noqa: PTH118 - as it was typed
            )
    elif os.sep not in other:
        raise UsageError(
            f"There is no store at {other!r}.",
            kept="Nothing was transferred.",
            hint=f"The store comes last. To create it here, write: .{os.sep}{other}",
        )


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield what shows the progress of a long transfer, if this is a terminal."""
    reached = (0, 0)
    began, bars = time.monotonic(), None
    is_drawn = output.is_terminal(err=True)
    try:
        with ExitStack() as drawn:

            def show(done: int, total: int, copied: int) -> None:
                nonlocal bars, reached
                reached = (done, total)
                if not is_drawn or (bars is None and time.monotonic() - began < _QUICK_S):
                    return
                bars = bars or drawn.enter_context(_bars())
                about = f"runs, {size_text(copied)} of files" if copied else "runs"
                bars.update(bars.task_ids[0], completed=done, total=total, description=about)

            yield show
    except KeyboardInterrupt:
        done, total = reached
        output.say(
            f"runstore: interrupted after {done:,} of {counted(total, 'run')}; these are complete."
            " Repeat the command to continue.",
            err=True,
        )
        raise


def _bars() -> Bars:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=output.console(err=True),
        transient=True,
    )
    bars.add_task("", total=None)
    return bars


def show_result(result: Transfer, receiver: str, *, as_json: bool) -> None:
    """Print the result of a transfer."""
    if as_json:
        output.print_json(_as_json(result))
    else:
        place = _shown(receiver)
        output.say(f"runstore: {_summary(result, place)}.", err=not result.is_dry)
        for line in _remarks(result, place):
            output.say(f"runstore: {line}", err=True)


def _summary(result: Transfer, place: str) -> str:
    known = f"{place} has {counted(result.unchanged, 'run')} already"
    if result.added or result.changed:
        text = _counts(result, place)
    elif not result.contents:
        return f"nothing to do: {known}" if result.unchanged else "nothing to do"
    else:
        text = known  # the last transfer ended before their plain files were copied
    if result.contents:
        files = counted(result.contents.files, "file")
        text += f"; {files} to copy" if result.is_dry else f"; {files} copied"
        text += f", {bytes_text(result.contents)}"
    return text


def _counts(result: Transfer, place: str) -> str:
    """Return the numbers of runs by what happened to them."""
    would = "would be " if result.is_dry else ""
    were = "" if would else "was " if result.added == 1 else "were "
    parts = []
    if result.added:
        parts.append(f"{counted(result.added, 'run')} {would or were}added to {place}")
    if result.changed:
        were = "" if would else "was " if result.changed == 1 else "were "
        parts.append(f"{counted(result.changed, 'run')} {would or were}updated")
    if result.unchanged:
        were = "was" if result.unchanged == 1 else "were"
        parts.append(f"{result.unchanged:,} {were} there already")
    return ", ".join(parts)


_REASONS = {
    ACTIVE: "not finished",
    DELETED: "deleted permanently in {place}",
    FOREIGN: "different in a store that is not yours",
}


def _remarks(result: Transfer, place: str) -> Iterator[str]:
    if result.joined:
        count = len(result.joined)
        listed = _some(result.joined)
        was, whose = ("was", "its") if count == 1 else ("were", "their")
        were = "would be" if result.is_dry else "was"
        runs = counted(count, "run")
        yield f"{runs} {was} continued in both stores; {whose} data {were} joined: {listed}."
    for why, reason in _REASONS.items():
        names = [run.reference for run in result.skipped if run.why == why]
        if names:
            listed = _some(names)
            skipped = counted(len(names), "run")
            them = "it" if len(names) == 1 else "them"
            hint = f" To restore {them}, add --restore." if why == DELETED else ""
            yield f"{skipped} skipped, {reason.format(place=place)}: {listed}.{hint}"
    for run in result.skipped:
        if run.why in {DAMAGED, REFUSED}:
            name = output.shown_reference(run.reference)
            yield f"1 run skipped, {run.why}: {name}: {run.detail.rstrip('.')}."


def _some(references: Sequence[str]) -> str:
    return some_of([output.shown_reference(one) for one in references], _NAMES_SHOWN)


def _as_json(result: Transfer) -> dict[str, Any]:
    return {
        "added": result.added,
        "changed": result.changed,
        "unchanged": result.unchanged,
        "points": result.points,
        "contents": amount_as_json(result.contents),
        "joined": list(result.joined),
        "skipped": [
            {
                "reference": run.reference,
                "uid": run.uid,
                "why": run.why,
                "detail": run.detail or None,
            }
            for run in result.skipped
        ],
        "is_dry": result.is_dry,
    }


def deliver_waiting(location: str | None, *, is_recovering: bool, as_json: bool) -> bool:
    """Deliver runs and other data that wait on this machine for a store, and print the result.

    Args:
        location: The location of the store; None for that of the project.
        is_recovering: Whether to import data in flight for other URLs of the store as well, and
            to create runs for data whose run is missing.
        as_json: Whether to print JSON instead of lines.

    Returns:
        Whether no run was skipped because it is damaged or refused.
    """
    from runstore.store import opened_to_deliver

    result = None
    with opened_to_deliver(location) as store:
        if store.backend.server is not None:
            with shown_progress() as progress:
                waiting = _waiting(store)
                result = waiting.deliver(patience_s=_PATIENCE_S, progress=progress)
        if is_recovering:
            from runstore.maintenance.recovery import adopt

            adopt(store.backend)
        completed = _completed(store)
        recovered = _recovered(store) if is_recovering else ()
        show_delivered(store, result, completed, recovered, as_json=as_json)
        return result is None or result.is_complete


def _completed(store: Store) -> Sequence[str]:
    """Return the references of runs to which data was added that waited on this machine."""
    from runstore.inflight.deferred import Deferred

    runs = map(store.backend.database.run_by_uid, store.backend.part(Deferred).taken)
    return sorted(run.reference for run in runs if run is not None)


def _recovered(store: Store) -> Sequence[str]:
    """Create runs for data whose run is missing, and return their references."""
    from runstore.maintenance.recovery import recover

    names = recover(store.backend)
    if names:
        listed = _some(names)
        output.say(f"runstore: {counted(len(names), 'run')} recovered: {listed}.", err=True)
    return names


def tell_missing(store: Store) -> None:
    """Print the number of runs that are missing although their data is in flight."""
    from runstore.maintenance.recovery import files_without_run

    if missing := len(files_without_run(store.backend)):
        runs = "a run that is" if missing == 1 else f"{missing:,} runs that are"
        see = for_this_store("see: runstore doctor")
        output.say(f"runstore: there is data of {runs} not in the store; {see}", err=True)


def show_delivered(
    store: Store,
    result: Transfer | None,
    completed: Sequence[str] = (),
    recovered: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """Print the runs and other data that were delivered, and whether other data still waits.

    Raises:
        StoreUnavailableError: Some data could not be written to the store.
    """
    knows_any = store.backend.database.knows_any
    records = [one for one in store.backend.spool.records() if knows_any({one.uid})]
    if changes := len(records):
        raise StoreUnavailableError(
            f"{counted(changes, 'change')} could not be written to {store.backend.place}.",
            kept=f"{'It is' if changes == 1 else 'They are'} kept in {_kept_in(records)}.",
            hint="Try again later, or check the store with: runstore doctor",
        )
    is_news = result is not None and (result.added or result.changed or result.skipped)
    if as_json:
        told = {} if result is None else _as_json(result)
        waiting_count = _waiting(store).count
        names = {"completed": [*completed], "recovered": [*recovered]}
        output.print_json({**told, "waiting": waiting_count, **names})
    elif result is not None and is_news:
        show_result(result, store.backend.place, as_json=False)
    elif not completed and not recovered:
        output.say(
            f"runstore: no data is waiting for {_shown(store.backend.place)}."
            f" {for_this_store('To copy runs, name another store: runstore push OTHER')}",
            err=True,
        )
    if completed and not as_json:
        output.say(
            f"runstore: data of {counted(len(completed), 'run')} that waited on this machine was"
            f" written to {_shown(store.backend.place)}: {_some(completed)}.",
            err=True,
        )
    tell_missing(store)


def _kept_in(records: Sequence[Record]) -> str:
    """Return the folders that data waits in: if the disk of the store is full, one of the user."""
    return " and ".join(sorted({str(one.path.parent) for one in records}))


def _waiting(store: Store) -> WaitingRuns:
    from runstore.waiting import WaitingRuns

    return store.backend.part(WaitingRuns)


def tell_waiting_elsewhere(store: Store) -> None:
    """Print the number of runs on this machine that wait for other servers."""
    for place, folder, count in _waiting(store).for_others():
        output.say(
            f"runstore: {counted(count, 'run')} of this machine"
            f" {'waits' if count == 1 else 'wait'} for {place}. To deliver"
            f" {'it' if count == 1 else 'them'} to another store: runstore push --store"
            f" {shlex.quote(str(folder))} OTHER",
            err=True,
        )


def _shown(place: str) -> str:
    """Return a location relative to the working directory, if it is below that."""
    return place.removeprefix(f"{working_directory()}{os.sep}")


def parted(words: Sequence[str]) -> tuple[Sequence[str], str]:
    """Return the words for runs, and the other store, which comes last."""
    return words[:-1], words[-1]


def selected(store: Store, words: Sequence[str]) -> Mapping[str, Any]:
    """Return what `Store.push` needs to select the runs that words name."""
    filters = [word for word in words if is_filter(store, word)]
    names = [word for word in words if word not in filters]
    if len(filters) > 1 or len(names) > 1 or not all(map(store.has_experiment, names)):
        return {"runs": runs_meant(store, words)}
    # There may be too many runs to hold them all.
    where = "".join(filter_text(store, word) for word in filters)
    experiment = names[0] if names else None
    if words:
        tell_hints(store.find(where, experiment=experiment, limit=1))
    return {"where": where, "experiment": experiment}
