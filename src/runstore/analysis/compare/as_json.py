"""Comparisons as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runstore.analysis.compare.code_changes import CodeChanges
from runstore.analysis.compare.differences import MISSING, Difference, FileContents, Gap, Unknown
from runstore.analysis.compare.texts import Change, change_of
from runstore.model.run import Run

if TYPE_CHECKING:
    from runstore.analysis.compare.comparison import Comparison


def run_name_as_json(run: Run) -> dict[str, Any]:
    """Return the names of a run."""
    return {"reference": run.reference, "uid": run.uid}


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """Return the differences of runs, and what is unknown of them."""
    return {
        "runs": [run_name_as_json(run) for run in found.runs],
        "differences": [difference_as_json(one) for one in found],
        "unknown": gaps_as_json(found.gaps, found.runs),
    }


def difference_as_json(one: Difference) -> dict[str, Any]:
    """Return a difference: a value for each run, null if it is missing or unknown.

    `missing` and `unknown` are the places of such runs, from 0; a change of a metric between two
    runs is added.
    """
    is_duration = (one.section, one.key) == ("status", "duration")
    change = change_of(one)
    places = list(enumerate(one.values))
    return {
        "section": one.section,
        "key": "duration_s" if is_duration else one.key,
        "values": [_value(value, is_duration=is_duration) for value in one.values],
        "missing": [place for place, value in places if value is MISSING],
        "unknown": [place for place, value in places if isinstance(value, Unknown)],
        **({} if change is None else {"change": change_as_json(change)}),
    }


def _value(value: Any, *, is_duration: bool) -> Any:
    if value is MISSING or isinstance(value, Unknown):
        return None
    if isinstance(value, FileContents):
        return {"digest": value.digest, "size_bytes": value.size_bytes}
    if is_duration and isinstance(value, timedelta):
        return value.total_seconds()
    return value


def change_as_json(change: Change) -> dict[str, float | None]:
    """Return the change of a number; `relative` is a share, or null."""
    return {"absolute": change.absolute, "relative": change.relative}


def gaps_as_json(gaps: Sequence[Gap], runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return the gaps of runs."""
    return [
        {"what": gap.name, "run": runs[gap.place].reference, "reason": gap.reason} for gap in gaps
    ]


def code_as_json(code: CodeChanges) -> dict[str, Any]:
    """Return the differences of the code."""
    return {
        "is_known": code.is_known,
        "remarks": list(code.remarks),
        "files": [
            {
                "kind": one.kind,
                "old_path": one.old,
                "new_path": one.new,
                "added": one.added,
                "removed": one.removed,
                "remark": one.remark,
                "diff": one.diff,
            }
            for one in code.files
        ],
        "other_new_files": list(code.data),
    }
