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
from functools import partial
from pathlib import Path
from typing import NamedTuple

from runs_to_find import fill
from timing import spent_ms

from runstore import Store
from runstore.model.query.parse import parse_query
from runstore.storage.sqlite.paths import DATABASE

SIZES = (10_000, 100_000)
ROUNDS = 21
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
    ("params.lr is none", "none"),
    ("params.lr is not none", "all"),
    ("params.lr is null", "none"),
    ("params.none is not null", "none"),
    ("params.p7 = 9007199254740993", "none"),
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
NEWEST_20 = """
    SELECT r.* FROM runs r WHERE r.deleted_at IS NULL AND {}
    ORDER BY r.started_at DESC, r.id DESC LIMIT 20
"""
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


class Times(NamedTuple):
    """Milliseconds of one filter."""

    median: float
    least: float
    by_hand: float | None


def measured(folder: str) -> dict[str, Times]:
    """Return what each filter takes for the newest 20, and the same by hand; all in turns."""
    bare = sqlite3.connect(Path(folder) / DATABASE)
    times: dict[str, list[float]] = {text: [] for text, _ in FILTERS}
    hand: dict[str, list[float]] = {text: [] for text in BY_HAND}
    with Store.open(folder) as store:
        queries = {text: parse_query(text) for text, _ in FILTERS}
        for _ in range(ROUNDS):
            for text, query in queries.items():
                times[text].append(spent_ms(partial(store.find, query, limit=20)))
                if text in BY_HAND:
                    statement = NEWEST_20.format(BY_HAND[text])
                    hand[text].append(spent_ms(lambda: bare.execute(statement).fetchall()))  # noqa: B023 - called at once
    bare.close()
    return {
        text: Times(
            statistics.median(values),
            min(values),
            statistics.median(hand[text]) if text in hand else None,
        )
        for text, values in times.items()
    }


def run(words: list[str]) -> None:
    """Run Python with these arguments, as after an installation with pip, which compiles."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)


def processes(folder: str) -> None:
    """Print what whole processes take, imports and all, in turns."""
    arguments: dict[str, list[str]] = {
        "python -c pass": ["-c", "pass"],
        "runstore ls": ["-m", "runstore", "--store", folder, "ls"],
    }
    for text in ("params.lr > 0.5", "git.branch = topic", "order by metrics.m1.min"):
        arguments[f'runstore ls "{text}"'] = [*arguments["runstore ls"], text]
    times: dict[str, list[float]] = {label: [] for label in arguments}
    for _ in range(PROCESSES + 1):
        for label, words in arguments.items():
            times[label].append(spent_ms(partial(run, words)))
    print("\n| process | median, ms | least, ms |")
    print("|---|---|---|")
    for label, values in times.items():
        # The first one compiles.
        print(f"| `{label}` | {statistics.median(values[1:]):.0f} | {min(values[1:]):.0f} |")


def main(arguments: list[str]) -> None:
    """Print a table of filters and one of processes."""
    half = "--deleted" in arguments
    sizes = [int(one) for one in arguments if one.isdigit()] or list(SIZES)
    columns: list[dict[str, Times]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size, is_half_deleted=half)
            columns.append(measured(folder))
            if size == sizes[-1]:
                processes(folder)
    heads = "".join(f" {size:,} runs, ms | least | by hand |" for size in sizes)
    print(f"\n| newest 20 of a filter | of the runs |{heads}")
    print("|---" * (3 * len(sizes) + 2) + "|")
    for text, share in FILTERS:
        cells = "".join(
            f" {one.median:.1f} | {one.least:.1f} |"
            f" {'' if one.by_hand is None else f'{one.by_hand:.1f}'} |"
            for one in (column[text] for column in columns)
        )
        print(f"| `{text}` | {share} |{cells}")
    reading = statistics.median(spent_ms(lambda: parse_query(LONGEST)) for _ in range(ROUNDS))
    print(f"\nReading the longest of them takes {reading:.1f} ms more.")


if __name__ == "__main__":
    main(sys.argv[1:])
