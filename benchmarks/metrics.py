"""Logging, reading and size of metrics, beside a bare unbuffered append in the same run.

CPU time is the steadier figure on a machine that others use; the second table counts it alone, the
minimum of some rounds.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from runstore import Store

POINTS = 200_000
MANY = 1_000_000
ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call took."""
    return spent(work)[0]


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that a call took, and those of its CPU time."""
    begin, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - busy


def append_bare(path: Path) -> None:
    """Write a line of JSON a point, unbuffered, as the simplest safe way."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for step in range(POINTS):
        os.write(descriptor, b'{"key":"loss","step":%d,"value":0.5}\n' % step)
    os.close(descriptor)


def kinds() -> dict[str, list[float]]:
    """Return values of several kinds."""
    random.seed(7)
    noise = [2 + math.exp(-one / 1e5) + random.gauss(0, 0.1) for one in range(MANY)]
    single = [struct.unpack("f", struct.pack("f", one))[0] for one in noise]
    return {
        "noise in every digit": noise,
        "the same from float32": single,
        "0.1 x step": [0.1 * one for one in range(MANY)],
    }


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of a call, in milliseconds."""
    return spent(work)[1] * 1e3


def compare_kinds() -> None:
    """Print what points of several kinds take, with a step every 50 ms or so."""
    print(f"\n| {MANY:,} points | finish | read | bytes a point | with the store |")
    print("|---|---|---|---|---|")
    at, times = 1.8e9, []
    for _ in range(MANY):
        at += 0.05 + random.gauss(0, 0.001)
        times.append(at)
    for name, values in kinds().items():
        ends, reads = [], []
        for _ in range(3):
            with tempfile.TemporaryDirectory(dir=".") as folder, Store.open(folder) as store:
                run = store.start("bench", capture=False)
                run.log_points("big", values, times=times)
                ends.append(cpu_ms(run.finish))
                record = run.record
                record.metric("big")  # numpy is imported by then
                reads += [cpu_ms(lambda: record.metric("big")) for _ in range(ROUNDS)]  # noqa: B023 - called at once
                with store.backend.database.driver.read() as connection:
                    (chunks,) = connection.execute(
                        "SELECT sum(length(chunk)) FROM metric_chunks"
                    ).fetchone()
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                whole = (Path(folder) / "runstore.db").stat().st_size
        print(
            f"| {name} | {min(ends):,.0f} ms | {min(reads):.0f} ms | {chunks / MANY:.2f} |"
            f" {whole / MANY:.2f} |"
        )


def main() -> None:
    """Print medians, and what points of several kinds take."""
    calls, bare, sizes = ([] for _ in range(3))
    batch, live, ends, reads = many_points = ([], [], [], [])
    for place in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=".") as name, Store.open(name) as store:
            run = store.start("bench", capture=False)
            log = run.log

            def each(log: Callable[..., None] = log) -> None:
                for _ in range(POINTS):
                    log(loss=0.5)

            calls.append(POINTS / seconds(each))
            bare.append(POINTS / seconds(lambda: append_bare(Path(name) / "bare")))
            run.finish()
            many = store.start("bench", capture=False)
            values = [0.1 * step for step in range(MANY)]
            batch.append(spent(lambda: many.log_points("big", values)))  # noqa: B023 - called at once
            live.append(spent(lambda: many.record.metric("big")))  # noqa: B023 - called at once
            ends.append(spent(many.finish))
            record = many.record
            record.metric("big")  # numpy is imported by then
            reads.append(spent(lambda: record.metric("big")))  # noqa: B023 - called at once
            with store.backend.database.driver.read() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append((Path(name) / "runstore.db").stat().st_size / (POINTS + MANY))
        if place == 0:
            calls.clear()  # the first round imports and compiles
    middle = statistics.median
    print("| metrics | median | CPU time |")
    print("|---|---|---|")
    print(f"| one call a point, safe from kill -9 | {middle(calls):,.0f} points a second | |")
    print(f"| a bare unbuffered append of a line | {middle(bare):,.0f} points a second | |")
    labels = (
        f"{MANY:,} points in one call",
        "reading them while they are in flight",
        "finish, which packs them",
        "reading them from the database",
    )
    for label, times in zip(labels, many_points, strict=True):
        wall, cpu = (middle(one) * 1e3 for one in zip(*times, strict=True))
        print(f"| {label} | {wall:,.0f} ms | {cpu:,.0f} ms |")
    print(f"| on disk, the whole store | {middle(sizes):.1f} bytes a point | |")
    compare_kinds()


if __name__ == "__main__":
    main()
