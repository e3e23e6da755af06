"""What the first use of runstore in a process costs: whole processes, beside `python -c pass`.

All take their turns, round by round, so that what else the machine does hits all of them alike. On
a machine that others use too, the CPU time (with that of children) is the steadier figure.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filled_stores import fill

ROUNDS = 21
RUNS = 300

_BARE_SQLITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1] + "/bare.db", isolation_level=None)
connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
connection.execute("CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, name, state, params)")
run = connection.execute(
    "INSERT INTO runs (name, state, params) VALUES (?, ?, ?)", ("first", "running", '{"lr": 0.1}')
).lastrowid
connection.execute("UPDATE runs SET state = 'finished' WHERE id = ?", (run,))
"""
_NAMES = "import runstore; runstore.start_run; runstore.Store"
_RUN = (
    "import sys, runstore; runstore.start_run("
    "'first', params={{'lr': 0.1}}, store=sys.argv[1], capture={capture}).finish()"
)
_SCRIPT = """
import sys, runstore
with runstore.start_run("first", params={"lr": 0.1}, store=sys.argv[1], output=True) as run:
    run.log(loss=0.5)
    run.tags["by"] = "me"
    print("done", file=sys.stderr)
    run.save("weights.bin", b"abc")
"""


def main() -> None:
    """Print the medians, and what each adds to a bare interpreter."""
    # In the folder of the call, which git and the package list are then asked about.
    with tempfile.TemporaryDirectory(dir=".") as name:
        fill(Path(name, "filled"), RUNS)
        Path(name, "empty").mkdir()
        ls = ["-m", "runstore", "--store", f"{name}/filled", "ls"]
        _print_table(
            {
                "python -c pass": ["-c", "pass"],
                "sqlite3, a row written and ended": ["-c", _BARE_SQLITE, name],
                "import sqlite3, json, threading": ["-c", "import sqlite3, json, threading"],
                "import runstore": ["-c", "import runstore"],
                "the names: start_run, Store": ["-c", _NAMES],
                "start and finish, without capture": [
                    "-c",
                    _RUN.format(capture=False),
                    f"{name}/empty",
                ],
                "start and finish, with capture": [
                    "-c",
                    _RUN.format(capture=True),
                    f"{name}/empty",
                ],
                "a metric, a tag, a line and a file, with capture": [
                    "-c",
                    _SCRIPT,
                    f"{name}/empty",
                ],
                "runstore --version": ["-m", "runstore", "--version"],
                "runstore ls": ls,
                "runstore ls FILTER": [*ls, "params.param_0 < 0.1"],
            }
        )


def _print_table(commands: dict[str, list[str]]) -> None:
    """Run the commands in turns and print what each takes."""
    walls: dict[str, list[float]] = {label: [] for label in commands}
    works: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(ROUNDS + 1):
        for label, arguments in commands.items():
            wall, work = _process_ms(arguments)
            walls[label].append(wall)
            works[label].append(work)
    # As after an installation with pip, which compiles: the first round does, and is left out.
    wall_medians = {label: statistics.median(times[1:]) for label, times in walls.items()}
    work_medians = {label: statistics.median(times[1:]) for label, times in works.items()}
    bare_wall, bare_work = wall_medians["python -c pass"], work_medians["python -c pass"]
    print(f"| first use ({RUNS} runs kept) | median, ms | added, ms | CPU time added, ms |")
    print("|---|---|---|---|")
    for label, wall in wall_medians.items():
        work = work_medians[label] - bare_work
        print(f"| {label} | {wall:.1f} | {wall - bare_wall:+.1f} | {work:+.1f} |")


def _process_ms(arguments: list[str]) -> tuple[float, float]:
    """Run Python and return how long it took, and the CPU time of it and its children."""
    begin, before = time.perf_counter(), _children_s()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )
    return (time.perf_counter() - begin) * 1e3, (_children_s() - before) * 1e3


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
