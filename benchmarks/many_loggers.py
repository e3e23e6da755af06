"""Sixteen runs that log at once, one call a point, while a reader lists and reads."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from runstore import Store
from runstore.errors import NotFoundError

RUNS = 16
POINTS = 200_000
LOGGER = """
import sys, time, runstore
run = runstore.Store.open(sys.argv[1]).start("many", capture=False)
log = run.log
begin = time.perf_counter()
for step in range(int(sys.argv[2])):
    log(loss=0.5)
print(time.perf_counter() - begin)
run.finish()
"""


def main() -> None:
    """Print how fast they logged, how long the reader waited, and that nothing is missing."""
    with tempfile.TemporaryDirectory(dir=".") as folder, Store.open(folder) as store:
        begin = time.perf_counter()
        loggers = [
            subprocess.Popen(
                [sys.executable, "-c", LOGGER, folder, str(POINTS)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(RUNS)
        ]
        listed, read = [], []
        while any(one.poll() is None for one in loggers):
            spent, runs = timed(lambda: store.list(limit=20).items)
            if len(runs) == RUNS:
                listed.append(spent)
            for run in runs[:1]:
                with suppress(NotFoundError):  # it has logged nothing yet
                    read.append(timed(lambda: run.metric("loss"))[0])  # noqa: B023 - called at once
        whole = time.perf_counter() - begin
        slowest = max(float(one.communicate()[0]) for one in loggers)
        counts = {run.metrics["loss"].count for run in store.list(limit=100)}
        assert counts == {POINTS}, counts
        size = (Path(folder) / "runstore.db").stat().st_size / (RUNS * POINTS)
    print("| 16 runs log 200,000 points each, at once | |")
    print("|---|---|")
    print(f"| points a second, all together, calls alone | {RUNS * POINTS / slowest:,.0f} |")
    print(f"| from the first start to the last end | {whole:.1f} s |")
    print(
        f"| a list of 20 runs meanwhile | median {statistics.median(listed):.1f} ms,"
        f" worst {max(listed):.0f} ms, {len(listed)} times |"
    )
    print(
        f"| a series of a live run meanwhile | median {statistics.median(read):.1f} ms,"
        f" worst {max(read):.0f} ms |"
    )
    print(f"| missing points | 0; {size:.1f} bytes a point on disk |")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds that a call took, and its result."""
    begin = time.perf_counter()
    result = work()
    return (time.perf_counter() - begin) * 1e3, result


if __name__ == "__main__":
    main()
