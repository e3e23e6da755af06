"""Pushing many small runs, and one large run, to another folder; a copy of the store beside it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timing import spent_ms

from runstore import Store
from runstore.storage.sqlite.driver import SQLiteDriver

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from memory import forget_peak, peak_bytes

RUNS = 1_000
POINTS = 10_000_000
FILE_BYTES = 500 << 20


def main() -> None:
    """Print runs a second, bytes a second, memory, and how long others had to wait."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        place = Path(folder)
        many(place)
        large(place)


def many(place: Path) -> None:
    """Push runs with five parameters, 101 points and a tag; half of them have a small file."""
    with Store.open(place / "many") as store:
        for number in range(RUNS):
            params = {
                "lr": number / 10,
                "layers": [1, 2],
                "opt": "adam",
                "wd": 0.1,
                "seed": number,
            }
            with store.start("many", params=params) as run:
                run.log_points("loss", [float(number)] * 100)
                run.log(acc=number)
                run.tags["phase"] = "pilot"
                if number % 2:
                    run.save("model.bin", str(number).encode() * 100)
        first = spent_ms(lambda: store.push(place / "pushed")) / 1e3
        again = spent_ms(lambda: store.push(place / "pushed")) / 1e3
        copied = spent_ms(lambda: store.copy(place / "copied")) / 1e3
    print(f"| {RUNS:,} runs | runs a second |")
    print("|---|---|")
    print(f"| pushed | {RUNS / first:,.0f} |")
    print(f"| pushed again: nothing to do | {RUNS / again:,.0f} |")
    print(f"| the whole store copied, for comparison | {RUNS / copied:,.0f} |\n")


def large(place: Path) -> None:
    """Push a run with many points and a large file."""
    data = place / "data.bin"
    with data.open("wb") as file:
        for _ in range(FILE_BYTES >> 20):
            file.write(os.urandom(1 << 20))
    with Store.open(place / "large") as store:
        with store.start("large", capture=False) as run:
            values = [float(one % 977) for one in range(POINTS)]
            run.log_points("loss", values)
            run.save("data.bin", data)
        del values
        locked = watched_transactions()
        before = forget_peak()
        spent = spent_ms(lambda: store.push(place / "received")) / 1e3
        memory = peak_bytes() - before
    print("| a run with 10 million points and a file of 524 MB | |")
    print("|---|---|")
    print(f"| pushed | {spent:.1f} s |")
    print(f"| longest transaction, which other writers wait for | {max(locked):.1f} s |")
    print(f"| memory, in addition to that of the process | {memory / 1e6:.0f} MB |")


def watched_transactions() -> list[float]:
    """Return a list that gets the seconds of each transaction that writes."""
    spent: list[float] = []
    write = SQLiteDriver.write

    @contextmanager
    def watched(driver: SQLiteDriver) -> Iterator[Any]:
        with write(driver) as connection:
            begin = time.perf_counter()
            yield connection
        spent.append(time.perf_counter() - begin)

    SQLiteDriver.write = watched  # type: ignore[assignment, method-assign]
    return spent


if __name__ == "__main__":
    main()
