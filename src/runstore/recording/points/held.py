"""Points in memory, because no disk can be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from runstore.storage.files.spool import POINTS_SUFFIX, new_name
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import KeyOf
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.recording.points.channel import Known
    from runstore.storage.backend import Backend

_HELD_AT_MOST = 1_000_000
Point = tuple["Known", int, int, float]


class _Batch(NamedTuple):
    """Points that are being imported, oldest first, and their name in the database."""

    name: str
    points: list[Point]


class HeldPoints:
    """Points of one run in memory, until a disk or the database accepts them.

    Like `PointLog`, it may be called at any time, and holds no lock. `dropped` points were too
    many.
    """

    def __init__(self, backend: Backend, uid: str) -> None:
        self.dropped = 0
        self._backend = backend
        self._uid = uid
        self._points: deque[Point] = deque()
        # The import of one of them may have been committed without an answer.
        self._batches: list[_Batch] = []

    def __len__(self) -> int:
        return len(self._points) + sum(len(one.points) for one in self._batches)

    def add(self, point: Point) -> None:
        """Keep a point; a million are kept."""
        if len(self) < _HELD_AT_MOST:
            self._points.append(point)
        else:
            self.dropped += 1

    def release(self, write: Callable[[Point], bool]) -> None:
        """Write points to a disk, as many as it accepts, until `write` returns False.

        A point stays if `write` raises, as after an interrupt.
        """
        while self._points:
            try:
                point = self._points.popleft()
            except IndexError:  # another thread did it
                return
            is_written = False
            try:
                is_written = write(point)
            finally:
                if not is_written:
                    self._points.appendleft(point)
            if not is_written:
                return

    def hand_in(self) -> None:
        """Import points into the database, each once.

        Raises:
            RunstoreError: The database did not accept them; they are kept.
        """
        if self._points:
            name = f"{new_name(self._uid)}{POINTS_SUFFIX}"
            batch = _Batch(name, [])
            self._batches.append(batch)
            while self._points:
                try:
                    batch.points.append(self._points.popleft())
                except IndexError:  # another thread did it
                    break
        for batch in tuple(self._batches):
            self._backend.metrics.absorb_points(self._uid, batch.name, _by_series(batch.points))
            if batch in self._batches:
                self._batches.remove(batch)


def _by_series(points: list[Point]) -> dict[KeyOf, Columns]:
    found: dict[KeyOf, Columns] = {}
    for known, step, at, value in points:
        columns = found.get(known.series)
        if columns is None:
            columns = found[known.series] = Columns([], [], [])
        columns.steps.append(step)
        columns.times.append(at)
        columns.values.append(value)
    return found
