"""Comparing and ranking at 10,000 and 100,000 runs with 20 parameters and 10 metrics each."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from finding import SIZES, fill
from timing import median_ms, spent_ms

from runstore import Store

ROUNDS = 9
REPEATS = 200


def calls(store: Store) -> dict[str, float]:
    """Return the time of each call, in milliseconds."""
    runs = store.list("exp_3", limit=20)
    names = [run.uid for run in runs]
    repeats = store.find(experiment="exp_3", limit=REPEATS)
    return {
        "`compare` of 2 runs": median_ms(lambda: store.compare(*names[:2]), ROUNDS),
        "`compare` of 20 runs": median_ms(lambda: store.compare(*names), ROUNDS),
        "`explain` of 2 runs": median_ms(lambda: store.explain(*names[:2], "m1"), ROUNDS),
        f"`best` of {REPEATS} runs in {REPEATS // 10} groups": median_ms(
            lambda: repeats.best("m1", over=OVER), ROUNDS
        ),
    }


# All that differs from run to run but `options.C`, which makes ten groups.
OVER = ["lr", "model", "batch-size", *(f"p{n}" for n in range(14))]


def processes(folder: Path) -> dict[str, float]:
    """Return the time of each command as a whole process, in milliseconds."""
    with Store.open(folder) as store:
        a, b = (run.reference for run in store.list("exp_3", limit=2))
    commands = {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`runstore diff A B`": ["diff", a, b],
        "`runstore why A B`": ["why", a, b],
        "`runstore compare exp_3`, 20 runs": ["compare", "exp_3"],
    }
    whole = {
        name: words
        if words[0] == sys.executable
        else [sys.executable, "-m", "runstore", "--store", str(folder), *words]
        for name, words in commands.items()
    }
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, words in whole.items():
            command = partial(subprocess.run, words, check=True, capture_output=True)
            times.setdefault(name, []).append(spent_ms(command))
    return {name: statistics.median(some) for name, some in times.items()}


def main() -> None:
    """Print a table."""
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    rows: dict[str, list[float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size)
            with Store.open(folder) as store:
                measured = calls(store)
            for name, spent in (measured | processes(Path(folder))).items():
                rows.setdefault(name, []).append(spent)
    print("| call or process | " + " | ".join(f"{size:,} runs, ms" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
