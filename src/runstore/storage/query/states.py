"""The states of all kept runs, by which a copy elsewhere notices changes."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from collections.abc import Container, Iterator

from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.metrics.rewinding import FIELD as REWOUND
from runstore.storage.rows import as_int, as_text
from runstore.value_classes import NamedTuple

# The number of the last change does not grow with points and files, so they are counted; after a
# rewind, they may be as many as before. If an older copy of the database was put back, the number
# of a change may be that of a lost edit or end.
RUN_STATES = f"""
    SELECT r.id, r.uid, e.name, r.run_number, r.status IN {sql.UNFINISHED}, r.changed,
        (SELECT sum(CAST(m.count AS REAL)) FROM metric_summaries m WHERE m.run_id = r.id),
        (SELECT max(m.last_at) FROM metric_summaries m WHERE m.run_id = r.id),
        (SELECT e.link FROM events e WHERE e.run_id = r.id AND e.field = '{REWOUND}'
            ORDER BY e.id DESC LIMIT 1),
        (SELECT count(*) FROM artifacts a WHERE a.run_id = r.id),
        (SELECT max(a.saved_at) FROM artifacts a WHERE a.run_id = r.id),
        r.last_link, r.status, r.ended_at
    FROM runs r JOIN experiments e ON e.id = r.experiment_id
    WHERE {sql.KEPT} ORDER BY r.id
"""
_BEYOND = 2**62
FIRST_UID = "SELECT uid FROM runs ORDER BY id LIMIT 1"
HAS_RUN = "SELECT 1 FROM runs WHERE uid = :uid"


class RunState(NamedTuple):
    """The state of one run.

    Attributes:
        row_id: Its row.
        experiment: Its experiment.
        run_number: Its number within the experiment.
        points: Number of points in the database.
        is_active: Whether it had not ended, so that it may change without a trace in `marks`.
        marks: Values of which at least one differs after any change of the run.
        marks_of_points: The same for changes of its points, or of its names.
    """

    row_id: int
    experiment: str
    run_number: int
    points: int
    is_active: bool
    marks: tuple[object, ...]
    marks_of_points: tuple[object, ...]


class RunStates:
    """Reads the states of runs."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def first_uid(self) -> str:
        """Return the uid of the first run of the store, even if it was deleted; else empty."""
        row = self._driver.fetch_one(FIRST_UID)
        return "" if row is None else as_text(row[0])

    def has_run(self, uid: str) -> bool:
        """Check whether the store has this run, even if it was deleted."""
        return self._driver.fetch_one(HAS_RUN, {"uid": uid}) is not None

    def of(self, row_ids: Container[int]) -> Iterator[RunState]:
        """Yield the states of these runs, by row."""
        rows = self._driver.fetch_all(RUN_STATES)
        for (
            row_id,
            uid,
            name,
            number,
            is_active,
            changed,
            points,
            last_at,
            rewound,
            *others,
        ) in rows:
            if row_id in row_ids:
                of_points = (uid, row_id, name, number, points, last_at, rewound)
                yield RunState(
                    row_id,
                    as_text(name),
                    as_int(number),
                    int(points) if isinstance(points, float) and points < _BEYOND else 0,
                    bool(is_active),
                    (*of_points, changed, *others),
                    of_points,
                )
