"""Search in texts: 100,000 runs with notes, 2,000 of them with 100 kB of output each."""

from __future__ import annotations

import random
import sqlite3
import string
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

from timing import median_ms, spent_ms

from runstore import Store
from runstore.model.reference import new_uid
from runstore.storage.fulltext.index_file import SEARCH
from runstore.storage.sqlite.paths import DATABASE

RUNS = 100_000
PRINTING = 2_000
PRINTED_BYTES = 100_000
ROUNDS = 7
BEGIN = 1_767_225_600_000_000  # 2026-01-01, microseconds
MINUTE = 60_000_000
# What is looked for, and where it is.
NEEDLES = (
    ("needle in hay", "one note"),
    ("CUDA out of memory", "output of one run"),
    ("absent from all of it", "nowhere"),
    ("warmup", "1 note in 1,000"),
    ("checkpoint", "output of all"),
    ("as ever", "nearly all notes"),
    ("失败", "one note, two characters"),
    ("%", "nowhere, one character"),
)
REGEXES = ((r"CUDA.*memory", "output of one run"), (r"loss 0\.0{4}\d", "output of some"))
FILTERS = (
    ("output contains 'CUDA out of memory'", "1 in 100,000"),
    ("output contains 'checkpoint'", "1 in 50"),
    ("output ~ 'CUDA.*memory'", "1 in 100,000"),
    ("output like '%out of%nowhere%'", "none"),
    ("output is missing", "most"),
    ("output not contains 'checkpoint'", "none"),
)


def fill(folder: Path, runs: int) -> None:
    """Write runs as runstore writes them; every fiftieth has printed something."""
    chance = random.Random(7)
    words = ["".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(3000)]
    with Store.open(folder) as store:
        keep = store.backend.objects.keep_bytes
        store.backend.objects.folder.mkdir()
        outputs = [
            (n, "x.1.output", *keep(printed(chance, words, n)))
            for n in range(runs // PRINTING, runs + 1, runs // PRINTING)
        ]
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.execute("BEGIN")
    database.execute("INSERT INTO experiments VALUES (1, 'fit', ?, 0)", (runs,))
    database.executemany(
        "INSERT INTO runs (id, uid, experiment_id, run_number, reference, timestamp, status,"
        " started_at, ended_at, notes, error, changed)"
        " VALUES (?, ?, 1, ?, ?, '2026-01-01-T000000', 'complete', ?, ?, ?, ?, ?)",
        (
            (
                n, new_uid(), n, f"fit_{n}_2026-01-01-T000000", BEGIN + n * MINUTE,
                BEGIN + (n + 1) * MINUTE, note(n, runs, words),
                "ValueError: loss is nan" if n % 50 == 1 else None, n,
            )
            for n in range(1, runs + 1)
        ),
    )  # fmt: skip
    database.executemany("INSERT INTO outputs VALUES (?, ?, ?, ?)", outputs)
    database.execute("COMMIT")
    database.close()


def note(n: int, runs: int, words: list[str]) -> str:
    """Return the note of a run."""
    rare = {runs // 3: "needle in hay", runs // 4: "训练失败了"}.get(n, "")
    return f"note {n} {'with warmup' if n % 1000 == 0 else 'as ever'} {words[n % 3000]} {rare}"


def printed(chance: random.Random, words: list[str], n: int) -> bytes:
    """Return what a training loop prints, as it is kept."""
    lines, size, step = [], 0, 0
    while size < PRINTED_BYTES:
        step += 1
        text = f"epoch {step // 100} step {step} loss {chance.random():.6f} lr {1e-3 / step:.2e}"
        if step % 100 == 0:
            text = "saving checkpoint " + " ".join(chance.choices(words, k=9))
        if n == RUNS // 2 and step == 300:
            text = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"
        lines.append(f"17672256{step // 10:02}.{step % 10:06} o {text}\n")
        size += len(lines[-1])
    return "".join(lines).encode()


def index_size(folder: Path) -> float:
    """Return the size of the index in MB."""
    return sum(path.stat().st_size for path in folder.glob(f"{SEARCH}*")) / 1e6


def print_index(store: Store) -> None:
    """Print what the index costs."""
    built = spent_ms(lambda: store.grep("absent from all of it")) / 1e3
    print("| index | |\n|---|---|")
    print(f"| making it, the first search | {built:.1f} s |")
    print(f"| its size | {index_size(store.path):.0f} MB |")

    def another() -> None:
        store.start("fit", notes="one more note", capture=False).finish()

    recorded = median_ms(another, ROUNDS)

    def another_and_search() -> None:
        another()
        store.grep("absent from all of it")

    more = median_ms(another_and_search, ROUNDS) - recorded
    print(f"| a search that takes in one new run | {more:.1f} ms |\n")


def print_searches(store: Store) -> None:
    """Print what searches cost: with the index, without limit, and one by one."""
    print("| newest 20 runs with | which is in | ms | all runs, ms | without an index, ms |")
    print("|---|---|---|---|---|")
    with Store.open(store.path) as plain:
        # A folder in its place: there can be no index.
        plain.texts._file.path = store.path / "runs"  # noqa: SLF001
        (store.path / "runs").mkdir(exist_ok=True)
        for regexp, needles in ((False, NEEDLES), (True, REGEXES)):
            for text, place in needles:
                ms = median_ms(partial(store.grep, text, regexp=regexp, lines=1), ROUNDS)
                begin = time.perf_counter()
                found = store.grep(text, regexp=regexp, lines=1, limit=None)
                whole = (time.perf_counter() - begin) * 1e3
                scan = spent_ms(partial(plain.grep, text, regexp=regexp, lines=1))
                name = f"`{text}` ({len(found):,})"
                print(f"| {name} | {place} | {ms:.1f} | {whole:.0f} | {scan:.0f} |", flush=True)
    print("\n| newest 20 of a filter | of the runs | ms |\n|---|---|---|")
    for text, share in FILTERS:
        ms = median_ms(partial(store.find, text, limit=20), ROUNDS)
        print(f"| `{text}` | {share} | {ms:.1f} |")


def main() -> None:
    """Print tables."""
    warnings.simplefilter("ignore")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(dir=".") as folder:
        fill(Path(folder), runs)
        with Store.open(folder) as store:
            print_index(store)
            print_searches(store)


if __name__ == "__main__":
    main()
