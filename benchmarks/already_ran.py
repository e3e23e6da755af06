"""Looking up an earlier run that did the same, and the nearest one, at 100,000 runs.

All runs are of one experiment. git is left out, and measured by itself at the end.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from timing import median_ms

from runstore import Store, parameter_set
from runstore.analysis.reruns.lookup import look_up
from runstore.capture.surroundings import code_facts, quick_facts
from runstore.model.facts import Facts
from runstore.model.params.build import parameter_sets
from runstore.storage.sqlite.paths import DATABASE

RUNS = 100_000
ROUNDS = 25
BEGIN = 1_767_225_600_000_000  # 2026-01-01, microseconds
COMMIT = "c" * 40
Params = dict[str, object]
FIXED: Params = {f"fixed_{n}": n * 0.5 for n in range(15)} | {"model": {"name": "tree"}}


def random_search(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield parameters of which four are drawn anew, the commit and the status of each run."""
    chance = random.Random(7)
    for _ in range(count):
        drawn = {name: chance.random() for name in ("lr", "decay", "dropout", "warmup")}
        yield {**FIXED, **drawn}, COMMIT, "complete"


def grid(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield a grid of ten values of five parameters."""
    axes = [range(10)] * 5
    for values in itertools.islice(itertools.product(*axes), count):
        named = {f"axis_{n}": value for n, value in enumerate(values)}
        yield {**FIXED, **named}, COMMIT, "complete"


def other_commits(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield the same parameters again and again, each of a commit of its own."""
    for n in range(count):
        yield FIXED, f"{n:040x}", "complete"


def failures(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield runs that are the same, and failed."""
    for _ in range(count):
        yield FIXED, COMMIT, "error"


def repeats(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield runs that are the same, and complete."""
    for _ in range(count):
        yield FIXED, COMMIT, "complete"


def empty(count: int) -> Iterator[tuple[Params, str, str]]:
    """Yield runs without parameters, each of a commit of its own."""
    for n in range(count):
        yield {}, f"{n:040x}", "complete"


KINDS: dict[str, Callable[[int], Iterator[tuple[Params, str, str]]]] = {
    "random search, one commit": random_search,
    "grid of 10 x 10 x 10 x 10 x 10, one commit": grid,
    "equal parameters, other commits": other_commits,
    "equal parameters and commit": repeats,
    "the same, all failed": failures,
    "no parameters, other commits": empty,
}


def fill(folder: Path, runs: Iterator[tuple[Params, str, str]]) -> None:
    """Write runs as runstore writes them, in one transaction."""
    Store.open(folder).close()
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("BEGIN")
    database.execute("INSERT INTO experiments VALUES (1, 'bench', ?, 0)", (RUNS,))
    facts = json.dumps({"values": facts_of(COMMIT).values | {"host": "x" * 300}, "unknown": {}})
    for n, (params, commit, status) in enumerate(runs, 1):
        one = parameter_set(params)
        at = BEGIN + n * 1_000_000
        database.execute(
            "INSERT INTO runs (id, uid, experiment_id, run_number, reference, timestamp, status,"
            " started_at, ended_at, commit_hash, workdir_dirty, facts, changed, params_hash)"
            " VALUES (?, ?, 1, ?, ?, '2026', ?, ?, ?, ?, 0, ?, ?, ?)",
            (n, f"{n:032x}", n, f"bench_{n}", status, at, at + 1, commit, facts, n, one.hash),
        )
        database.execute(
            "INSERT OR IGNORE INTO param_values VALUES (?, ?)", (one.tree_key, one.tree)
        )
        database.execute(
            "INSERT INTO run_params VALUES (?, 0, NULL, ?, ?, ?)",
            (n, one.name, one.hash, one.tree_key),
        )
        rows = [(n, 0, *row) for row in one.flat()]
        database.executemany("INSERT INTO params VALUES (?, ?, ?, ?, ?, 1)", rows)
    database.execute("COMMIT")
    database.close()


def facts_of(commit: str) -> Facts:
    """Return what capture tells in a clean work tree."""
    values = {
        "git.commit": commit,
        "git.dirty": False,
        "git.has_untracked": False,
        "command.argv": ("python", "train.py"),
        "command.cwd": "/work",
    }
    return Facts(values=values)


def main(count: int) -> None:
    """Print a row for each kind of store."""
    print(f"| {count:,} runs | done: found, ms | not done, ms | and the nearest, ms |")
    print("|---|---|---|---|")
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), kind(count))
            known = list(itertools.islice(kind(count), 0, count, max(1, count // ROUNDS)))
            with Store.open(folder) as store:
                medians = measure(store, known)
        print(f"| {name} | " + " | ".join(f"{one:.2f}" for one in medians) + " |", flush=True)
    print_git()


def measure(store: Store, known: list[tuple[Params, str, str]]) -> list[float]:
    """Return medians in milliseconds: one that was run, one that was not, the nearest as well."""
    times: list[list[float]] = [[], [], []]
    for place, (params, commit, status) in enumerate(known):
        again = parameter_sets(params)
        new = parameter_sets({**params, "fixed_3": 0.25 + place})
        begin = time.perf_counter()
        found = look_up(store.backend, "bench", again, facts_of(commit), exactly=False)
        middle = time.perf_counter()
        other = look_up(store.backend, "bench", new, facts_of(commit), exactly=False)
        looked = time.perf_counter()
        nearest = other.nearest
        end = time.perf_counter()
        assert (found.same is not None) == (status == "complete")
        assert other.same is None
        assert nearest is not None
        for column, spent in zip(
            times, (middle - begin, looked - middle, end - middle), strict=True
        ):
            column.append(spent * 1e3)
    return [statistics.median(column) for column in times]


def print_git() -> None:
    """Print what asking git for the code takes, in a repository of 1,000 files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in range(1_000):
            (folder / f"module_{n}.py").write_text("print(1)\n" * 50)
        for command in ("init -q", "add .", "-c user.name=a -c user.email=a commit -qm x"):
            subprocess.run(["git", *command.split()], cwd=folder, check=True)
        clean = median_ms(lambda: quick_facts(folder), ROUNDS)
        (folder / "module_7.py").write_text("print(2)\n")
        (folder / "new.py").write_text("print(3)\n")
        quick = quick_facts(folder)
        dirty = median_ms(lambda: code_facts(quick, folder), ROUNDS)
    print(
        f"\ngit, which every start asks: {clean:.1f} ms; changes of a dirty tree: {dirty:.1f} ms"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
