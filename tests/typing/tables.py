"""Code that reads many runs into a table, as users write it."""

from datetime import datetime
from pathlib import Path
from typing import Any

import runstore


def best(folder: Path) -> dict[str, float]:
    """Return the smallest loss of each run."""
    found: dict[str, float] = {}
    with runstore.Store.open(folder) as store:
        table = store.points(store.list("mnist"), "loss", limit=500)
        total: int = len(table)
        runs: tuple[str, ...] = table.runs
        for point in table:
            step: int = point.step
            time: datetime = point.time
            name: str | None = point.set
            if step >= 0 and total and runs and time and name is None:
                found[point.run] = min(point.value, found.get(point.run, point.value))
    return found


def frames(store: runstore.Store, run: runstore.Run) -> list[Any]:
    """Hand the points to each library."""
    table = store.points([run, "mnist#1"], ["loss", "val/*"])
    wide = store.points(run).to_pandas(wide=True)
    return [table.to_pandas(), wide, table.to_polars(), table.to_arrow()]
