"""Documented filters at 10,000 and 100,000 runs with 20 parameters and 10 metrics each."""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from runstore import Store
from runstore.config import DATABASE
from runstore.model.flat import flatten
from runstore.model.query_text import parse_query

SIZES = (10_000, 100_000)
ROUNDS = 7
BEGIN = 1_767_225_600_000_000  # 2026-01-01, microseconds
MINUTE = 60_000_000
LONGEST = (
    "params.lr > 0.01 and (status = 'error' or metrics.m1.max >= 0.9)"
    " and tags.phase is missing and notes contains 'warmup'"
)
# Every filter of the guide, and how many of the runs fulfil it.
FILTERS = (
    ("params.lr > 0.5", "1 in 2"),
    ("params.model = 'tree'", "1 in 4"),
    ("params.model = 'rare'", "1 in 10,000"),
    ("params.options.C = 3 and params.lr < 0.1", "1 in 100"),
    ("params.p7 in (0.25, 0.5)", "none"),
    ("status = 'error'", "1 in 50"),
    ("status = 'complete' and experiment = 'exp_3'", "1 in 10"),
    ("metrics.m1.max >= 0.9999", "1 in 10,000"),
    ("metrics.m1 > 0.5", "1 in 2"),
    ("tags.phase = 'pilot'", "1 in 4"),
    ("tags.phase is missing", "3 in 4"),
    ("tags.keep = true", "none"),
    ("notes contains 'warmup'", "1 in 1,000"),
    ("notes like '%warm%' or error is not missing", "1 in 50"),
    ("notes ~ 'warm.p'", "1 in 1,000"),
    ("started > '2026-01-03' and duration < '2 min'", "most"),
    ("duration > '1 h'", "none"),
    ("git.branch = 'topic'", "1 in 100"),
    ("packages.numpy < '2.1'", "1 in 2"),
    (LONGEST, "1 in 10,000"),
    ("not (params.lr > 0.0001)", "1 in 10,000"),
    ("order by metrics.m1.min", "all"),
    ("params.model = 'tree' order by metrics.m1.max desc", "1 in 4"),
)


def fill(folder: Path, count: int) -> None:
    """Write runs as runstore writes them, in one transaction."""
    Store.open(folder).close()
    chance = random.Random(7)
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("BEGIN")
    for n in range(10):
        database.execute("INSERT INTO experiments VALUES (?, ?, ?, 0)", (n + 1, f"exp_{n}", count))
        database.execute("INSERT INTO metric_keys (id, key) VALUES (?, ?)", (n + 1, f"m{n}"))
    for n, version in enumerate(("2.0.1", "2.2.0")):
        database.execute("INSERT INTO documents VALUES (?, ?)", (f"d{n}", f"numpy=={version}\n"))
    for n in range(1, count + 1):
        write_run(database, n, chance)
    database.execute("COMMIT")
    database.close()


def write_run(database: sqlite3.Connection, n: int, chance: random.Random) -> None:
    """Write one run with all that filters ask for."""
    at = BEGIN + n * MINUTE
    status = "error" if n % 50 == 0 else "complete"
    facts = {
        "command.argv": ["python", "train.py", f"--seed={n}"],
        "git.branch": "topic" if n % 100 == 0 else "main",
        **{f"host.fact{k}": "x" * 30 for k in range(15)},
    }
    database.execute(
        "INSERT INTO runs (id, uid, experiment_id, run_number, reference, timestamp, status,"
        " started_at, ended_at, last_seen_at, notes, error, commit_hash, cli, hostname, facts,"
        " changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            n, f"{n:032x}", n % 10 + 1, n, f"exp_{n % 10}_{n}", "2026-01-01-T000000", status, at,
            at + MINUTE, at, f"note {n} {'with warmup' if n % 1000 == 0 else 'as ever'}",
            "ValueError: nan" if status == "error" else None, "0" * 40,
            f"python train.py --seed={n}", "host", json.dumps({"values": facts, "unknown": {}}), n,
        ),
    )  # fmt: skip
    model = "rare" if n % 10_000 == 1 else "tree" if n % 4 == 0 else "svm"
    params = {"lr": chance.random(), "model": model, "options": {"C": n % 10}}
    params |= {f"p{k}": chance.random() for k in range(17)}
    tree = json.dumps(params)
    database.execute("INSERT INTO param_values VALUES (?, ?)", (str(n), tree))
    database.execute("INSERT INTO run_params VALUES (?, 0, NULL, 'default', 'h', ?)", (n, str(n)))
    database.executemany(
        "INSERT INTO params VALUES (?, 0, ?, ?, ?)", [(n, *row) for row in flatten(tree)]
    )
    database.executemany(
        "INSERT INTO metric_summaries VALUES (?, -1, ?, 100, 0, ?, ?, ?, ?, 50, 99, 0)",
        [(n, k, *(chance.random() for _ in range(4))) for k in range(1, 11)],
    )
    if n % 4 == 1:
        database.execute("INSERT INTO tags VALUES (?, 'phase', 'pilot')", (n,))
    database.execute("INSERT INTO run_documents VALUES (?, 'packages', ?)", (n, f"d{n % 2}"))


def median_ms(store: Store, text: str) -> tuple[float, int]:
    """Return the median time of the newest 20, and how many there were."""
    query = parse_query(text)
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = store.find(query, limit=20)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times), len(found)


def main() -> None:
    """Print a table."""
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    rows: dict[str, list[str]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size)
            with Store.open(folder) as store:
                for text, share in FILTERS:
                    spent, _ = median_ms(store, text)
                    rows.setdefault(f"| `{text}` | {share} |", []).append(f" {spent:.1f} |")
    begin = time.perf_counter()
    parse_query(FILTERS[19][0])
    print(
        "| newest 20 of a filter | of the runs | " + " | ".join(f"{n:,} runs, ms" for n in sizes)
    )
    print("|---" * (len(sizes) + 2) + "|")
    for head, cells in rows.items():
        print(head + "".join(cells))
    print(
        f"\nReading the longest of them takes {(time.perf_counter() - begin) * 1e3:.1f} ms more."
    )


if __name__ == "__main__":
    main()
