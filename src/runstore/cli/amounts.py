"""What a deletion frees, as people read it and as JSON."""

from __future__ import annotations

from typing import Any

from runstore.model.display.formatting import size_text
from runstore.model.results.deletion import Amount, Freed


def counted(count: int, what: str) -> str:
    """Return `1 run` or `3 runs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def bytes_text(amount: Amount) -> str:
    """Return the exact size, and the same as a person says it: `2,345,678 bytes (2.3 MB)`."""
    exact = counted(amount.size_bytes, "byte")
    legible = size_text(amount.size_bytes)
    return exact if "byte" in legible else f"{exact} ({legible})"


def freed_text(freed: Freed) -> str:
    """Return the size of all files, and where they are."""
    parts = [
        f"{counted(amount.files, 'file')} {where}"
        for amount, where in (
            (freed.contents, "in objects/"),
            (freed.folders, "in run folders"),
            (freed.leftovers, "left by crashes"),
        )
        if amount
    ]
    return f"{bytes_text(freed.total)}{': ' if parts else ''}{', '.join(parts)}"


def freed_as_json(freed: Freed) -> dict[str, Any]:
    """Return the files and bytes of each kind, and of all together."""
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
