"""A fresh process that opens a store and starts a run, beside the same in bare sqlite3.

Imports have a row of their own: a first process lists the modules that opening and starting load,
and each later process imports them before it opens the store. Both programs take turns, round by
round. Each process ends in good order, so that the next one finds no log to recover.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from filled_stores import Bare, fill, params_of

ROUNDS = 51
RUNS = 1_000_000

_LAPS = """
import json, os, sys, time
laps = {}
def lap(name): laps[name] = time.perf_counter(), time.process_time()
here, folder, modules, params = json.load(sys.stdin)
lap("begun")
"""
_OURS = """
from runstore import Store
loaded = set(sys.modules)
for name in modules: __import__(name)
lap("imported")
lap("ready")
store = Store.open(folder)
lap("opened")
run = store.start("bench_1", params=params, capture=False)
lap("started")
print(json.dumps([laps, [name for name in sys.modules if name not in loaded]]), flush=True)
run.finish()
store.close()
"""
_BARE = """
import hashlib, sqlite3
lap("imported")
sys.path.append(here)
from filled_stores import Bare
lap("ready")
bare = Bare(folder + "/bare.db")
lap("opened")
run = bare.start("bench_1", params)
lap("started")
print(json.dumps([laps, []]), flush=True)
bare.finish(run)
bare.connection.close()
"""
_PROGRAMS = {"runstore": _OURS, "bare sqlite3": _BARE}
_PARTS = {
    "imports": ("begun", "imported"),
    "open": ("ready", "opened"),
    "start": ("opened", "started"),
    "open and start": ("ready", "started"),
}
# Wall and CPU time, in seconds, by lap.
Laps = dict[str, tuple[float, float]]


def main(runs: int) -> None:
    """Print medians and minima of each part, and their ratios."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        fill(folder, runs)
        bare = Bare(folder / "bare.db", create=True)
        bare.fill(runs)
        bare.connection.close()
        _print_table(runs, _measured(folder))


def _measured(folder: Path) -> dict[str, list[Laps]]:
    """Return the laps of every process, by program."""
    _, modules = _process(_OURS, folder, [])
    found: dict[str, list[Laps]] = {label: [] for label in _PROGRAMS}
    for _ in range(ROUNDS):
        for label, program in _PROGRAMS.items():
            found[label].append(_process(program, folder, modules)[0])
    return found


def _process(program: str, folder: Path, modules: list[str]) -> Any:
    """Return what a process prints: its laps, and the modules that opening and starting loaded."""
    here = os.fspath(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", _LAPS + program],
        # Arguments would be kept with the run, and searched for secrets first.
        input=json.dumps([here, str(folder), modules, params_of(1)]),
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            # As after an installation with pip, which compiles.
            "PYTHONDONTWRITEBYTECODE": "",
            # Without the files in flight of other stores of this user.
            "XDG_STATE_HOME": str(folder.absolute() / "state"),
        },
    )
    return json.loads(ended.stdout)


def _print_table(runs: int, found: dict[str, list[Laps]]) -> None:
    print(f"| fresh process, {runs:,} runs kept | runstore, ms | bare sqlite3, ms | ratio |")
    print("|---|---|---|---|")
    for part, (begin, end) in _PARTS.items():
        for clock, unit in enumerate(("median", "median CPU time")):
            ours, bare = (
                [(laps[end][clock] - laps[begin][clock]) * 1e3 for laps in found[label]]
                for label in _PROGRAMS
            )
            middle, least = statistics.median, min
            print(
                f"| {part}, {unit} (minimum) | {middle(ours):.2f} ({least(ours):.2f})"
                f" | {middle(bare):.2f} ({least(bare):.2f})"
                f" | {middle(ours) / middle(bare):.2f} ({least(ours) / least(bare):.2f}) |"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
