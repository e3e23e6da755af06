"""Whole processes: import runstore, and `runstore ls` at 100,000 runs, beside `python -c pass`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from filled_stores import fill
from timing import spent_ms

ROUNDS = 21
RUNS = 100_000


def main() -> None:
    """Print the medians, and what each adds to a bare interpreter."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        fill(Path(name), RUNS)
        commands = {
            "python -c pass": ["-c", "pass"],
            "import runstore": ["-c", "import runstore"],
            "import runstore, Store loaded": ["-c", "from runstore import Store"],
            "runstore ls": ["-m", "runstore", "--store", name, "ls"],
            "runstore ls --json": ["-m", "runstore", "--store", name, "ls", "--json"],
        }
        times: dict[str, list[float]] = {label: [] for label in commands}
        # As after an installation with pip, which compiles: the first round does, and is left out.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(ROUNDS + 1):
            for label, arguments in commands.items():
                words = [sys.executable, *arguments]
                options = {"check": True, "capture_output": True, "env": environment}
                times[label].append(spent_ms(partial(subprocess.run, words, **options)))
    times = {label: values[1:] for label, values in times.items()}
    bare = statistics.median(times["python -c pass"])
    print(f"| process ({RUNS:,} runs kept) | median, ms | added, ms |")
    print("|---|---|---|")
    for label, values in times.items():
        median = statistics.median(values)
        print(f"| `{label}` | {median:.1f} | {median - bare:+.1f} |")


if __name__ == "__main__":
    main()
