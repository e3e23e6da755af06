"""Fills a store with runs that have all that filters ask for, as runstore writes them."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from runstore import Store
from runstore.model.params.flatten import flatten
from runstore.storage.indexes import facts as fact_index
from runstore.storage.sqlite.paths import DATABASE

BEGIN = 1_767_225_600_000_000  # 2026-01-01, microseconds
MINUTE = 60_000_000
HOST = {f"host.fact{k}": "x" * 30 for k in range(15)}
FEW = 11  # the id of a metric that few runs have

INSERT_RUN = (
    "INSERT INTO runs (id, uid, experiment_id, run_number, reference, timestamp, status,"
    " started_at, ended_at, last_seen_at, parent_uid, notes, error, traceback, exit_code,"
    " commit_hash, workdir_dirty, cli, hostname, facts, facts_filed, changed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 1, ?)"
)


class Alone(sqlite3.Connection):
    """A connection without other writers."""

    def lock_facts(self, *_: object) -> None:
        """Do nothing."""

    def first_rows(self, questions: Iterable[tuple[str, Mapping[str, object]]]) -> list[object]:
        """Return the first row of each statement, or None."""
        return [self.execute(sql, parameters).fetchone() for sql, parameters in questions]


def fill(folder: Path, count: int, *, is_half_deleted: bool = False) -> None:
    """Write this many runs in one transaction."""
    Store.open(folder).close()
    chance = random.Random(7)
    database = sqlite3.connect(folder / DATABASE, isolation_level=None, factory=Alone)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("BEGIN")
    for n, name in enumerate((*(f"exp_{n}" for n in range(10)), "exp_old"), 1):
        database.execute("INSERT INTO experiments VALUES (?, ?, ?, 0)", (n, name, count))
    keys = (*(f"m{n}" for n in range(9)), "val/acc", "loss_of_few")
    database.executemany("INSERT INTO metric_keys (key) VALUES (?)", [(key,) for key in keys])
    for n, version in enumerate(("2.0.1", "2.2.0")):
        database.execute("INSERT INTO documents VALUES (?, ?)", (f"d{n}", f"numpy=={version}\n"))
    for n in range(1, count + 1):
        write_run(database, n, chance, is_old=n <= count // 1000)
    if is_half_deleted:
        database.execute("UPDATE runs SET deleted_at = 1 WHERE id / 4 % 2 = 0")
    database.execute("UPDATE store_state SET value = ? WHERE name = 'last_run_indexed'", (count,))
    database.execute("COMMIT")
    database.close()


def write_run(database: sqlite3.Connection, n: int, chance: random.Random, is_old: bool) -> None:  # noqa: FBT001 - one caller
    """Write one run."""
    at = BEGIN + n * MINUTE
    has_failed, is_odd = n % 50 == 0, n % 1000 == 500
    error = ("ValueError: nan", "Traceback\n" + "x" * 900, 1) if has_failed else (None, None, 0)
    facts = {
        "command.argv": ["python", "train.py", f"--seed={n}"],
        "command.line": f"python train.py --seed={n}",
        "git.branch": "topic" if n % 100 == 0 else "main",
        "git.commit": f"{n // 50:040x}",
        "gpu.names": ["H100", "A100"] if is_odd else ["A100"],
        "python.version": "3.11.7",
        **HOST,
    }
    notes = f"note {n} {'with warmup' if is_odd else 'as ever'}"
    run = (
        *(n, f"{n:032x}", 11 if is_old else n % 10 + 1, n, f"exp_{n % 10}_{n}"),
        *("2026-01-01-T000000", "error" if has_failed else "complete", at, at + MINUTE, at),
        *("p" if is_odd else None, notes, *error, "0" * 40, f"python train.py --seed={n}"),
        *("gpu7" if is_odd else "host", json.dumps({"values": facts, "unknown": {}}), n),
    )
    database.execute(INSERT_RUN, run)
    fact_index.index_facts(database, n, facts, {})
    write_params(database, n, chance)
    write_metrics(database, n, chance)
    if n % 4 == 1:
        database.execute("INSERT INTO tags VALUES (?, 'phase', 'pilot')", (n,))
    database.execute("INSERT INTO tags VALUES (?, 'n', ?)", (n, str(n)))
    database.execute("INSERT INTO run_documents VALUES (?, 'packages', ?)", (n, f"d{n % 2}"))
    write_files(database, n, is_odd=is_odd)


def write_params(database: sqlite3.Connection, n: int, chance: random.Random) -> None:
    """Write a set of twenty parameters."""
    model = "rare" if n % 10_000 == 1 else "tree" if n % 4 == 0 else "svm"
    params = {"lr": chance.random(), "model": model, "options": {"C": n % 10}}
    params |= {"layers": [64, 10], "batch-size": 2 ** (n % 9)}
    params |= {f"p{k}": chance.random() for k in range(14)}
    tree = json.dumps(params)
    database.execute("INSERT INTO param_values VALUES (?, ?)", (str(n), tree))
    row = (n, "wide" if n % 1000 == 0 else "params", f"h{n}", str(n))
    database.execute("INSERT INTO run_params VALUES (?, 0, ?, 'default', ?, ?)", row)
    database.executemany(
        "INSERT INTO params VALUES (?, 0, ?, ?, ?, 1)", [(n, *row) for row in flatten(tree)]
    )


def write_metrics(database: sqlite3.Connection, n: int, chance: random.Random) -> None:
    """Write the summaries of ten metrics, and of one more now and then."""
    keys = [*range(1, 11), *([FEW] if n % 1000 == 0 else [])]
    database.executemany(
        "INSERT INTO metric_summaries VALUES (?, -1, ?, 100, 0, ?, ?, ?, ?, ?, 99, 0, NULL)",
        [(n, key, *(chance.random() for _ in range(4)), chance.random() * 100) for key in keys],
    )


def write_files(database: sqlite3.Connection, n: int, *, is_odd: bool) -> None:
    """Write two artifacts, or three, and two inputs."""
    paths = {"model.pt": f"d{n}", "metrics.csv": f"m{n}"} | (
        {"best.pt": f"b{n}"} if is_odd else {}
    )
    database.executemany(
        "INSERT INTO artifacts VALUES (?, ?, ?, 1000, 'application/octet-stream', 0)",
        [(n, path, digest) for path, digest in paths.items()],
    )
    database.executemany(
        "INSERT INTO inputs VALUES (?, ?, ?, 5, 0, ?, NULL, 0)",
        [
            (n, "train.csv", f"c{n % 100}", "/data/train.csv"),
            (n, "valid.csv", "v", "/data/valid.csv"),
        ],
    )
