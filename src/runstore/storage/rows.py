"""Rows to values and back, whatever stands in their cells.

SQLite keeps any value in any column. What another program, a broken disk or somebody with bad
intent wrote is read as what it should be, or as a value that stands for it: a cell costs no more
than its own run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params.decode import is_tree
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.storage.statements import RunRow

if TYPE_CHECKING:
    from runstore.model.run import Run

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FACTS_AT_MOST = 4 << 20  # characters
_FACT_TYPES = frozenset({str, int, float, bool})
_PIDS = range(2**31)
_STATUSES = frozenset(one.value for one in Status)
# What stands for a value that is longer than any that is read.
TOO_LONG = Ellipsis


def as_text(cell: Any, default: str = "") -> str:
    """Return a cell that should be a text."""
    if type(cell) is str:
        return cell
    if cell is None or cell is TOO_LONG:
        return default
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)


def as_optional_text(cell: Any) -> str | None:
    """Return a cell that should be a text or NULL."""
    return None if cell is None else as_text(cell)


def as_int(cell: Any, default: int = 0) -> int:
    """Return a cell that should be a whole number."""
    return cell if type(cell) is int else default


def as_optional_int(cell: Any) -> int | None:
    """Return a cell that should be a whole number or NULL."""
    return cell if type(cell) is int else None


def as_number(cell: Any) -> float | None:
    """Return a cell that should be a number or NULL; anything else is as good as NaN."""
    return cell if type(cell) in {float, int} else None


def as_time(cell: Any) -> datetime:
    """Return a cell that should be microseconds since 1970; the beginning of 1970 for another."""
    try:
        return _EPOCH + timedelta(microseconds=cell) if type(cell) is int else _EPOCH
    except OverflowError:
        return _EPOCH


def as_optional_time(cell: Any) -> datetime | None:
    """Return a cell that should be microseconds since 1970 or NULL."""
    return None if cell is None else as_time(cell)


def is_text(cell: Any) -> bool:
    """Return whether a cell is a text."""
    return type(cell) is str


def is_optional_text(cell: Any) -> bool:
    """Return whether a cell is a text or NULL."""
    return cell is None or type(cell) is str


def is_int(cell: Any) -> bool:
    """Return whether a cell is a whole number."""
    return type(cell) is int


def is_optional_int(cell: Any) -> bool:
    """Return whether a cell is a whole number or NULL."""
    return cell is None or type(cell) is int


def is_time(cell: Any) -> bool:
    """Return whether a cell is a time that there is a date for."""
    try:
        return type(cell) is int and bool(_EPOCH + timedelta(microseconds=cell))
    except OverflowError:
        return False


def is_optional_time(cell: Any) -> bool:
    """Return whether a cell is such a time or NULL."""
    return cell is None or is_time(cell)


def mapping_of(text: str | None) -> dict[str, str]:
    """Return the mapping of texts that a JSON text holds; empty for None.

    Raises:
        ValueError: It holds something else.
    """
    try:
        kept = json.loads(text or "{}")
        if all(map(is_text, (*kept.keys(), *kept.values()))):
            return dict(kept)
    except (AttributeError, RecursionError):
        pass
    raise ValueError("this is no mapping of texts")


def pairs_of_texts(rows: Sequence[Any]) -> dict[str, str]:
    """Return rows of two texts as a mapping."""
    return {as_text(key): as_text(value) for key, value in rows}


def _is_status(cell: Any) -> bool:
    return type(cell) is str and cell in _STATUSES


def _is_pid(cell: Any) -> bool:
    return cell is None or (type(cell) is int and cell in _PIDS)


def _are_facts(cell: Any) -> bool:
    try:
        return bool(facts_from_text(cell))
    except ValueError:
        return False


def _none(_: Any) -> None:
    return None


def _zero(_: Any) -> int:
    return 0


def _no_status(_: Any) -> str:
    # None that waits for evidence of a process: nothing is known of it.
    return Status.LOST.value


# Of each column of a run: what may be in it, and what is shown in place of anything else.
_CELLS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    "id": (is_int, _zero),
    "uid": (is_text, as_text),
    "experiment": (is_text, as_text),
    "run_number": (is_int, _zero),
    "reference": (is_text, as_text),
    "timestamp": (is_text, as_text),
    "status": (_is_status, _no_status),
    "started_at": (is_time, _zero),
    "ended_at": (is_optional_time, _zero),
    "last_seen_at": (is_optional_time, _none),
    "parent_uid": (is_optional_text, as_optional_text),
    "notes": (is_optional_text, as_optional_text),
    "error": (is_optional_text, as_optional_text),
    "traceback": (is_optional_text, as_optional_text),
    "exit_code": (is_optional_int, as_optional_int),
    "commit_hash": (is_optional_text, as_optional_text),
    "workdir_dirty": (is_optional_int, as_optional_int),
    "cli": (is_optional_text, as_optional_text),
    "full_store": (is_int, _zero),
    "reproduce": (is_optional_text, as_optional_text),
    "hostname": (is_optional_text, as_optional_text),
    "boot_id": (is_optional_text, as_optional_text),
    "pid": (_is_pid, _none),
    "process_started": (is_optional_text, _none),
    "facts": (_are_facts, _none),
    "block": (is_optional_text, _none),
    "deleted_at": (is_optional_time, _zero),
}
_COLUMNS = len(RunRow._fields)
# Types of rows that were found sound: most rows have the same ones.
_sound_types: set[tuple[type, ...]] = set()
# Of the types that rows have, what gives the texts among their cells.
_texts_among: dict[tuple[type, ...], Callable[[Sequence[Any]], Sequence[Any]]] = {}
_KINDS_AT_MOST = 100
_NO_FACTS = Facts()


def length_of_texts(row: Sequence[Any]) -> int:
    """Return how many letters and bytes the cells of a row hold together."""
    types = tuple(map(type, row))
    texts = _texts_among.get(types)
    if texts is None:
        if len(_texts_among) >= _KINDS_AT_MOST:
            _texts_among.clear()
        places = [place for place, one in enumerate(types) if one in {str, bytes}]
        # With two empty slices, as a single place would give a cell instead of a list of some.
        texts = itemgetter(slice(0, 0), slice(0, 0), *places)
        _texts_among[types] = texts
    return sum(map(len, texts(row)))


def to_micros(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 (UTC)."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(0, 0, micros)  # by name it takes half as long again


def moment_text(micros: int) -> str:
    """Return microseconds since 1970 as ISO 8601 with Z; `moment_of` reads it back."""
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> int:
    """Return the microseconds since 1970 of a `moment_text`."""
    return to_micros(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _optional_time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def facts_to_text(facts: Facts) -> str | None:
    """Return the small facts and the reasons for unknown ones as JSON; documents stay out."""
    if not facts.values and not facts.unknown:
        return None
    return json.dumps(
        {"values": dict(facts.values), "unknown": dict(facts.unknown)}, separators=(",", ":")
    )


def facts_from_text(text: str | None) -> Facts:
    """Read what `facts_to_text` wrote.

    Raises:
        ValueError: It wrote something else.
    """
    if text is None:
        return _NO_FACTS
    if type(text) is not str or len(text) > _FACTS_AT_MOST:
        raise ValueError("these are no facts")
    try:
        kept = json.loads(text)
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in kept["values"].items()
        }
        unknown = kept["unknown"]
        others = [value for value in values.values() if type(value) not in _FACT_TYPES]
        are_facts = all(map(_is_list_of_texts, others))
        are_facts = are_facts and set(map(type, unknown.values())) <= {str}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("these are no facts") from error
    if not are_facts:
        raise ValueError("these are no facts")
    return Facts(values=values, unknown=unknown)


def _is_list_of_texts(value: Any) -> bool:
    return type(value) is tuple and set(map(type, value)) <= {str}


def run_from_row(
    row: Sequence[Any],
    sets: tuple[ParameterSet, ...],
    tags: Mapping[str, str],
    damaged: Sequence[str] = (),
) -> Run:
    """Build a run from a row of `statements.RunRow`, its parameter sets and its tags.

    What another program or a broken disk left in a cell is replaced by a stand-in, and the run
    says so.

    Args:
        row: Begins with these columns.
        sets: Its parameter sets.
        tags: Its tags.
        damaged: What of the sets and tags could not be read.
    """
    cells = row[:_COLUMNS]
    if tuple(map(type, cells)) in _sound_types:
        try:
            return _built(cells, sets, tags, damaged)
        except (ValueError, OverflowError):
            pass
    mended, names = _mended(RunRow._make(cells))
    if not names:
        _sound_types.add(tuple(map(type, mended)))
    return _built(mended, sets, tags, [*names, *damaged])


def mended_row(row: Sequence[Any]) -> RunRow:
    """Return the run that a row begins with, with stand-ins where need be."""
    return _mended(RunRow._make(row[:_COLUMNS]))[0]


def _mended(row: RunRow) -> tuple[RunRow, list[str]]:
    """Return a row of stand-ins for what cannot be, and the names of these columns."""
    stand_ins = {}
    for name, cell in zip(RunRow._fields, row, strict=True):
        is_sound, stand_in = _CELLS[name]
        if not is_sound(cell):
            stand_ins[name] = stand_in(cell)
    mended = row._replace(**stand_ins)
    if not mended.reference:
        mended = mended._replace(reference=f"run {mended.id}")
    return mended, list(stand_ins)


@functools.cache
def _run_class() -> type[Run]:
    """Return the class of runs, which only those who read load: asked for each row, once."""
    from runstore.model.run import Run

    return Run


def _built(
    row: Sequence[Any],
    sets: tuple[ParameterSet, ...],
    tags: Mapping[str, str],
    damaged: Sequence[str],
) -> Run:
    """Build a run from its row, its parameter sets and its tags."""
    # Taken apart at once, as one by one by name would take as long as all the rest.
    (
        _,
        uid,
        experiment,
        run_number,
        reference,
        timestamp,
        status,
        started_at,
        ended_at,
        last_seen_at,
        parent_uid,
        notes,
        error,
        traceback,
        exit_code,
        commit_hash,
        workdir_dirty,
        cli,
        full_store,
        reproduce,
        hostname,
        boot_id,
        pid,
        process_started,
        facts,
        block,
        deleted_at,
    ) = row
    process = None
    if hostname is not None:
        if not _is_pid(pid):
            raise ValueError("this is no process id")
        process = ProcessIdentity(
            hostname=hostname,
            boot_id=boot_id,
            pid=pid,
            started_ticks=process_started,
        )
    return _run_class()(
        uid=uid,
        experiment_name=experiment,
        run_number=run_number,
        reference=reference,
        timestamp=timestamp,
        status=Status(status),
        started_at=from_micros(started_at),
        ended_at=_optional_time(ended_at),
        last_seen_at=_optional_time(last_seen_at),
        parent_uid=parent_uid,
        notes=notes,
        error=error,
        traceback=traceback,
        exit_code=exit_code,
        commit=commit_hash,
        workdir_dirty=None if workdir_dirty is None else bool(workdir_dirty),
        cli=cli,
        full_store=bool(full_store),
        reproduce=reproduce,
        process=process,
        facts=facts_from_text(facts),
        block=block,
        deleted_at=_optional_time(deleted_at),
        parameter_sets=sets,
        tags=tags,
        damaged=tuple(damaged),
    )


def set_from_row(row: Sequence[Any]) -> ParameterSet:
    """Build a parameter set from a row of `statements.SETS_OF_RUNS`.

    Values that cannot be read are as good as unknown.
    """
    tree = row[3] if row[3] is None or is_tree(row[3]) else None
    file = as_optional_text(row[4])
    return ParameterSet(name=as_text(row[1]), hash=as_text(row[2]), tree=tree, file=file)


def is_sound_set(row: Sequence[Any], made: ParameterSet) -> bool:
    """Return whether a set has all that its row holds."""
    return (made.name, made.hash, made.tree, made.file) == (row[1], row[2], row[3], row[4])
