"""Moves of runs between experiments, and renames of experiments.

A moved run gets the next number of its new experiment. If it returns, it gets its former number,
which is never assigned to another run. Its old reference still finds it.
"""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from collections.abc import Iterable

from runstore.errors import ConflictError, NotFoundError, quoted
from runstore.model.facts import ProcessIdentity
from runstore.model.reference import build_reference, new_uid, with_endings, without_ending
from runstore.storage import statements as sql
from runstore.storage.database import Database, Edit, add_event, run_row
from runstore.storage.driver import Connection
from runstore.storage.new_runs import NewRun
from runstore.storage.rows import as_text, mended_row, now_micros
from runstore.storage.stored_runs import AFTER_TILDE
from runstore.value_classes import NamedTuple

# Imported runs may share a number; a run that returns gets a free duplicate index beside them.
MOVE_RUN = f"""
    UPDATE runs SET experiment_id = :experiment_id, run_number = :run_number,
        duplicate = (
            SELECT coalesce(max(o.duplicate) + 1, 0) FROM runs o
            WHERE o.experiment_id = :experiment_id AND o.run_number = :run_number
        ),
        reference = :reference, changed = {sql.NEXT_CHANGE}
    WHERE id = :id
"""
SET_NOTES = f"UPDATE runs SET notes = :notes, changed = {sql.NEXT_CHANGE} WHERE id = :id"
# On a server, the counter may be behind; its number must not be assigned again.
RAISE_COUNTER = """
    UPDATE experiments SET last_run_number = :number
    WHERE id = (SELECT experiment_id FROM runs WHERE id = :id) AND last_run_number < :number
"""
EXPERIMENT = "SELECT id, last_run_number FROM experiments WHERE name = :name"
HAS_RUNS = "SELECT 1 FROM runs WHERE experiment_id = :id LIMIT 1"
NEW_EXPERIMENT = """
    INSERT INTO experiments (name, last_run_number, created_at) VALUES (:name, :last, :now)
    RETURNING id
"""
# Deleted runs included: when restored, they belong to the new name too.
ALL_OF_EXPERIMENT = f"""
    SELECT {sql.RUN_COLUMNS}, r.purged_at FROM runs r JOIN experiments e ON e.id = r.experiment_id
    WHERE r.experiment_id = :id ORDER BY r.run_number, r.duplicate
"""
PLACE_OF_ALIAS = """
    SELECT experiment_id, run_number FROM reference_aliases
    WHERE reference = :reference AND run_id = :id
"""
PLACE_BEFORE = """
    SELECT a.experiment_id, a.run_number FROM reference_aliases a
    WHERE a.run_id = :id AND a.experiment_id = (SELECT id FROM experiments WHERE name = :name)
    LIMIT 1
"""
ALIASES_OF_UID = """
    SELECT reference FROM reference_aliases WHERE run_id = (SELECT id FROM runs WHERE uid = :uid)
"""
REMOVE_ALIAS = """
    DELETE FROM reference_aliases WHERE reference = :reference AND run_id = :run_id
"""

SET_REFERENCE = f"""
    UPDATE runs SET reference = :reference, changed = {sql.NEXT_CHANGE} WHERE id = :id
"""
RUNS_NAMED = """
    SELECT r.id, r.uid, r.reference, 1 FROM runs r
    WHERE (r.reference = :name OR (r.reference >= :begin AND r.reference < :end))
        AND r.purged_at IS NULL
"""
RUNS_ONCE_NAMED = """
    SELECT r.id, r.uid, a.reference, 0
    FROM reference_aliases a JOIN runs r ON r.id = a.run_id
    WHERE (a.reference = :name OR (a.reference >= :begin AND a.reference < :end))
        AND r.purged_at IS NULL
"""


_Place = tuple[int, str, int]  # experiment's row id and name, run number


class _Move(NamedTuple):
    """The author and operation of a move; `is_gone` if only the run's name is left."""

    author: str
    operation: str | None
    is_gone: bool = False


class Moves:
    """Moves runs of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def move(self, uids: Iterable[str], experiment_name: str, author: str) -> None:
        """Move runs to another experiment, atomically, recording events. Durable on return.

        Raises:
            RunNotFoundError: One of the runs is not in the store.
        """
        operation, several = new_uid(), [*uids]

        def move(connection: Connection) -> None:
            for uid in several:
                row = run_row(connection, uid)
                if row.experiment != experiment_name:
                    place = self._place_in(connection, row, experiment_name)
                    _move_noted(connection, row, place, _Move(author, operation))

        self._database.driver.transact(move, is_once=True)

    def rename(self, old: str, new: str, author: str, *, is_merge: bool) -> int:
        """Rename an experiment, moving all its runs; durable on return.

        The runs keep their numbers if the new name has no runs. The old name keeps its counter, so
        that its numbers are never reused.

        Args:
            old: The experiment.
            new: Its new name.
            author: Author of the edit.
            is_merge: Whether the new name may be that of an existing experiment.

        Returns:
            The number of runs that were moved, without deleted ones.

        Raises:
            NotFoundError: There is no such experiment.
            ConflictError: The new name is in use.
        """
        operation = new_uid()

        def move(connection: Connection) -> int:
            found = connection.execute(EXPERIMENT, {"name": old}).fetchone()
            if found is None:
                what = f"There is no experiment {quoted(old)}."
                raise NotFoundError(what, kept="Nothing was moved.")
            target_id = _free_target(connection, new, found[1], is_merge=is_merge)
            rows = connection.execute(ALL_OF_EXPERIMENT, {"id": found[0]}).fetchall()
            every = [mended_row(row) for row in rows]
            # The column after the run's own columns is the time of its removal.
            gone = [row[len(sql.RunRow._fields)] is not None for row in rows]
            for row, is_gone in zip(every, gone, strict=True):
                place = (
                    self._place_in(connection, row, new)
                    if target_id is None
                    else (target_id, new, row.run_number)
                )
                edit = _Move(author, operation, is_gone=is_gone)
                _move_noted(connection, row, place, edit)
            return sum(row.deleted_at is None for row in every)

        return self._database.driver.transact(move, is_once=True)

    def _place_in(self, connection: Connection, row: sql.RunRow, experiment_name: str) -> _Place:
        """Return the place of a run in an experiment: its former one, or the next."""
        there = {"id": row.id, "name": experiment_name}
        found = connection.execute(PLACE_BEFORE, there).fetchone()
        experiment_id, number = found or self._database.next_number(connection, experiment_name)
        return experiment_id, experiment_name, number

    def take_over(self, new: NewRun, old: ProcessIdentity, author: str) -> bool:
        """Let another process execute a run, under its own experiment; durable on return.

        Args:
            new: The run as that process began it; its uid is that of the run. Parameters and
                notes replace those of the run, if there are any.
            old: The process that executes the run now.
            author: Author of the move.

        Returns:
            Whether this process executes the run now; not if another one was quicker.
        """
        process = new.process
        if process is None:
            return False

        def take_over(connection: Connection) -> bool:
            if not self._database.change_process(connection, new.uid, old, process):
                return False
            row = run_row(connection, new.uid, or_trashed=True)
            if row.experiment != new.experiment_name:
                place = self._place_in(connection, row, new.experiment_name)
                # The name that the program chose is part of the record: no undo.
                _move_noted(connection, row, place, _Move(author, None))
            if new.parameter_sets:
                self._database.replace_sets(connection, row.id, new.parameter_sets)
            if new.notes is not None:
                connection.execute(SET_NOTES, {"id": row.id, "notes": new.notes})
            return True

        return self._database.driver.transact(take_over, is_once=True)

    def former_references(self, uid: str) -> list[str]:
        """Return the former references of a moved run, kept or deleted."""
        found = self._database.driver.fetch_all(ALIASES_OF_UID, {"uid": uid})
        return [as_text(row[0]) for row in found]


def _free_target(connection: Connection, new: str, last: int, *, is_merge: bool) -> int | None:
    """Create the experiment of a name; return None if it exists already."""
    target = connection.execute(EXPERIMENT, {"name": new}).fetchone()
    if target is None:
        made = {"name": new, "last": last, "now": now_micros()}
        return int(connection.execute(NEW_EXPERIMENT, made).fetchone()[0])
    if not is_merge and connection.execute(HAS_RUNS, {"id": target[0]}).fetchone():
        raise ConflictError(
            f"There is already an experiment {new!r}.",
            kept="Nothing was moved.",
            hint="Choose another name, or merge the two, which renumbers the runs.",
        )
    return None


def _move_noted(connection: Connection, row: sql.RunRow, place: _Place, edit: _Move) -> None:
    """Move a run and record it; a permanently removed run only changes its name."""
    experiment_id, experiment_name, number = place
    reference = build_reference(experiment_name, number, row.timestamp)
    _move(connection, row, experiment_id, number, reference)
    if edit.is_gone:
        return
    for field, before, after in (
        ("experiment_name", row.experiment, experiment_name),
        ("reference", row.reference, reference),
    ):
        add_event(connection, row.id, Edit(field, before, after, edit.author, edit.operation))


def _move(
    connection: Connection, row: sql.RunRow, experiment_id: int, number: int, reference: str
) -> None:
    connection.execute(RAISE_COUNTER, {"id": row.id, "number": row.run_number})
    connection.execute(sql.ADD_ALIAS, {"run_id": row.id})
    place = {"experiment_id": experiment_id, "run_number": number, "reference": reference}
    connection.execute(MOVE_RUN, {"id": row.id, **place})
    connection.execute(REMOVE_ALIAS, {"reference": reference, "run_id": row.id})
    tell_apart(connection, without_ending(reference, row.uid))


def move_back(connection: Connection, row: sql.RunRow, reference: str) -> None:
    """Move a run back to its place under a former reference, within a transaction.

    Raises:
        NotFoundError: The former place is unknown.
    """
    former = {"id": row.id, "reference": reference}
    place = connection.execute(PLACE_OF_ALIAS, former).fetchone()
    if place is None or place[0] is None:
        place = _place_in_name(connection, reference, row.timestamp)
    if place is None:
        raise NotFoundError(
            f"There is no experiment for {reference!r} any more.", kept="Nothing was changed."
        )
    _move(connection, row, place[0], place[1], reference)


def _place_in_name(
    connection: Connection, reference: str, timestamp: str
) -> tuple[int, int] | None:
    """Return the place encoded in a reference, the only record of moves before schema 5."""
    name, _, number = reference.removesuffix(f"_{timestamp}").rpartition("_")
    found = connection.execute(EXPERIMENT, {"name": name}).fetchone()
    return (found[0], int(number)) if found and number.isascii() and number.isdigit() else None


def tell_apart(connection: Connection, name: str, *, added_id: int | None = None) -> None:
    """Add the last digits of their uids to references if other runs have or had the same.

    Runs of different stores may share a reference. The result depends only on the runs that have
    or had the name, so that it is the same in every store with these runs.

    Args:
        connection: Within the caller's transaction.
        name: A reference, without digits of a uid.
        added_id: The row id of a run that was added just now.
    """
    bounds = {"name": name, "begin": f"{name}~", "end": f"{name}{AFTER_TILDE}"}
    found = [
        row
        for statement in (RUNS_NAMED, RUNS_ONCE_NAMED)
        for row in connection.execute(statement, bounds).fetchall()
        if without_ending(row[2], row[1]) == name
    ]
    holders = dict.fromkeys((row[1] for row in found), name)
    now = with_endings(holders) if len(holders) > 1 else holders
    for run_id, uid, before, is_current in found:
        if not is_current or before == now[uid]:
            continue
        if run_id != added_id:  # its folder of plain files has the former name
            connection.execute(sql.ADD_ALIAS, {"run_id": run_id})
        connection.execute(SET_REFERENCE, {"id": run_id, "reference": now[uid]})
