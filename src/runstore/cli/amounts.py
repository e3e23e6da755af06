"""Deleted runs and freed bytes, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runstore.model.display.as_json import as_utc
from runstore.model.display.formatting import counted, size_text
from runstore.model.results.deletion import Amount, Freed
from runstore.model.run import Run


def bytes_text(amount: Amount) -> str:
    """Return the exact size, and a rounded one if that is shorter: `2,345,678 bytes (2.3 MB)`."""
    exact = counted(amount.size_bytes, "byte")
    legible = size_text(amount.size_bytes)
    return exact if "byte" in legible else f"{exact} ({legible})"


def freed_text(freed: Freed) -> str:
    """Return the size of all files, and their kinds."""
    parts = [
        f"{counted(amount.files, kind)}{rest}"
        for amount, kind, rest in (
            (freed.contents, "saved file", ""),  # in a folder, a database or a bucket
            (freed.folders, "file", " in run folders"),
            (freed.leftovers, "file", " left by crashes"),
        )
        if amount
    ]
    return f"{bytes_text(freed.total)}{': ' if parts else ''}{', '.join(parts)}"


def freed_as_json(freed: Freed) -> dict[str, Any]:
    """Return the files and bytes of each kind, and in total."""
    kinds = {
        "contents": freed.contents,
        "folders": freed.folders,
        "leftovers": freed.leftovers,
        "total": freed.total,
    }
    return {name: amount_as_json(amount) for name, amount in kinds.items()}


def amount_as_json(amount: Amount) -> dict[str, int]:
    """Return files and bytes."""
    return {"files": amount.files, "size_bytes": amount.size_bytes}


def runs_in_trash_as_json(runs: Iterable[Run]) -> dict[str, Any]:
    """Return names of deleted runs, and the times of their deletion."""
    return {
        "runs": [
            {
                "reference": run.reference,
                "uid": run.uid,
                "deleted_at": None if run.deleted_at is None else as_utc(run.deleted_at),
            }
            for run in runs
        ]
    }
