"""Reading the points of many runs into one table, and handing it to each library."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from timing import median_ms

from runstore import Store

ROUNDS = 5
KINDS = ((1000, 10, 100), (10, 1, 1_000_000))


def fill(store: Store, runs: int, keys: int, points: int) -> None:
    """Record runs with so many points of each key."""
    values = [0.1 * step for step in range(points)]
    for _ in range(runs):
        with store.start("bench", capture=False) as run:
            for key in range(keys):
                run.log_points(f"train/k{key}", values)


def measure(runs: int, keys: int, points: int) -> None:
    """Print the medians of one kind of store."""
    with tempfile.TemporaryDirectory(dir=".") as name, Store.open(Path(name)) as store:
        fill(store, runs, keys, points)
        page = store.list(limit=1000)
        table = store.points(page)
        works = {
            "one run after the other, `metric`": lambda: [
                run.metric(f"train/k{key}") for run in page for key in range(keys)
            ],
            "`points`": lambda: store.points(page),
            "`points` of one key": lambda: store.points(page, "train/k0"),
            "`points`, 500 of a series": lambda: store.points(page, limit=500),
            "`to_pandas`": table.to_pandas,
            "`to_pandas(wide=True)`": lambda: table.to_pandas(wide=True),
            "`to_polars`": table.to_polars,
            "`to_arrow`": table.to_arrow,
        }
        print(f"| {runs:,} runs, {keys} keys, {points:,} points each | median |")
        print("|---|---|")
        for label, work in works.items():
            work()  # imports and compiles
            print(f"| {label} | {median_ms(work, ROUNDS):,.0f} ms |", flush=True)
        sizes = {
            "pandas": table.to_pandas().memory_usage(deep=True).sum(),
            "polars": table.to_polars().estimated_size(),
            "arrow": table.to_arrow().nbytes,
        }
        for label, size in sizes.items():
            print(f"| {label}, in memory | {size / len(table):.1f} bytes a point |")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| peak of the process | {peak:,.0f} MB |\n")


def main() -> None:
    """Print medians."""
    for kind in KINDS:
        measure(*kind)


if __name__ == "__main__":
    main()
