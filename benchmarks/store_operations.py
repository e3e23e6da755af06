"""Start, finish, get and list at growing numbers of runs, beside bare sqlite3 in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filled_stores import Bare, fill, params_of

from runstore import Store

T = TypeVar("T")
ROUNDS = 300


class Times(dict[str, list[tuple[float, float]]]):
    """Wall and CPU time of each call, in milliseconds, by its name."""

    def of(self, name: str, work: Callable[[], T]) -> T:
        """Call something, note what it took, and return its result."""
        begin, busy = time.perf_counter(), time.thread_time()
        result = work()
        spent = (time.perf_counter() - begin) * 1e3, (time.thread_time() - busy) * 1e3
        self.setdefault(name, []).append(spent)
        return result


def measure(folder: Path) -> dict[str, float]:
    """Return medians in milliseconds, those of CPU time as `CPU of`; ours and bare take turns."""
    times = Times()
    bare = Bare(folder / "bare.db")
    with Store.open(folder) as store:

        def ours(params: dict[str, object]) -> str:
            run = times.of("start", lambda: store.start("bench_1", params=params, capture=False))
            times.of("finish", run.finish)
            return run.reference

        def theirs(params: dict[str, object]) -> None:
            run_id = times.of("bare start", lambda: bare.start("bench_1", params))
            times.of("bare finish", lambda: bare.finish(run_id))

        # Each is first in every second round: what ran before decides what is in the caches.
        references = [""] * ROUNDS
        for n in range(ROUNDS):
            params = params_of(n)
            if n % 2:
                theirs(params)
            references[n] = ours(params)
            if not n % 2:
                theirs(params)
        for reference in references:
            times.of("get", lambda: store.get(reference))  # noqa: B023 - called at once
            times.of("list 20", lambda: store.list(limit=20))
            times.of("list 20 of one", lambda: store.list("bench_2", limit=20))
    bare.connection.close()
    medians = {name: statistics.median(wall for wall, _ in one) for name, one in times.items()}
    for name, one in times.items():
        medians[f"CPU of {name}"] = statistics.median(cpu for _, cpu in one)
    return medians


def main(sizes: list[int]) -> None:
    """Print one row per size."""
    print(
        "| runs kept | start | bare | ratio | CPU time | bare | ratio | finish | bare | get"
        " | newest 20 | of one experiment |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as name:
            folder = Path(name)
            fill(folder, size)
            bare = Bare(folder / "bare.db", create=True)
            bare.fill(size)
            bare.connection.close()
            m = measure(folder)
        print(
            f"| {size:,} | {m['start']:.3f} | {m['bare start']:.3f}"
            f" | {m['start'] / m['bare start']:.2f}"
            f" | {m['CPU of start']:.3f} | {m['CPU of bare start']:.3f}"
            f" | {m['CPU of start'] / m['CPU of bare start']:.2f}"
            f" | {m['finish']:.3f} | {m['bare finish']:.3f}"
            f" | {m['get']:.3f} | {m['list 20']:.3f} | {m['list 20 of one']:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [10, 1_000, 100_000, 1_000_000])
