"""What goes over many runs: groups, statistics, deleting, renaming and looking over a store.

python benchmarks/many_runs.py [SIZES]: the runs are those of `finding.py`; every tenth belongs
to the experiment that is deleted.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

from runs_to_find import fill
from timing import median_ms, spent_ms

from runstore import Store
from runstore.storage.sqlite.paths import DATABASE

SIZES = (10_000, 100_000)
ROUNDS = 5
FIELDS = ("experiment", "status", "params.model", "params.lr", "tags.phase", "git.branch", "set")


def keep_contents(folder: Path) -> None:
    """Write the file of every artifact; those of the filler have a name in place of a digest."""
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.create_function("sha256", 1, lambda text: sha256(text.encode()).hexdigest())
    database.execute("UPDATE artifacts SET digest = sha256(digest)")
    for (digest,) in database.execute("SELECT DISTINCT digest FROM artifacts"):
        place = folder / "objects" / digest[:2]
        place.mkdir(parents=True, exist_ok=True)
        (place / digest[2:]).write_bytes(bytes(1000))
    database.close()


def readings(store: Store) -> Iterator[tuple[str, float]]:
    """Yield what is asked, and the median of some rounds in milliseconds."""
    for by in FIELDS:
        yield f"`group({by!r})`", median_ms(partial(store.group, by), ROUNDS)
    with_metric = partial(store.group, "params.model", metrics=["m1"])
    yield "`group('params.model', metrics=['m1'])`", median_ms(with_metric, ROUNDS)
    few = partial(store.group, "params.model", "params.lr > 0.999")
    yield "`group('params.model', 'params.lr > 0.999')`", median_ms(few, ROUNDS)
    yield "`experiments()`", median_ms(store.experiments, ROUNDS)


def changes(store: Store) -> Iterator[tuple[str, float]]:
    """Yield what is done, and the milliseconds that it takes once."""
    yield "`check()`", spent_ms(store.check)
    yield "delete one run", spent_ms(lambda: store.delete("exp_3#-1"))
    yield "undo it", spent_ms(store.undo)
    runs = store.find(experiment="exp_3", limit=None)
    yield "rename an experiment", spent_ms(lambda: store.rename_experiment("exp_3", "other"))
    yield "delete its runs", spent_ms(lambda: store.delete(runs))
    yield "restore them", spent_ms(lambda: store.restore(runs))
    yield "undo that", spent_ms(store.undo)
    collect = partial(store.collect_garbage, older_than=timedelta(0))
    yield "`collect_garbage(dry=True)`", spent_ms(partial(collect, dry=True))
    yield "`collect_garbage()`", spent_ms(collect)
    yield "`check()` afterwards", spent_ms(store.check)


def main() -> None:
    """Print two tables."""
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    rows: dict[str, list[float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size)
            keep_contents(Path(folder))
            with Store.open(folder) as store:
                for work in (readings, changes):
                    for label, spent in work(store):
                        rows.setdefault(label, []).append(spent)
    print("| |" + "".join(f" {size:,} runs, ms |" for size in sizes))
    print("|---" * (len(sizes) + 1) + "|")
    for label, spents in rows.items():
        print(f"| {label} |" + "".join(f" {one:.{one < 10:d}f} |" for one in spents))


if __name__ == "__main__":
    main()
