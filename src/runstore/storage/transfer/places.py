"""Places of runs that come with provisional numbers: they get those of the receiving store."""

from __future__ import annotations

from runstore.model.reference import build_reference
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.statements import RunRow
from runstore.storage.transfer.merging import PLACE, row_of
from runstore.storage.transfer.records import RunRecord


def with_next_number(database: Database, connection: Connection, record: RunRecord) -> RunRecord:
    """Return the record of a new run with the next number of its experiment, which is assigned."""
    row = record.row
    _, number = database.next_number(connection, row.experiment)
    reference = build_reference(row.experiment, number, row.timestamp)
    return placed_as(record, row._replace(run_number=number, reference=reference))


def placed_as(record: RunRecord, row: RunRow) -> RunRecord:
    """Return a record with the experiment, number and reference of the receiving store.

    Its provisional references become former ones, without a number that could be assigned.
    """
    former = dict.fromkeys((*record.aliases, record.row.reference), (None, None))
    former.pop(row.reference, None)
    return record._replace(row=record.row._replace(**row_of(row, PLACE)), aliases=former)
