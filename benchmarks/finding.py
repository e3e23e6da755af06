"""Documented filters at 10,000 and 100,000 runs with 20 parameters and 10 metrics each.

python benchmarks/finding.py [SIZES] [--deleted]: with --deleted every other run is in the trash.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from runs_to_find import fill

from runstore import Store
from runstore.config import DATABASE
from runstore.model.query_text import parse_query

SIZES = (10_000, 100_000)
ROUNDS = 15
PROCESSES = 11
LONGEST = (
    "params.lr > 0.01 and (status = 'error' or metrics.m1.max >= 0.9)"
    " and tags.phase is missing and notes contains 'warmup'"
)
# Every field and comparison of the guide, and how many of the runs a filter accepts; a guard
# test compares this list with the guide, and reads the plan of each.
FILTERS = (
    ("params.lr > 0.5", "1 in 2"),
    ("params.model = 'tree'", "1 in 4"),
    ("params.model = 'rare'", "1 in 10,000"),
    ("params.options.C = 3 and params.lr < 0.1", "1 in 100"),
    ("params.p7 in (0.25, 0.5)", "none"),
    ("params.layers[0] != 64", "none"),
    ("params.batch-size >= 512", "none"),
    ("params.model like 'ra%'", "1 in 10,000"),
    ("params.none is not missing", "none"),
    ("params.lr is missing", "none"),
    ("params[default].lr <= 0.0001", "1 in 10,000"),
    ("not (params.lr > 0.0001)", "1 in 10,000"),
    ("metrics.m1 > 0.5", "1 in 2"),
    ("metrics.m1.max >= 0.9999", "1 in 10,000"),
    ("metrics.val/acc.mean > 0.9999", "1 in 10,000"),
    ("metrics.m1.first < 0 or metrics.m1.min < 0 or metrics.m1.count = 0", "none"),
    ("metrics[default].m1 > 0.5", "none"),
    ("metrics.m1 is missing", "none"),
    ("tags.phase = 'pilot'", "1 in 4"),
    ("tags.phase is missing", "3 in 4"),
    ("tags.keep = true", "none"),
    ("tags.n > 999999", "none"),
    ("tags.phase not in ('pilot', 'main')", "none"),
    ("status = 'error'", "1 in 50"),
    ("status = 'complete' and experiment = 'exp_3'", "1 in 10"),
    ("experiment = 'exp_old'", "1 in 1,000, the oldest"),
    ("run_number = 5000", "1"),
    ("reference like 'exp_3_5%'", "1 in 100"),
    ("uid = '00000000000000000000000000001388'", "1"),
    ("parent is not missing", "1 in 1,000"),
    ("started > '2026-01-03' and duration < '2 min'", "most"),
    ("started < '2026-01-01 03:00'", "200, the oldest"),
    ("ended < '2026-01-01 03:00'", "200, the oldest"),
    ("seen < '2026-01-01 03:00'", "200, the oldest"),
    ("duration > '1 h'", "none"),
    ("notes contains 'warmup'", "1 in 1,000"),
    ("notes ilike '%WARMUP%'", "1 in 1,000"),
    ("notes ~ 'warm.p'", "1 in 1,000"),
    ("notes ~ 'cold[0-9]+'", "none"),
    ("notes !~ 'o'", "none"),
    ("notes like '%warm%' or error is not missing", "1 in 50"),
    ("error contains 'memory'", "none"),
    ("traceback contains 'cuda'", "none"),
    ("exit_code = 137", "none"),
    ("command contains '--seed=77777'", "1 or none"),
    ("commit like '1111%'", "none"),
    ("dirty = true", "none"),
    ("hostname = 'gpu7'", "1 in 1,000"),
    ("git.branch = 'topic'", "1 in 100"),
    ("git.branch = 'main'", "99 in 100"),
    ("git.branch is missing", "none"),
    ("python.version < '3'", "none"),
    ("gpu.names contains 'H100'", "1 in 1,000"),
    ("facts.command.argv = '--seed=500'", "1"),
    ("packages.numpy < '2.1'", "1 in 2"),
    ("packages.torch is not missing", "none"),
    ("artifacts like '%.pt'", "all"),
    ('artifacts."best.pt" is not missing', "1 in 1,000"),
    ('artifacts."model.pt".size > 1e9', "none"),
    ("artifacts.\"model.pt\".type = 'text/plain'", "none"),
    ("artifacts.digest = 'd5000'", "1"),
    ("artifacts.\"model.pt\".digest = 'd5000'", "1"),
    ("inputs like 'test%'", "none"),
    ("inputs.\"train.csv\".digest = 'c7'", "1 in 100"),
    ("inputs.\"train.csv\".source = 'x'", "none"),
    ("set = 'small'", "none"),
    ("param_file = 'wide'", "1 in 1,000"),
    ("param_hash = 'h5000'", "1"),
    (LONGEST, "1 in 10,000"),
    ("order by metrics.m1.min", "all"),
    ("order by metrics.loss_of_few, started desc", "all, of 1 in 1,000"),
    ("order by params.lr desc", "all"),
    ("order by params.model, metrics.m1 desc", "all"),
    ("order by duration desc", "all"),
    ("order by experiment, tags.phase", "all"),
    ("params.model = 'tree' order by metrics.m1.max desc", "1 in 4"),
    ("params.model = 'rare' order by git.branch, started", "1 in 10,000"),
)
# What somebody would write by hand who knows the tables, for the same runs.
BY_HAND = {
    "params.lr > 0.5": """
        EXISTS (SELECT 1 FROM params v WHERE v.run_id = r.id AND v.set_index = 0
                AND v.key = 'lr' AND v.number > 0.5)""",
    "params.model = 'rare'": """
        r.id IN (SELECT v.run_id FROM params v WHERE v.key = 'model' AND v.number IS NULL
                 AND v.text = 'rare')""",
    "metrics.m1.max >= 0.9999": """
        r.id IN (SELECT v.run_id FROM metric_summaries v WHERE v.key_id = 2 AND v.max >= 0.9999)
        """,
    "tags.phase = 'pilot'": """
        EXISTS (SELECT 1 FROM tags v WHERE v.run_id = r.id AND v.key = 'phase'
                AND v.value = 'pilot')""",
    "duration > '1 h'": "r.ended_at - r.started_at > 3600000000",
    "notes contains 'warmup'": "instr(r.notes, 'warmup') > 0",
    "git.branch = 'topic'": "json_extract(r.facts, '$.values.\"git.branch\"') = 'topic'",
    "not (params.lr > 0.0001)": """
        NOT EXISTS (SELECT 1 FROM params v WHERE v.run_id = r.id AND v.set_index = 0
                    AND v.key = 'lr' AND v.number > 0.0001)""",
}


def median_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def measured(folder: str) -> dict[str, tuple[float, float | None]]:
    """Return the medians of each filter for the newest 20, and of the same by hand."""
    bare = sqlite3.connect(Path(folder) / DATABASE)
    times: dict[str, tuple[float, float | None]] = {}
    with Store.open(folder) as store:
        for text, _ in FILTERS:
            query, by_hand = parse_query(text), BY_HAND.get(text)
            ours = median_ms(lambda: store.find(query, limit=20))  # noqa: B023 - called at once
            times[text] = (ours, None)
            if by_hand is not None:
                statement = (
                    f"SELECT r.* FROM runs r WHERE r.deleted_at IS NULL AND {by_hand}"  # noqa: S608 - a constant
                    " ORDER BY r.started_at DESC, r.id DESC LIMIT 20"
                )
                hand = median_ms(lambda: bare.execute(statement).fetchall())  # noqa: B023 - called at once
                times[text] = (ours, hand)
    bare.close()
    return times


def processes(folder: str) -> None:
    """Print what whole processes take, imports and all."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    arguments: dict[str, list[str]] = {
        "python -c pass": ["-c", "pass"],
        "runstore ls": ["-m", "runstore", "--store", folder, "ls"],
    }
    for text in ("params.lr > 0.5", "git.branch = topic", "order by metrics.m1.min"):
        arguments[f'runstore ls "{text}"'] = [*arguments["runstore ls"], text]
    print("\n| process | median, ms |")
    print("|---|---|")
    for label, words in arguments.items():

        def call() -> None:
            command = [sys.executable, *words]  # noqa: B023 - called at once
            subprocess.run(command, check=True, capture_output=True, env=environment)

        call()  # compiles
        print(f"| `{label}` | {median_ms(call, PROCESSES):.0f} |", flush=True)


def main(arguments: list[str]) -> None:
    """Print a table of filters and one of processes."""
    half = "--deleted" in arguments
    sizes = [int(one) for one in arguments if one.isdigit()] or list(SIZES)
    columns: list[dict[str, tuple[float, float | None]]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size, is_half_deleted=half)
            columns.append(measured(folder))
            if size == sizes[-1]:
                processes(folder)
    heads = "".join(f" {size:,} runs, ms | by hand |" for size in sizes)
    print(f"\n| newest 20 of a filter | of the runs |{heads}")
    print("|---" * (2 * len(sizes) + 2) + "|")
    for text, share in FILTERS:
        cells = "".join(
            f" {ours:.1f} | {'' if hand is None else f'{hand:.1f}'} |"
            for ours, hand in (column[text] for column in columns)
        )
        print(f"| `{text}` | {share} |{cells}")
    reading = median_ms(lambda: parse_query(LONGEST))
    print(f"\nReading the longest of them takes {reading:.1f} ms more.")


if __name__ == "__main__":
    main(sys.argv[1:])
