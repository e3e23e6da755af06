"""Explanations as JSON."""

from __future__ import annotations

from typing import Any

from runstore.analysis.compare.as_json import (
    change_as_json,
    difference_as_json,
    gaps_as_json,
    run_name_as_json,
)
from runstore.analysis.explain.explanation import Explanation


def explanation_as_json(found: Explanation) -> dict[str, Any]:
    """Return an explanation; its causes have the likeliest one first."""
    change = found.change
    return {
        "runs": [run_name_as_json(run) for run in found.runs],
        "metric": found.metric,
        "values": list(found.values),
        "change": None if change is None else change_as_json(change),
        "causes": [
            {"weight": one.weight, "reason": one.reason, **difference_as_json(one.difference)}
            for one in found.causes
        ],
        "unknown": gaps_as_json(found.gaps, found.runs),
        "remarks": list(found.remarks),
        "runs_seen": found.runs_seen,
    }
