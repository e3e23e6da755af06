"""Start, finish, get and list at growing numbers of runs, beside bare sqlite3 in the same run.

Also a fresh process that opens the store and starts a run, imports left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from filled_stores import Bare, fill, params_of

from runstore import Store

ROUNDS = 300
FRESH_ROUNDS = 25

FRESH = """
import sys, time
sys.path.insert(0, {here!r})
from filled_stores import Bare, params_of
from runstore import Store
import runstore.capture.program.command, runstore.capture.machine.process
import runstore.model.params.build
from pathlib import Path
which, folder = sys.argv[1], Path(sys.argv[2])
begin = time.perf_counter()
if which == "ours":
    store = Store.open(folder)
    store.start("bench_1", params=params_of(1), capture=False)
else:
    Bare(folder / "bare.db").start("bench_1", params_of(1))
print(time.perf_counter() - begin)
import os; sys.stdout.flush(); os._exit(0)
"""


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Return the milliseconds that a call took, and its result."""
    begin = time.perf_counter()
    result = work()
    return (time.perf_counter() - begin) * 1e3, result


def measure(folder: Path) -> dict[str, float]:
    """Return medians in milliseconds; ours and the baseline take turns."""
    times: dict[str, list[float]] = {}
    bare = Bare(folder / "bare.db")
    with Store.open(folder) as store:
        for n in range(ROUNDS):
            params = params_of(n)
            spent, run = timed(lambda: store.start("bench_1", params=params, capture=False))  # noqa: B023 - called at once
            times.setdefault("start", []).append(spent)
            spent, run_id = timed(lambda: bare.start("bench_1", params))  # noqa: B023 - called at once
            times.setdefault("bare start", []).append(spent)
            times.setdefault("finish", []).append(timed(run.finish)[0])
            times.setdefault("bare finish", []).append(timed(lambda: bare.finish(run_id))[0])  # noqa: B023 - called at once
            reference = run.reference
            times.setdefault("get", []).append(timed(lambda: store.get(reference))[0])  # noqa: B023 - called at once
            times.setdefault("list 20", []).append(timed(lambda: store.list(limit=20))[0])
            times.setdefault("list 20 of one", []).append(
                timed(lambda: store.list("bench_2", limit=20) if n else None)[0]  # noqa: B023 - called at once
            )
    medians = {name: statistics.median(values) for name, values in times.items()}
    rounds = [(fresh("ours", folder), fresh("bare", folder)) for _ in range(FRESH_ROUNDS)]
    medians["fresh ours"] = statistics.median(ours for ours, _ in rounds)
    medians["fresh bare"] = statistics.median(bare for _, bare in rounds)
    return medians


def fresh(which: str, folder: Path) -> float:
    """Return the milliseconds that a new process needs to open and start, imports left out."""
    code = FRESH.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, which, str(folder)]
    # As after an installation with pip, which compiles.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(ended.stdout) * 1e3


def main(sizes: list[int]) -> None:
    """Print one row per size."""
    print(
        "| runs kept | start | bare | ratio | finish | bare | get | newest 20 | of one experiment"
        " | fresh process | bare | ratio |"
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
            f" | {m['start'] / m['bare start']:.2f} | {m['finish']:.3f} | {m['bare finish']:.3f}"
            f" | {m['get']:.3f} | {m['list 20']:.3f} | {m['list 20 of one']:.3f}"
            f" | {m['fresh ours']:.2f} | {m['fresh bare']:.2f}"
            f" | {m['fresh ours'] / m['fresh bare']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [10, 1_000, 100_000, 1_000_000])
