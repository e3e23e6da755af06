"""Makes stores of a given size quickly: the rows that real starts would have written."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from pathlib import Path

from runstore import Store, parameter_set
from runstore.model.reference import build_reference, new_uid

PARAMS = {f"param_{n}": n * 0.1 for n in range(8)} | {"optimizer": "adam", "layers": 4}
EXPERIMENTS = 20
_BATCH = 10_000


def params_of(number: int) -> dict[str, object]:
    """Return ten parameters that differ from run to run."""
    return {**PARAMS, "param_0": number * 0.001}


def fill(folder: Path, runs: int) -> None:
    """Make a store that holds this many finished runs in twenty experiments."""
    with Store.open(folder) as store:
        first = store.start("bench_0", params=params_of(0), capture=False)
        first.finish()
    connection = sqlite3.connect(folder / "runstore.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    template = connection.execute("SELECT * FROM runs").fetchone()
    columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    marks = ", ".join(f":{name}" for name in columns)
    base = dict(zip(columns, template, strict=True))
    now = time.time_ns() // 1000 - runs * 1_000_000
    for begin in range(2, runs + 1, _BATCH):
        rows, sets, values, flat = [], [], {}, []
        for number in range(begin, min(begin + _BATCH, runs + 1)):
            experiment, run_number = number % EXPERIMENTS, number // EXPERIMENTS + 2
            one = parameter_set(params_of(number))
            rows.append(
                base
                | {
                    "id": number,
                    "uid": new_uid(),
                    "experiment_id": experiment + 1,
                    "run_number": run_number,
                    "reference": build_reference(
                        f"bench_{experiment}", run_number, "2026-11-23-T101500"
                    ),
                    "started_at": now + number * 1_000_000,
                    "ended_at": now + number * 1_000_000 + 500_000,
                    "changed": number,
                }
            )
            sets.append((number, 0, None, one.name, one.hash, one.tree_key))
            values[one.tree_key] = one.tree
            flat += [(number, 0, *entry) for entry in one.flat()]
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT OR IGNORE INTO experiments VALUES (?, ?, 0, 0)",
            [(n + 1, f"bench_{n}") for n in range(EXPERIMENTS)],
        )
        connection.executemany(f"INSERT INTO runs VALUES ({marks})", rows)  # noqa: S608 - column names
        connection.executemany("INSERT INTO run_params VALUES (?, ?, ?, ?, ?, ?)", sets)
        connection.executemany("INSERT OR IGNORE INTO param_values VALUES (?, ?)", values.items())
        connection.executemany("INSERT INTO params VALUES (?, ?, ?, ?, ?, 1)", flat)
        connection.execute("COMMIT")
    connection.execute(
        "UPDATE store_state SET value = ? WHERE name = 'last_run_indexed'", (str(runs),)
    )
    connection.execute(
        "UPDATE experiments SET last_run_number ="
        " (SELECT coalesce(max(run_number), 0) FROM runs WHERE experiment_id = experiments.id)"
    )
    connection.close()


BARE_TABLES = """
    CREATE TABLE experiments (id INTEGER PRIMARY KEY, name TEXT UNIQUE, last INTEGER);
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY, uid TEXT UNIQUE, experiment_id INTEGER, run_number INTEGER,
        reference TEXT, timestamp TEXT, status TEXT, started_at INTEGER, last_seen_at INTEGER,
        ended_at INTEGER, notes TEXT, cli TEXT, hostname TEXT, boot_id TEXT, pid INTEGER,
        process_started TEXT, changed INTEGER, UNIQUE (experiment_id, run_number)
    );
    CREATE INDEX by_reference ON runs (reference);
    CREATE INDEX by_start ON runs (started_at, id);
    CREATE INDEX by_change ON runs (changed);
    CREATE TABLE sets (
        run_id INTEGER, set_index INTEGER, name TEXT, hash TEXT, PRIMARY KEY (run_id, set_index)
    ) WITHOUT ROWID;
    CREATE TABLE param_values (hash TEXT PRIMARY KEY, tree TEXT) WITHOUT ROWID;
    CREATE TABLE params (
        run_id INTEGER, set_index INTEGER, key TEXT, number REAL, text TEXT,
        PRIMARY KEY (run_id, set_index, key)
    ) WITHOUT ROWID;
"""
_INSERT_RUN = """
    INSERT INTO runs (uid, experiment_id, run_number, reference, timestamp, status, started_at,
        last_seen_at, cli, hostname, boot_id, pid, process_started, changed)
    VALUES (?, ?, ?, ?, ?, 'running', ?, ?, 'bench', 'host', 'boot', 1, '1',
        (SELECT coalesce(max(changed), 0) + 1 FROM runs))
"""


class Bare:
    """The same run and parameter rows through the sqlite3 module alone: the baseline."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA synchronous=FULL")
        if create:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.executescript(BARE_TABLES)

    def fill(self, runs: int) -> None:
        """Write as many runs as the store beside it holds."""
        many = self.connection.executemany
        self.connection.execute("BEGIN")
        many(
            "INSERT INTO experiments VALUES (?, ?, ?)",
            [(n + 1, f"bench_{n}", runs) for n in range(EXPERIMENTS)],
        )
        many(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, '2026', 'complete', ?, ?, ?, NULL, 'bench',"
            " 'host', 'boot', 1, '1', ?)",
            (
                (n, new_uid(), n % EXPERIMENTS + 1, n, f"bench_{n}_2026", n, n, n, n)
                for n in range(1, runs + 1)
            ),
        )
        hashes = [hashlib.sha256(str(n).encode()).hexdigest()[:32] for n in range(1, runs + 1)]
        tree = json.dumps(PARAMS)
        many("INSERT INTO param_values VALUES (?, ?)", ((text, tree) for text in hashes))
        many(
            "INSERT INTO sets VALUES (?, 0, 'default', ?)",
            ((n, text) for n, text in enumerate(hashes, 1)),
        )
        many(
            "INSERT INTO params VALUES (?, 0, ?, ?, NULL)",
            ((n, f"param_{k}", k * 0.1) for n in range(1, runs + 1) for k in range(10)),
        )
        self.connection.execute("COMMIT")

    def start(self, experiment: str, params: dict[str, object]) -> int:
        """Commit one run with its parameters, synced to disk."""
        run = self.connection.execute
        tree = json.dumps(params, sort_keys=True)
        digest = hashlib.sha256(tree.encode()).hexdigest()[:32]
        now, timestamp = time.time_ns() // 1000, time.strftime("%Y-%m-%d-T%H%M%S")
        run("BEGIN IMMEDIATE")
        experiment_id, number = run(
            "INSERT INTO experiments (name, last) VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING id, last",
            (experiment,),
        ).fetchone()
        reference = f"{experiment}_{number}_{timestamp}"
        row = (new_uid(), experiment_id, number, reference, timestamp, now, now)
        run_id = run(_INSERT_RUN, row).lastrowid
        run("INSERT INTO sets VALUES (?, 0, 'default', ?)", (run_id, digest))
        run("INSERT INTO param_values VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, tree))
        self.connection.executemany(
            "INSERT INTO params VALUES (?, 0, ?, ?, ?)",
            [
                (run_id, k, v if isinstance(v, (int, float)) else None, str(v))
                for k, v in params.items()
            ],
        )
        run("COMMIT")
        return int(run_id or 0)

    def finish(self, run_id: int) -> None:
        """Commit the end of a run."""
        self.connection.execute(
            "UPDATE runs SET status = 'complete', ended_at = ?,"
            " changed = (SELECT max(changed) + 1 FROM runs) WHERE id = ?",
            (time.time_ns() // 1000, run_id),
        )
