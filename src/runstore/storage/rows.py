"""Conversion between rows and values, robust against damaged cells.

SQLite accepts any value in any column. A cell written by another program, a broken disk or an
attacker is converted to the expected type or replaced by a placeholder, so that it affects only
its own run.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter

from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params.decode import is_tree
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.storage.statements import RunRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.run import Run

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FACTS_AT_MOST = 4 << 20  # characters
_FACT_TYPES = frozenset({str, int, float, bool})
_PIDS = range(2**31)
_STATUSES = frozenset(one.value for one in Status)
# Placeholder for a value that is too long to be read.
TOO_LONG = Ellipsis


def as_text(cell: Any, default: str = "") -> str:
    """Return a cell as text."""
    if type(cell) is str:
        return cell
    if cell is None or cell is TOO_LONG:
        return default
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)


def as_optional_text(cell: Any) -> str | None:
    """Return a cell as text or None."""
    return None if cell is None else as_text(cell)


def as_int(cell: Any, default: int = 0) -> int:
    """Return a cell as an integer."""
    return cell if type(cell) is int else default


def as_optional_int(cell: Any) -> int | None:
    """Return a cell as an integer or None."""
    return cell if type(cell) is int else None


def as_number(cell: Any) -> float | None:
    """Return a cell as a number; None, the same as NaN, if it is anything else."""
    return cell if type(cell) in {float, int} else None


def as_time(cell: Any) -> datetime:
    """Return a cell of microseconds since 1970 as a time; the start of 1970 if it is invalid."""
    try:
        return _EPOCH + timedelta(microseconds=cell) if type(cell) is int else _EPOCH
    except OverflowError:
        return _EPOCH


def as_optional_time(cell: Any) -> datetime | None:
    """Return a cell of microseconds since 1970 as a time or None."""
    return None if cell is None else as_time(cell)


def is_text(cell: Any) -> bool:
    """Check whether a cell is a text."""
    return type(cell) is str


def is_optional_text(cell: Any) -> bool:
    """Check whether a cell is a text or NULL."""
    return cell is None or type(cell) is str


def is_uid(value: object) -> bool:
    """Check whether a value is the uid of a run; it becomes a part of file names."""
    form = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    return isinstance(value, str) and re.fullmatch(form, value) is not None


def is_digest(value: object) -> bool:
    """Check whether a value is a SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_int(cell: Any) -> bool:
    """Check whether a cell is an integer."""
    return type(cell) is int


def is_optional_int(cell: Any) -> bool:
    """Check whether a cell is an integer or NULL."""
    return cell is None or type(cell) is int


def is_time(cell: Any) -> bool:
    """Check whether a cell is a time that `datetime` can represent."""
    try:
        return type(cell) is int and bool(_EPOCH + timedelta(microseconds=cell))
    except OverflowError:
        return False


def is_optional_time(cell: Any) -> bool:
    """Check whether a cell is such a time or NULL."""
    return cell is None or is_time(cell)


def mapping_of(text: str | None) -> dict[str, str]:
    """Return a JSON mapping of strings; empty for None.

    Raises:
        ValueError: The text is not such a mapping.
    """
    try:
        kept = json.loads(text or "{}")
        if all(map(is_text, (*kept.keys(), *kept.values()))):
            return dict(kept)
    except (AttributeError, RecursionError):
        pass
    raise ValueError("not a mapping of strings")


def pairs_of_texts(rows: Sequence[Any]) -> dict[str, str]:
    """Return rows of two texts as a mapping."""
    return {as_text(key): as_text(value) for key, value in rows}


def grouped(rows: Iterable[Any]) -> Mapping[int, list[Any]]:
    """Group rows by their first column, which is omitted."""
    found: dict[int, list[Any]] = defaultdict(list)
    for first, *rest in rows:
        found[first].append(rest)
    return found


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
    # A final status, because there is no evidence of a process to wait for.
    return Status.LOST.value


# By column of a run: the check of a cell, and the placeholder if the check fails.
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
# Types of rows without damage: most rows have the same ones.
_sound_types: set[tuple[type, ...]] = set()
# By the types of a row: the function that selects its text cells.
_texts_among: dict[tuple[type, ...], Callable[[Sequence[Any]], Sequence[Any]]] = {}
_KINDS_AT_MOST = 100
_NO_FACTS = Facts()


def length_of_texts(row: Sequence[Any]) -> int:
    """Return the total length of a row's texts and blobs."""
    types = tuple(map(type, row))
    texts = _texts_among.get(types)
    if texts is None:
        if len(_texts_among) >= _KINDS_AT_MOST:
            _texts_among.clear()
        places = [place for place, one in enumerate(types) if one in {str, bytes}]
        # Two empty slices ensure a tuple of cells even if the row has a single text.
        texts = itemgetter(slice(0, 0), slice(0, 0), *places)
        _texts_among[types] = texts
    return sum(map(len, texts(row)))


def now_micros() -> int:
    """Return the current time in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


def to_micros(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 (UTC)."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(0, 0, micros)  # keyword arguments take 50 % longer


def moment_text(micros: int) -> str:
    """Return microseconds since 1970 as ISO 8601 with Z; the inverse of `moment_of`."""
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> int:
    """Return the microseconds since 1970 of a `moment_text`."""
    return to_micros(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _optional_time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def facts_to_text(facts: Facts) -> str | None:
    """Return small facts and the reasons for unknown ones as JSON, without documents."""
    if not facts.values and not facts.unknown:
        return None
    return json.dumps(
        {"values": dict(facts.values), "unknown": dict(facts.unknown)}, separators=(",", ":")
    )


def facts_from_text(text: str | None) -> Facts:
    """Parse the JSON of `facts_to_text`.

    Raises:
        ValueError: The text is in another format.
    """
    if text is None:
        return _NO_FACTS
    if type(text) is not str or len(text) > _FACTS_AT_MOST:
        raise ValueError("not a record of facts")
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
        raise ValueError("not a record of facts") from error
    if not are_facts:
        raise ValueError("not a record of facts")
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

    Damaged cells are replaced by placeholders and listed in `Run.damaged`. `damaged` names
    unreadable parameter sets and tags.
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
    """Return the run at the beginning of a row, with placeholders for damaged cells."""
    return _mended(RunRow._make(row[:_COLUMNS]))[0]


def _mended(row: RunRow) -> tuple[RunRow, list[str]]:
    """Return a row with placeholders for invalid cells, and the names of their columns."""
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
    """Return the class `Run`, which only readers load; cached because it is used for every row."""
    from runstore.model.run import Run

    return Run


def _built(
    row: Sequence[Any],
    sets: tuple[ParameterSet, ...],
    tags: Mapping[str, str],
    damaged: Sequence[str],
) -> Run:
    """Build a run from its row, its parameter sets and its tags."""
    # Unpacked at once, because access by name would take as long as everything else together.
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
            raise ValueError("not a process id")
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

    Unreadable values are omitted as if unknown.
    """
    tree = row[3] if row[3] is None or is_tree(row[3]) else None
    file = as_optional_text(row[4])
    return ParameterSet(name=as_text(row[1]), hash=as_text(row[2]), tree=tree, file=file)


def is_sound_set(row: Sequence[Any], made: ParameterSet) -> bool:
    """Check whether a set was read from its row without loss."""
    return (made.name, made.hash, made.tree, made.file) == (row[1], row[2], row[3], row[4])
