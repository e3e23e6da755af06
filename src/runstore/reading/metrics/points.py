"""Reading the points of many runs into one table."""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runstore.errors import (
    NotFoundError,
    RunNotFoundError,
    StoreCorruptError,
    StoreUnavailableError,
    quoted,
)
from runstore.model import arguments
from runstore.model.display.suggestions import hint_of
from runstore.model.metrics import FEWEST_SAMPLED, extremes
from runstore.model.run import AnyRun
from runstore.reading.metrics.arrays import has_numpy, numbers_of
from runstore.reading.metrics.points_table import PointsTable, Stretch
from runstore.reading.metrics.summaries import LOOKS, damaged_series, in_flight
from runstore.reading.names import each_of, run_of
from runstore.storage.files.spool import uid_of
from runstore.storage.metrics.chunks import Columns, extend, taken_apart, unpack
from runstore.storage.metrics.many_series import StoredMany, series_of_runs, stored_of_runs
from runstore.storage.metrics.point_records import KeyOf

if TYPE_CHECKING:
    from pathlib import Path

    from runstore.storage.backend import Backend

T = TypeVar("T")
OnDamage = Callable[[str, str, StoreCorruptError], None]
# Read at once: fast, and little compared to the table itself.
_POINTS_AT_ONCE = 500_000
_RUNS_AT_ONCE = 1000
_KEYS_SHOWN = 10


def read_points_of(
    backend: Backend,
    runs: object,
    keys: str | Iterable[str] | None = None,
    limit: int | None = None,
    *,
    leave_out: OnDamage | None = None,
) -> PointsTable:
    """Return the points of many runs; see `Store.points`.

    Args:
        backend: The store.
        runs: The runs, or their names.
        keys: Keys of metrics, or patterns of them; None for all.
        limit: Maximum number of points per series.
        leave_out: Called with the uid, the key and the error of a damaged series, which is left
            out; without it, the error is raised.
    """
    if limit is not None:
        limit = arguments.count(limit, "limit", FEWEST_SAMPLED)
    chosen = _chosen(backend, runs)
    known, stored = series_of_runs(backend.database, list(chosen))
    for uid, run in chosen.items():
        if uid not in known:
            raise RunNotFoundError(f"{run.reference} is not in {backend.place}.")
    table = _Building(chosen, _WantedMetrics(keys), limit, leave_out)
    counts = Counter[str]()
    for one in stored:
        if table.is_wanted(one.uid, one.series):
            counts[one.uid] += one.points
    for uids in parts_by_points(chosen, counts.__getitem__):
        found, waiting = _read(backend, uids, table)
        for uid in uids:
            table.add(uid, found.chunks[uid], waiting.get(uid, {}))
    if chosen:
        table.wanted.check()
    return table.finished()


def _chosen(backend: Backend, runs: object) -> dict[str, AnyRun]:
    """Return each run once, by uid, in the requested order."""
    found = (
        cast("AnyRun", one) if hasattr(one, "parameter_sets") else run_of(backend, one)
        for one in each_of(runs)
    )
    return {run.uid: run for run in found}


def parts_by_points(items: Iterable[T], points_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield items in parts with few points each, or a single item with many."""
    some: list[T] = []
    points = 0
    for one in items:
        if some and (points + points_of(one) > _POINTS_AT_ONCE or len(some) >= _RUNS_AT_ONCE):
            yield some
            some, points = [], 0
        some.append(one)
        points += points_of(one)
    if some:
        yield some


def _read(
    backend: Backend, uids: Sequence[str], table: _Building
) -> tuple[StoredMany, dict[str, dict[KeyOf, Columns]]]:
    """Return the points of some runs in the database, and those in flight."""
    for _ in range(LOOKS):
        files: dict[str, list[Path]] = defaultdict(list)
        wanted = set(uids)
        for path in backend.spool.point_files():
            if uid_of(path) in wanted:
                files[uid_of(path)].append(path)
        names = [path.name for some in files.values() for path in some]
        stored = stored_of_runs(backend.database, uids, names, table.is_wanted)
        try:
            return stored, {uid: in_flight(some, stored.marks) for uid, some in files.items()}
        except FileNotFoundError:  # imported meanwhile
            continue
    raise StoreUnavailableError(
        "The metrics of these runs changed faster than they could be read.",
        kept="Nothing is lost.",
        hint="Try again.",
    )


class _WantedMetrics:
    """The requested metrics, and those of them that exist.

    Args:
        keys: Keys, `<set>/<key>` for one parameter set; `*` matches any text, and `?` any
            character. None for all.
    """

    def __init__(self, keys: str | Iterable[str] | None) -> None:
        names = None if keys is None else arguments.texts(keys, "keys", "val/*")
        self._patterns = None if names is None else {name: _pattern(name) for name in names}
        self._seen: dict[tuple[str, ...], bool] = {}
        self._found: set[str] = set()

    def has(self, names: tuple[str, ...]) -> bool:
        """Check whether a series was requested by one of its names."""
        if self._patterns is None:
            return True
        if names not in self._seen:
            matching = [
                wanted
                for wanted, pattern in self._patterns.items()
                if any(pattern.fullmatch(name) for name in names)
            ]
            self._found.update(matching)
            self._seen[names] = bool(matching)
        return self._seen[names]

    def check(self) -> None:
        """Check that each requested metric exists in a run.

        Raises:
            NotFoundError: A metric does not exist; the message suggests the nearest key.
        """
        for wanted in self._patterns or ():
            if wanted in self._found:
                continue
            known = sorted({name for names in self._seen for name in names})
            raise NotFoundError(
                f"None of these runs has a metric {quoted(wanted)}.",
                hint=hint_of(wanted, known, who="They have", most=_KEYS_SHOWN),
            )


def _pattern(name: str) -> re.Pattern[str]:
    """Return the pattern of a key; brackets are literal, as in `acc[0]`."""
    text = re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL)


class _Building:
    """A table that grows run by run."""

    def __init__(
        self,
        runs: Mapping[str, AnyRun],
        wanted: _WantedMetrics,
        limit: int | None,
        leave_out: OnDamage | None,
    ) -> None:
        self.wanted = wanted
        self._leave_out = leave_out
        self._limit = limit
        self._has_numpy = has_numpy()
        self._stretches: list[Stretch] = []
        self._steps: array[int] = array("q")
        self._times: array[int] = array("q")
        self._values: array[float] = array("d")
        self._sets = {
            uid: tuple(one.name for one in run.parameter_sets) for uid, run in runs.items()
        }
        times_used = Counter(run.reference for run in runs.values())
        # A reference may match several imported runs.
        self._labels = {
            uid: run.reference if times_used[run.reference] == 1 else f"{run.reference} ({uid})"
            for uid, run in runs.items()
        }

    def is_wanted(self, uid: str, series: KeyOf) -> bool:
        """Check whether a series of a run belongs in the table."""
        name = self._set_name(uid, series)
        return self.wanted.has(
            (series.key,) if name is None else (series.key, f"{name}/{series.key}")
        )

    def add(
        self, uid: str, chunks: Mapping[KeyOf, list[bytes]], waiting: Mapping[KeyOf, Columns]
    ) -> None:
        """Add the points of a run, series by series."""
        added = [series for series in waiting if self.is_wanted(uid, series)]
        for series in sorted({*chunks, *added}):
            begin = len(self._values)
            try:
                for chunk in chunks.get(series, ()):
                    self._add_chunk(chunk)
            except StoreCorruptError as error:
                if self._leave_out is None:
                    raise damaged_series(self._labels[uid], series.key, error) from error
                self._leave_out(uid, series.key, error)
                for column in self._columns:
                    del column[begin:]
                continue
            if series in waiting:
                extend(self._columns, waiting[series])
            if self._limit is not None and len(self._values) - begin > self._limit:
                self._sample(begin, self._limit)
            name, count = self._set_name(uid, series), len(self._values) - begin
            if count:
                self._stretches.append(Stretch(self._labels[uid], name, series.key, count))

    def finished(self) -> PointsTable:
        """Return the table."""
        return PointsTable(self._stretches, self._steps, self._times, self._values)

    @property
    def _columns(self) -> Columns:
        return Columns(self._steps, self._times, self._values)

    def _set_name(self, uid: str, series: KeyOf) -> str | None:
        names = self._sets[uid]
        return names[series.set_index] if 0 <= series.set_index < len(names) else None

    def _add_chunk(self, chunk: bytes) -> None:
        if not self._has_numpy or sys.byteorder == "big":
            extend(self._columns, unpack(chunk))
            return
        parts = taken_apart(chunk)
        self._steps.frombytes(numbers_of(parts.steps, parts.points).tobytes())
        self._times.frombytes(numbers_of(parts.times, parts.points).tobytes())
        self._values.frombytes(parts.values)

    def _sample(self, begin: int, limit: int) -> None:
        """Reduce the points from here on to those that a plot shows."""
        values: Any = self._values[begin:]
        if self._has_numpy:
            import numpy as np

            values = np.asarray(values)
        places = extremes(values, limit)
        columns: tuple[array[Any], ...] = (self._steps, self._times, self._values)
        for column in columns:
            column[begin:] = array(column.typecode, [column[begin + place] for place in places])
