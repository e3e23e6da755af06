"""Rows to values and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params import ParameterSet
from runstore.model.status import Status

if TYPE_CHECKING:
    from runstore.model.run import Run

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 (UTC)."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


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
    """Read what `facts_to_text` wrote."""
    if text is None:
        return Facts()
    kept = json.loads(text)
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept["values"].items()
    }
    return Facts(values=values, unknown=kept["unknown"])


def run_from_row(
    row: Sequence[Any], sets: tuple[ParameterSet, ...], tags: Mapping[str, str]
) -> Run:
    """Build a run from a row of `statements.RUN_COLUMNS`, its parameter sets and its tags."""
    from runstore.model.run import Run

    process = None
    if row[20] is not None:
        process = ProcessIdentity(
            hostname=row[20], boot_id=row[21], pid=row[22], started_ticks=row[23]
        )
    return Run(
        uid=row[1],
        experiment_name=row[2],
        run_number=row[3],
        reference=row[4],
        timestamp=row[5],
        status=Status(row[6]),
        started_at=from_micros(row[7]),
        ended_at=_optional_time(row[8]),
        last_seen_at=_optional_time(row[9]),
        parent_uid=row[10],
        notes=row[11],
        error=row[12],
        traceback=row[13],
        exit_code=row[14],
        commit=row[15],
        workdir_dirty=None if row[16] is None else bool(row[16]),
        cli=row[17],
        full_store=bool(row[18]),
        reproduce=row[19],
        process=process,
        facts=facts_from_text(row[24]),
        block=row[25],
        deleted_at=_optional_time(row[26]),
        parameter_sets=sets,
        tags=tags,
    )


def set_from_row(row: Sequence[Any]) -> ParameterSet:
    """Build a parameter set from a row of `statements.SETS_OF_RUNS`."""
    return ParameterSet(name=row[1], hash=row[2], tree=row[3], file=row[4])
