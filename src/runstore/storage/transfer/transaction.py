"""One part of a transfer: some runs, written in one transaction from one snapshot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from runstore.errors import StoreCorruptError
from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.storage.integrity.history import is_intact
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.transfer.checking import HIGHEST_NUMBER
from runstore.storage.transfer.joining import Joined
from runstore.storage.transfer.places import with_next_number
from runstore.storage.transfer.records import RunRecord, counters, read_records
from runstore.storage.transfer.writing import Writer
from runstore.value_classes import NamedTuple


class Delivery(NamedTuple):
    """A run to transfer: both records, the one to write, and its series that were joined.

    `mine` is None if the run was never in this store; for `joined`, see `PointJoiner`.
    """

    uid: str
    theirs: RunRecord
    mine: RunRecord | None
    after: RunRecord
    joined: Mapping[KeyOf, Joined | None] = {}

    @property
    def is_new(self) -> bool:
        """Whether the run is not in this store, or was permanently removed."""
        return self.mine is None or self.mine.purged_at is not None

    @property
    def missing_contents(self) -> dict[str, int]:
        """The contents of files that the run here does not refer to: size by digest."""
        known = {} if self.mine is None else self.mine.contents
        return {
            digest: size for digest, size in self.after.contents.items() if digest not in known
        }

    @property
    def points(self) -> int:
        """The number of points to copy."""
        known = {} if self.mine is None or self.is_new else self.mine.series
        return sum(
            one.points
            for key, one in self.after.series.items()
            if key in self.joined or known.get(key) != one
        )


class WrittenRuns(NamedTuple):
    """Runs that changed meanwhile, and how long others had to wait for the transaction."""

    late: list[Delivery]
    held_s: float


class DamagedError(Exception):
    """A run is damaged in the other store, so that nothing of this part was written."""

    def __init__(self, wanted: Delivery, why: str) -> None:
        super().__init__(why)
        self.wanted = wanted
        self.why = why


def records_of(
    database: Database, uids: Sequence[str]
) -> tuple[dict[str, RunRecord], dict[str, str]]:
    """Return the records of runs by uid, and the reasons why others cannot be read."""
    try:
        return _records(database, uids), {}
    except StoreCorruptError as error:
        if len(uids) == 1:
            return {}, {uids[0]: error.what}
    found: dict[str, RunRecord] = {}
    unreadable: dict[str, str] = {}
    for uid in uids:
        one, why = records_of(database, [uid])
        found |= one
        unreadable |= why
    return found, unreadable


def _records(database: Database, uids: Sequence[str]) -> dict[str, RunRecord]:
    with database.driver.read() as connection, one_moment(connection):
        found = read_records(connection, uids)
    return {uid: found[uid] for uid in uids if uid in found}


def write_runs(source: Database, target: Database, wanted: Sequence[Delivery]) -> WrittenRuns:
    """Write runs whose files are there already, atomically; durable on return.

    Raises:
        DamagedError: A run is damaged in the other store; nothing was written.
    """
    uids = [one.uid for one in wanted]
    with source.driver.read() as there, one_moment(there):
        theirs = read_records(there, uids)  # before other writers have to wait

        def write(here: Connection) -> WrittenRuns:
            begin, late = time.monotonic(), []
            mine = read_records(here, uids)
            writer = Writer(target, there, here)
            for one in wanted:
                if theirs.get(one.uid) != one.theirs or mine.get(one.uid) != one.mine:
                    late.append(one)
                else:
                    _write(writer, there, _numbered(target, here, one, source))
            if not source.is_provisional:
                _raise_counters(writer, there, wanted)
            return WrittenRuns(late, time.monotonic() - begin)

        return target.driver.transact(write, is_once=True)


def _numbered(target: Database, here: Connection, one: Delivery, source: Database) -> Delivery:
    """Assign a number to a new run that comes with a provisional one."""
    if not (source.is_provisional and one.is_new):
        return one
    return one._replace(after=with_next_number(target, here, one.after))


def _raise_counters(writer: Writer, there: Connection, wanted: Sequence[Delivery]) -> None:
    names = sorted({one.after.row.experiment for one in wanted})
    for name, number in counters(there, names).items():
        if type(number) is int and 0 <= number < HIGHEST_NUMBER:
            writer.raise_counter(name, number)


def _write(writer: Writer, there: Connection, one: Delivery) -> None:
    if not is_intact(there, one.theirs.row.id):
        raise DamagedError(one, "its history of edits was altered")
    try:
        if one.mine is not None and not one.is_new:
            writer.change(one.mine, one.after, one.theirs, one.joined)
            return
        if one.mine is None or one.mine.is_staged:
            writer.add(one.after, one.mine)
        else:
            writer.restore(one.mine, one.after)
    except (StoreCorruptError, ValueError, TypeError, OverflowError) as error:
        raise DamagedError(one, getattr(error, "what", str(error))) from error
