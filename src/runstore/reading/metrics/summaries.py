"""Reading metrics: the points in the database together with those in flight."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from runstore.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    quoted,
    suppressed,
)
from runstore.model.logged.metric_names import names_of
from runstore.model.metrics import MetricSummary, Series
from runstore.model.run import Run
from runstore.reading.metrics.arrays import has_numpy, whole_arrays
from runstore.storage.files.safe_files import UnsafeFileError
from runstore.storage.files.spool import Spool, uid_of
from runstore.storage.metrics.chunks import Columns, extend, unpack
from runstore.storage.metrics.point_reading import read_points
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.table import MetricTable, Stored, Total, summary_of, with_points
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from pathlib import Path

OF_RUN = -1
# A file may be imported between the two reads; then both are repeated.
LOOKS = 20
# A search does not wait for writers; it will be repeated.
_PATIENCE_S = 0.5


def summaries(table: MetricTable, spool: Spool, run: Run) -> tuple[MetricSummary, ...]:
    """Return a summary of each series of a run, those of the run itself first."""
    return _as_summaries(run, _totals(table, spool, run))


def summaries_of_all(
    table: MetricTable, spool: Spool, runs: Sequence[Run]
) -> dict[str, tuple[MetricSummary, ...]]:
    """Return the summaries of many runs, by uid; the spool is listed once."""
    waiting = {uid_of(path) for path in spool.point_files()}
    stored = table.totals_of_all([run.uid for run in runs if run.uid not in waiting])
    return {
        run.uid: _as_summaries(run, stored[run.uid])
        if run.uid in stored
        else summaries(table, spool, run)
        for run in runs
    }


def _as_summaries(
    run: Run, totals: Mapping[KeyOf, tuple[Total, int]]
) -> tuple[MetricSummary, ...]:
    return tuple(
        summary_of(series, total, last_step, _set_name(run, series))
        for series, (total, last_step) in sorted(totals.items())
    )


def _totals(table: MetricTable, spool: Spool, run: Run) -> dict[KeyOf, tuple[Total, int]]:
    for _ in range(LOOKS):
        files = spool.point_files(run.uid)
        totals, marks = table.totals(run.uid)
        try:
            waiting = in_flight(files, marks)
        except FileNotFoundError:
            continue
        for series, points in waiting.items():
            totals[series] = with_points(totals.get(series), points)
        return totals
    raise restless(run)


def series(table: MetricTable, spool: Spool, run: Run, key: str, set_name: str | None) -> Series:
    """Return the points of a metric of a run, in the order of logging.

    Raises:
        NotFoundError: The run has no such metric.
    """
    for wanted in chain(candidates(run, key, set_name), named(table, spool, run, key, set_name)):
        stored, waiting = _read(table, spool, run, wanted)
        if stored.chunks or waiting.values:
            is_numpy_there = has_numpy()
            build = _with_numpy if is_numpy_there else _with_arrays
            try:
                return build(key, stored.chunks, waiting)
            except StoreCorruptError as error:
                raise damaged_series(run.reference, key, error) from error
    raise no_such_metric(run, key)


def no_such_metric(run: Run, key: str) -> NotFoundError:
    """Return the error for a metric that a run does not have."""
    from runstore.model.display.suggestions import hint_of

    return NotFoundError(
        f"{run.reference} has no metric {quoted(key)}.",
        hint=hint_of(key, sorted(run.metrics), who="It has"),
    )


def _read(table: MetricTable, spool: Spool, run: Run, wanted: KeyOf) -> tuple[Stored, Columns]:
    for _ in range(LOOKS):
        files = spool.point_files(run.uid)
        stored = table.stored(run.uid, wanted)
        try:
            return stored, in_flight(files, stored.marks).get(wanted, Columns([], [], []))
        except FileNotFoundError:
            continue
    raise restless(run)


def refresh(table: MetricTable, spool: Spool) -> None:
    """Import the points in the spool, so that queries include them.

    If the database cannot be written, or is locked, it is read as it is, with a warning.
    """
    waiting: list[Path] = []
    for path in spool.point_files(is_to_take=True):
        with suppressed(StoreError, OSError):
            # The spool of a user also contains files of other stores.
            if table.has_run_of(path) and (
                read_points(path, table.position(path), is_over=True).points
            ):
                waiting.append(path)
    if waiting and table.is_writable:
        with suppressed(StoreError, OSError), table.hurried(_PATIENCE_S):
            while waiting:
                table.absorb(waiting[0])
                del waiting[0]
    if waiting:
        count = len(set(map(uid_of, waiting)))
        warn(
            f"The newest points of {count:,} {'run' if count == 1 else 'runs'} are left out:"
            " the database cannot be written now."
        )


def in_flight(files: list[Path], marks: dict[str, int]) -> dict[KeyOf, Columns]:
    """Return the points after the marks.

    Raises:
        FileNotFoundError: A file was imported meanwhile.
    """
    found: dict[KeyOf, Columns] = {}
    for path in files:
        with suppress(UnsafeFileError):  # not ours; `runstore doctor` reports it
            read = read_points(path, marks.get(path.name, 0), is_over=True)
            for one, points in read.points.items():
                extend(found.setdefault(one, Columns([], [], [])), points)
    return found


def candidates(run: Run, key: str, set_name: str | None) -> list[KeyOf]:
    """Return the series that a key may refer to, the likeliest first.

    Raises:
        NotFoundError: There is no such parameter set.
    """
    names = [one.name for one in run.parameter_sets]
    if set_name is not None:
        if set_name not in names:
            raise NotFoundError(f"{run.reference} has no parameter set {quoted(set_name)}.")
        return [KeyOf(names.index(set_name), key)]
    found = [KeyOf(OF_RUN, key)]
    for index, name in enumerate(names):
        if key.startswith(f"{name}/"):
            found.append(KeyOf(index, key[len(name) + 1 :]))
    return found


def named(
    table: MetricTable, spool: Spool, run: Run, key: str, set_name: str | None
) -> Iterator[KeyOf]:
    """Yield the series with this name in `Run.metrics`, if its key alone is ambiguous."""
    if set_name is None:
        found = sorted(_totals(table, spool, run))
        names = names_of([(_set_name(run, one), one.key) for one in found])
        yield from (one for one, name in zip(found, names, strict=True) if name == key)


def _set_name(run: Run, one: KeyOf) -> str | None:
    known = 0 <= one.set_index < len(run.parameter_sets)
    return run.parameter_sets[one.set_index].name if known else None


def _with_arrays(key: str, chunks: list[bytes], rest: Columns) -> Series:
    whole = Columns(array("q"), array("q"), array("d"))
    for chunk in chunks:
        extend(whole, unpack(chunk))
    extend(whole, rest)
    seconds = array("d", [time / 1e6 for time in whole.times])
    return Series(key, array("q", whole.steps), seconds, array("d", whole.values))


def _with_numpy(key: str, chunks: list[bytes], rest: Columns) -> Series:
    import numpy as np

    count = len(rest.values)
    steps, times, values = whole_arrays(chunks, count)
    if count:
        steps[-count:] = rest.steps
        times[-count:] = np.asarray(rest.times, np.int64) / 1e6
        values[-count:] = rest.values
    return Series(key, steps, times, values)


def damaged_series(reference: str, key: str, error: StoreCorruptError) -> StoreCorruptError:
    """Return the error for a series whose points cannot be read."""
    return StoreCorruptError(
        f"The metric {key!r} of {reference} cannot be read. {error.what}",
        kept=error.kept,
        hint="To see what else is damaged: runstore doctor --deep",
    )


def restless(run: Run) -> StoreUnavailableError:
    """Return the error for metrics that were imported repeatedly while being read."""
    return StoreUnavailableError(
        f"The metrics of {run.reference} changed faster than they could be read.",
        kept="Nothing is lost.",
        hint="Try again.",
    )
